//! Is the profile that optimised builds are compiled with (`pgo/`) one for the compiler that this project uses, and does it
//! fit whatever is built? Otherwise it would be left out without a word, and the program would be slower.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What `llvm-profdata` writes first.
const MAGIC: &[u8] = b"\xfflprofi\x81";

fn read(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What `pgo/rustc` would call for a crate that is compiled with these options.
fn compiles(toolchain: &str, options: &[&str]) -> String {
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("pgo/rustc");
    let output = Command::new(wrapper)
        .arg("echo")
        .args(options)
        .env("RUSTUP_TOOLCHAIN", toolchain)
        .env_remove("TWOPENCE_PGO")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The version of the compiler that this project uses.
fn channel() -> String {
    let text = String::from_utf8(read("rust-toolchain.toml")).unwrap();
    let (_, channel) = text.split_once("channel = \"").unwrap();
    channel.split_once('"').unwrap().0.to_owned()
}

#[test]
fn the_profile_is_for_the_compiler_that_is_used() {
    let here = format!("{}-x86_64-unknown-linux-gnu", channel());
    let optimised = compiles(&here, &["-C", "opt-level=3"]);
    assert!(optimised.contains("/pgo/twopence.profdata"), "{optimised}");
    assert!(read("pgo/twopence.profdata").starts_with(MAGIC));
}

/// The crates that are compiled for these packages, each with its version and its features.
fn crates(packages: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal,build"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p} {f}"])
        .args(packages)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.trim().to_owned()).collect()
}

/// A function is known in the profile by a name that depends on the features of its crate, and of those below it.
#[test]
fn whatever_is_built_the_program_is_made_of_the_same_crates() {
    let recorded = crates(&["--package", "twopence"]);
    assert!(recorded.len() > 100, "{recorded:?}");
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let names: BTreeSet<String> = recorded.iter().map(|line| name(line)).collect();
    let built = crates(&["--workspace"]);
    let others = built.difference(&recorded);
    let others: Vec<&String> = others.filter(|line| names.contains(&name(line))).collect();
    assert!(others.is_empty(), "other features: {others:?}");
}

#[test]
fn other_compilers_and_other_builds_are_left_alone() {
    let channel = channel();
    let same = &format!("{channel}-x86_64-unknown-linux-gnu");
    let elsewhere = &format!("{channel}-aarch64-unknown-linux-gnu");
    for (toolchain, options) in [
        ("nightly-x86_64-unknown-linux-gnu", ["-C", "opt-level=3"]),
        (elsewhere, ["-C", "opt-level=3"]),
        (same, ["-C", "opt-level=30"]),
        (same, ["-C", "debuginfo=2"]),
    ] {
        assert_eq!(compiles(toolchain, &options), options.join(" ") + "\n");
    }
}
