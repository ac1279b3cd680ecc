//! How money moves between nodes so that both sides happen or neither does.
//!
//! This crate is the protocol and nothing else: three state machines side by side, the messages they exchange and the
//! records they leave. It has no clock, socket, file, thread, randomness or hash order; a machine takes one input and
//! leaves [`effects::Effects`] for its driver. The event loop, the client library, the simulator and the model check
//! all drive these same machines.
//!
//! # The cast
//!
//! - A **client** ([`request`]) names each request with a random id and repeats it under that id until it knows the
//!   outcome, at another coordinator if need be.
//! - A **coordinator** ([`coordinator`]) turns a request into a transaction, collects votes and decides.
//! - **Participants** ([`participant`]) are the nodes that the transaction touches. Each keeps accounts
//!   ([`ledger`]), promises, and does what was decided.
//!
//! # The normal case
//!
//! ```text
//!  client          coordinator                  N1                      N2
//!    │  submit         │                         │                       │
//!    ├────────────────▶│ START, PREPARE (lazy)   │                       │
//!    │                 │  prepare t7 A -10       │                       │
//!    │                 ├────────────────────────▶│ holds A               │
//!    │                 │  prepare t7 B +10       │ prepare_ok ▒sync▒     │
//!    │                 ├─────────────────────────┼──────────────────────▶│ holds B
//!    │                 │              vote t7 yes│                       │ prepare_ok ▒sync▒
//!    │                 │◀────────────────────────┤                       │
//!    │                 │                         │            vote t7 yes│
//!    │                 │◀────────────────────────┼───────────────────────┤
//!    │                 │ COMMIT ▒sync▒           │                       │
//!    │  committed t7   │                         │                       │
//!    │◀────────────────┤  commit t7              │                       │
//!    │                 ├────────────────────────▶│ commit (lazy)         │
//!    │                 ├─────────────────────────┼──────────────────────▶│ commit (lazy)
//!    │                 │                  ack t7 │ ▒sync▒                │
//!    │                 │◀────────────────────────┤                ack t7 │ ▒sync▒
//!    │                 │◀────────────────────────┼───────────────────────┤
//!    │                 │ COMPLETE (lazy)         │                       │
//! ```
//!
//! The client waits for two syncs: the slowest vote's, and the decision's. Everything behind the decision is off its
//! path, and a sync serves every transaction that waits for one (group commit).
//!
//! # What makes it safe
//!
//! A **vote** is a promise that survives anything: holds are taken, everything that commit will need is in the
//! `prepare_ok` record, and that record is on disk before the vote leaves. From then on the participant is
//! *in-doubt* and gives nothing up until it hears the decision with authority: it asks (`inquiry`), for ever.
//!
//! The **decision** COMMIT is on disk before anybody learns it. ABORT needs no record: whoever asks about a transaction
//! that an unbroken log does not hold is told abort (*presumed abort*, Mohan and Lindsay 1983). That presumption is
//! good only for the log's own ids, after recovery, and for transactions that are not being decided right now.
//!
//! Commits are **idempotent**: they name an id and carry no amounts. A participant remembers how each id ended until
//! the coordinator's **low-water mark** passes it, and refuses ids below the mark, so that nothing can happen twice,
//! late or out of order. An abort for an unknown id leaves a tombstone for the prepare that may still arrive.
//!
//! With **one participant** there is nothing to agree on: it validates and commits in one record, and it decides. If its
//! answer is lost, the coordinator asks; "never seen" counts only once a durable tombstone makes it stay true.
//!
//! # Exactly once
//!
//! Every request id has a **home**: the node of the request's smallest debit leg. The home writes the id into the same
//! record that prepares, commits or aborts, so id and money cannot disagree. A second attempt, through whichever
//! coordinator, finds the first there and is answered with its outcome. A request that may have been sent before is
//! told "aborted" only when its home durably refuses every other attempt; if the home cannot be asked, the honest answer
//! is "unknown".
//!
//! # Who is who
//!
//! A coordinator is its log: 64 random bits minted with it. Each start adds a durable **epoch**; a transaction id is
//! (coordinator, epoch, sequence). Nodes remember the highest epoch they have seen of each coordinator and refuse lower
//! ones, so a process that slept through its own replacement is stopped at the first node it meets. Both sides also
//! remember how far the other's log was once proved durable; one that has gone backwards (an old backup) is
//! **quarantined** until an operator adopts it.
//!
//! # The write-ahead rule
//!
//! Each message names the newest record whose effect it can show, and the driver holds it until that record is synced
//! ([`effects::Outgoing::shows`]). A read may show a two-phase commit that this node has not synced yet: its decision is
//! durable at the coordinator. There is no other exception.
//!
//! Rule numbers in comments (R1, R2, …) are those of `ARCHITECTURE.md`.
#![no_std]

extern crate alloc;

mod about;
mod accounts;
pub mod codec;
pub mod coordinator;
pub mod effects;
pub mod fold;
pub mod frame;
pub mod hello;
pub mod histogram;
pub mod id;
pub mod index;
pub mod ledger;
pub mod leg;
pub mod locking;
pub mod message;
pub mod money;
pub mod numbers;
pub mod participant;
pub mod plain;
pub mod planted;
pub mod reason;
pub mod request;
mod scattered;
pub mod short;
pub mod table;
pub mod text;
mod unseen;
