//! Runs the binary and looks at what it left.

use std::process::{Command, Stdio};

use crate::fake::Fake;

const BINARY: &str = env!("CARGO_BIN_EXE_twopence");

/// What one command left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with the words of `line` as arguments.
pub(crate) fn command(line: &str) -> Command {
    let mut command = Command::new(BINARY);
    // It would say `cargo run --` in the commands that it prints.
    command.env_remove("CARGO_MANIFEST_DIR");
    command.args(line.split_whitespace()).stdin(Stdio::null());
    command
}

/// Runs `twopence` with the words of `line` as arguments.
pub(crate) fn twopence(line: &str) -> Run {
    let output = command(line).output().unwrap();
    Run {
        code: output.status.code().expect("it exits by itself"),
        stdout: shown(output.stdout),
        stderr: shown(output.stderr),
    }
}

/// The text with the binary under its own name, as if it were on the path.
fn shown(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap().replace(BINARY, "twopence")
}

/// The same against `fake`, whose address is shown as `COORD`.
pub(crate) fn ask(fake: &Fake, line: &str) -> Run {
    let run = twopence(&format!("{line} --coord {}", fake.address()));
    Run {
        stderr: run.stderr.replace(&fake.address(), "COORD"),
        ..run
    }
}

impl Run {
    /// Checks the exit code and all of both streams.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!(
            (self.code, self.stdout.as_str(), self.stderr.as_str()),
            (code, stdout, stderr)
        );
    }
}
