//! Is all the money there? An independent look at the stores of a cluster that stands still.
//!
//! [`check`] holds the stores of all nodes and coordinators against each other and, if there are any, against the
//! [`Claims`] of clients. It reads stores with the engine's readers, but adds up for itself: balances, versions, holds,
//! request ids, what is prepared and how everything ended are folded here by code that shares nothing with the state
//! machines, so that a mistake there cannot hide itself.
//!
//! ```no_run
//! use verify::{Claims, Images, check};
//!
//! # fn main() -> Result<(), verify::Error> {
//! let images = Images::read(&["data"])?;
//! let report = check(&images, &Claims::default());
//! println!("{report}");
//! assert!(report.violations.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! | | |
//! |---|---|
//! | V1 | Conservation: all balances of all nodes add up to 0, what is in doubt counted as it was decided |
//! | V2 | No account but `@world` is below 0, or promises more than it holds, after any record of any log |
//! | V3 | All or nothing: no transaction ended in two ways; a decision is on disk before anyone acts on it, and is not forgotten before all have |
//! | V4 | What clients were told is what the stores hold |
//! | V5 | One request id, at most one committed transaction |
//! | V6 | Version chain: from the oldest checkpoint on, the records add up to every later checkpoint and to what a start would recover |
//! | V9 | Holds: what is prepared has its accounts as it was granted them; when all has come to rest, nothing is prepared |
//!
//! What an operator decided is reported, and no violation. What cannot be checked is reported too: a store that is not
//! there, a log that no longer reaches back far enough, a sled store that keeps no history.

mod balances;
mod book;
mod check;
mod claims;
mod compare;
mod coordinator;
mod decided;
mod findings;
mod history;
mod holds;
mod images;
mod money;
mod node;
mod once;
mod report;
mod requests;
mod stories;
mod text;
mod told;

pub use check::check;
pub use claims::{Claims, Told, Word};
pub use images::{Error, Images, Refused};
pub use report::{
    CoordinatorWord, Forced, InDoubt, Invariant, Open, Report, StoreLine, Sum, Unchecked, Violation,
};
