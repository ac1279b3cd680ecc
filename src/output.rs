//! Where text goes: data to stdout, explanations to stderr. A reader that has gone away is no error.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::OutputFormat;

/// Stdout as one command uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: OutputFormat,
}

impl Output {
    /// Output in the format that was asked for.
    pub(crate) fn new(format: OutputFormat) -> Output {
        Output { format }
    }

    /// Prints `text` and a line break, or `json` as one line. Returns whether anybody still reads.
    pub(crate) fn print<T: Serialize>(self, text: &str, json: &T) -> bool {
        match self.format {
            OutputFormat::Text => print_line(text),
            OutputFormat::Json => self.print_json(json),
        }
    }

    /// Prints `text` where people read.
    pub(crate) fn print_text(self, text: &str) -> bool {
        match self.format {
            OutputFormat::Text => print_line(text),
            OutputFormat::Json => true,
        }
    }

    /// Prints `json` as one line where programs read.
    pub(crate) fn print_json<T: Serialize>(self, json: &T) -> bool {
        match self.format {
            OutputFormat::Text => true,
            OutputFormat::Json => {
                print_line(&serde_json::to_string(json).expect("our own types become JSON"))
            }
        }
    }
}

/// Prints a line on stdout. Returns whether anybody still reads.
pub(crate) fn print_line(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(format!("{text}\n").as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                explain(&format!(
                    "cannot write to stdout ({error}); it would have said: {text}"
                ));
            }
            false
        }
    }
}

/// Tells people something on stderr.
pub(crate) fn explain(text: &str) {
    // There is nowhere left to report that stderr is gone.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}
