//! Do planted bugs stay out of the program that users get?

use std::process::Command;

use protocol::planted::{Bug, VARIABLE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_twopence");

#[test]
fn only_a_program_that_was_built_for_it_can_have_a_planted_bug() {
    let program = std::fs::read(PROGRAM).unwrap();
    let asks = program
        .windows(VARIABLE.len())
        .any(|bytes| bytes == VARIABLE.as_bytes());
    assert_eq!(asks, cfg!(planted), "whether the program knows of {VARIABLE}");
}

#[test]
fn a_program_that_can_have_a_planted_bug_says_so_and_one_that_cannot_does_not_look() {
    let run = |bug: &str| {
        let mut command = Command::new(PROGRAM);
        let output = command.args(["help"]).env(VARIABLE, bug).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (known, unknown) = (run("VoteBeforeSync"), run("NoSuchBug"));
    if cfg!(planted) {
        assert!(
            known.0 == Some(0) && known.1.contains(Bug::VoteBeforeSync.what()),
            "{known:?}"
        );
        assert!(
            unknown.0 == Some(2) && unknown.1.contains("VoteBeforeSync"),
            "{unknown:?}"
        );
    } else {
        let nothing = (Some(0), String::new());
        assert_eq!((known, unknown), (nothing.clone(), nothing));
    }
}
