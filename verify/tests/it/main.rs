//! Hand-made histories: a good one passes, and each way of breaking it is found and named.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod broken;
mod history;
mod impossible;
mod sound;
mod told;
