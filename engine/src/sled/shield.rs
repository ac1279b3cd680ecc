//! Panics inside sled while it opens a damaged store become [`Error::Corrupt`].
//!
//! Where panics unwind they are caught. Release builds abort, so there the panic hook, which runs before the abort and
//! on whichever thread panics, prints the refusal and ends the process with the exit code for a corrupt store.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::process;

use crate::Error;

/// The exit code for a corrupt store.
const EXIT_CORRUPT: i32 = 9;

/// Runs `open`; a panic of sled under it means that `what` is damaged. If the process has to end at once, `clean_up` runs
/// first.
///
/// # Errors
/// Those of `open`, and [`Error::Corrupt`] for a panic.
pub(super) fn shielded<T>(
    what: &str,
    clean_up: impl Fn() + Send + Sync + 'static,
    open: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    if cfg!(panic = "abort") {
        let previous = panic::take_hook();
        let refusal = what.to_owned();
        panic::set_hook(Box::new(move |panic| {
            eprintln!("{}", refusal_text(&refusal, &panic.to_string()));
            clean_up();
            process::exit(EXIT_CORRUPT);
        }));
        let result = open();
        panic::set_hook(previous);
        return result;
    }
    panic::catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|panic| Err(Error::Corrupt(refusal_text(what, &message(&*panic)))))
}

fn refusal_text(what: &str, message: &str) -> String {
    format!(
        "{what} is damaged: sled gave up reading it ({message}). Nothing was changed. Restore the whole data directory \
         from a backup that is not older than the last transaction, or keep this one for inspection"
    )
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_refusal_and_an_error_stays_itself() {
        let refused = shielded::<()>("x.sled", || {}, || panic!("segment {} is gone", 3)).unwrap_err();
        assert!(
            matches!(&refused, Error::Corrupt(text) if text.contains("x.sled") && text.contains("segment 3"))
        );
        let error = shielded::<()>("x.sled", || {}, || Err(Error::Mismatch("other".to_owned()))).unwrap_err();
        assert!(matches!(error, Error::Mismatch(_)));
        assert_eq!(shielded("x.sled", || {}, || Ok(1)).unwrap(), 1);
    }
}
