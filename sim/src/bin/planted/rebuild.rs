//! Builds and runs this command once more, with planted bugs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const FLAGS: &str = "--cfg planted";

/// The workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("a package lies in its workspace")
        .to_owned()
}

/// Cargo, told to build with planted bugs, away from ordinary builds.
pub(crate) fn cargo(what: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    if !flags.contains(FLAGS) {
        command.env("RUSTFLAGS", format!("{flags} {FLAGS}").trim());
    }
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
        .arg(what)
        .args(["--quiet", "--profile", "planted", "--target-dir"]);
    command.arg(root().join("target").join("planted"));
    command.current_dir(root());
    command
}

/// Runs this command as an ordinary build cannot.
pub(crate) fn with_planted_bugs() -> ExitCode {
    let mut command = cargo("run");
    command.args(["-p", "twopence-sim", "--bin", "planted", "--"]);
    command.args(env::args_os().skip(1));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(1))
        }
        Err(error) => {
            eprintln!("cannot run cargo: {error}");
            ExitCode::FAILURE
        }
    }
}
