//! Runs the binary and looks at what it left.

use std::process::{Command, Stdio};

use crate::fake::Fake;

/// What one command left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with the words of `line` as arguments.
pub(crate) fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twopence"));
    command.args(line.split_whitespace()).stdin(Stdio::null());
    command
}

/// Runs `twopence` with the words of `line` as arguments.
pub(crate) fn twopence(line: &str) -> Run {
    let output = command(line).output().unwrap();
    Run {
        code: output.status.code().expect("it exits by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
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
