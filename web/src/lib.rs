//! A cluster over HTTP: the JSON API, live events, and the control panel's page.
//!
//! The only package with an async runtime, and only at its edge: what talks to the cluster is [`client`], which blocks,
//! on threads for that. A server runs on threads of its own beside whatever started it.
//!
//! ```no_run
//! use client::ClientConfig;
//! use web::{Bound, Site};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bound = Bound::to("127.0.0.1:8080".parse()?)?; // before anything else is started: the port may be taken
//! let server = bound.serve(Site::of(ClientConfig::at(["127.0.0.1:5000"])))?;
//! // …
//! server.stop();
//! # Ok(())
//! # }
//! ```
//!
//! | file | question it answers |
//! |---|---|
//! | `server.rs` | how does it start, run beside others, and stop |
//! | `state.rs` | what do all requests share |
//! | `connections.rs` | how many connections at a time, and for how long |
//! | `clients.rs` | how do many requests share few connections to the cluster |
//! | `router.rs`, `paths.rs` | which path leads where |
//! | `security.rs` | may a request be answered at all |
//! | `extract.rs` | what was sent |
//! | `api/` | what can a program ask |
//! | `events/` | what happens right now |
//! | `census.rs`, `metrics.rs` | what does every process say; its counters for Prometheus |
//! | `openapi/` | what all this looks like to a program that has never seen it |
//! | `assets.rs` | what is the page made of |
//! | `problem.rs` | what does an error say |
//! | `control/` | what can be done to the processes themselves |

mod api;
mod assets;
mod census;
mod clients;
mod connections;
pub mod control;
mod events;
mod extract;
mod metrics;
mod openapi;
mod paths;
mod problem;
mod router;
mod security;
mod server;
mod state;

pub use problem::{Code, MoneyMoved, Problem};
pub use server::{Bound, Server};
pub use state::{AppState, Site};
