//! How does a person call this program, so that commands we print can be pasted as they are?

use std::env;
use std::path::Path;

/// This program as it was called: `twopence`, a path to it, or `cargo run --release --`.
pub(crate) fn own_name() -> String {
    let release =
        env::current_exe().is_ok_and(|path| path.parent().is_some_and(|dir| dir.ends_with("release")));
    let by_cargo = env::var_os("CARGO_MANIFEST_DIR").is_some();
    name_of(env::args().next().as_deref(), by_cargo, release)
}

fn name_of(called: Option<&str>, by_cargo: bool, release: bool) -> String {
    match (by_cargo, release, called) {
        (true, true, _) => "cargo run --release --".to_owned(),
        (true, false, _) => "cargo run --".to_owned(),
        (false, _, Some(path)) if !path.is_empty() && !path.contains(' ') => path.to_owned(),
        (false, _, _) => "twopence".to_owned(),
    }
}

/// The flags that reach a coordinator on this machine; starts with a space unless empty.
pub(crate) fn connection_flags(coordinator: &str, cluster: &str) -> String {
    let mut flags = String::new();
    if coordinator != "127.0.0.1:5000" {
        flags += &format!(" --coord {coordinator}");
    }
    if cluster != "local" {
        flags += &format!(" --cluster {cluster}");
    }
    flags
}

/// A path as a person would write it: relative ones stay so.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if path.is_absolute() || text.starts_with('.') {
        text
    } else {
        format!("./{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_as_it_was_called() {
        assert_eq!(
            name_of(Some("target/release/twopence"), true, true),
            "cargo run --release --"
        );
        assert_eq!(
            name_of(Some("target/debug/twopence"), true, false),
            "cargo run --"
        );
        assert_eq!(name_of(Some("twopence"), false, true), "twopence");
        assert_eq!(
            name_of(Some("./target/release/twopence"), false, true),
            "./target/release/twopence"
        );
        assert_eq!(name_of(None, false, true), "twopence");
        assert_eq!(name_of(Some("/my programs/twopence"), false, true), "twopence");
    }

    #[test]
    fn only_flags_that_are_needed_are_named() {
        assert_eq!(connection_flags("127.0.0.1:5000", "local"), "");
        assert_eq!(
            connection_flags("127.0.0.1:5001", "bank"),
            " --coord 127.0.0.1:5001 --cluster bank"
        );
    }
}
