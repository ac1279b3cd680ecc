//! Does anything that comes from outside, bytes, files, words or a whole story of them, make Twopence panic, hang, eat
//! memory, or believe something that is not so?
//!
//! Each target is a function of bytes with an oracle: what must hold whatever the bytes are. The oracles are written from
//! the documented formats and rules, not from the code they judge. [`Target::run`] adds what holds for all: bounded memory
//! and time.
//!
//! # Three ways to run them
//!
//! - `cargo test -p twopence-fuzz` replays the corpus and a short run of mutations of it, the same every time. This is what
//!   keeps a bug from coming back: every input that ever proved the code wrong is in the corpus under a name.
//! - `cargo run --profile fuzz -p twopence-fuzz -- run TARGET --seconds 60` goes on mutating, blindly. It needs nothing but the
//!   toolchain that builds the rest, and finds shallow bugs within seconds.
//! - `fuzz/guided` is a cargo-fuzz workspace around the same functions. libFuzzer watches which code an input reaches and
//!   goes on from those that reach more: that is what finds deep bugs. With `--sanitizer none` it builds with a stable
//!   toolchain, too; there is no unsafe code here that a sanitizer could catch.
//!
//! ```text
//! cargo install cargo-fuzz --locked
//! cargo fuzz run --fuzz-dir fuzz/guided --sanitizer none node fuzz/found/node fuzz/corpus/node -- -timeout=5
//! ```
//!
//! (The first folder takes what is found, the second one is only read.) Why not bolero: it brings some dozens of packages
//! into the workspace to hide that difference; the difference is three lines a target.
//!
//! # What becomes of a find
//!
//! The input goes into `corpus/<target>/` under a name that says what was wrong, the fix goes where it belongs, with a test
//! of its own there where that tells the story better than bytes.

mod choices;
pub mod corpus;
mod crc32;
pub mod driver;
mod mutate;
mod random;
mod seen;
mod target;
mod targets;

/// Addresses belong to the command line, which is no library. Its file depends on nothing else there.
#[path = "../../src/cli/address.rs"]
mod address;

pub use seen::Seen;
pub use target::Target;
pub use targets::ALL;

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

/// Judges one input, for drivers that bring their own.
///
/// # Panics
/// If there is no such target, or the input proves the code wrong.
pub fn run(name: &str, input: &[u8]) {
    let target = find(name).unwrap_or_else(|| panic!("there is no target {name}"));
    target.run(input, &mut Seen::new());
}
