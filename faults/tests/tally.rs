//! From many processes at once, as `cargo test` runs them: every shot is counted, under the test that fired it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use faults::{TALLY_VARIABLE, Tally, Vehicle, fired};

const CHILD: &str = "FAULTS_CHILD";

const PROCESSES: u64 = 6;

#[test]
fn processes_and_their_threads_are_all_counted_under_the_tests_name() {
    if env::var_os(CHILD).is_some() {
        let here = Vehicle::here();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| here.fired("W1", 1)));
            }
        });
        fired("W2");
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.tally", std::process::id()));
    let start = |_| {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", thread::current().name().unwrap()]);
        child.env(CHILD, "1").env(TALLY_VARIABLE, &file);
        child.stdout(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let tally = Tally::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let expected = "faults/tests/tally processes_and_their_threads_are_all_counted_under_the_tests_name";
    assert_eq!(tally.of("W1").collect::<Vec<_>>(), [(expected, PROCESSES * 200)]);
    assert_eq!(tally.of("W2").collect::<Vec<_>>(), [(expected, PROCESSES)]);
    assert_eq!(tally.of("W3").count(), 0);
}
