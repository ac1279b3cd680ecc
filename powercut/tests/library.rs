//! A process under the library: what it sees, and what is left when it is killed.
//!
//! The processes that die here are this test binary, started again under the library.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const STORY: &str = "TWOPENCE_POWER_CUT_STORY";
const DIR: &str = "TWOPENCE_POWER_CUT_DIR";
const SEED: &str = "TWOPENCE_POWER_CUT_SEED";

/// A seed that never lets anything become durable early, and one that often does.
const STRICT: u64 = 3;
const LEAKY: u64 = 0;

/// Runs `child` in a process of its own, which may use the directory `dir`.
fn run(story: &str, dir: &Path, seed: u64) -> ExitStatus {
    run_with(&[], story, dir, seed)
}

fn run_with(moods: &[(&str, &str)], story: &str, dir: &Path, seed: u64) -> ExitStatus {
    let library = env::current_exe().unwrap().with_file_name("libpowercut.so");
    assert!(library.exists(), "{} is built with this test", library.display());
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child"]);
    command.env("LD_PRELOAD", library).env(STORY, story);
    command
        .env(DIR, fs::canonicalize(dir).unwrap())
        .env(SEED, seed.to_string());
    command.envs(moods.iter().copied());
    command.stdout(std::process::Stdio::null()).status().unwrap()
}

/// Not a test by itself: what the started processes do.
#[test]
fn child() {
    let Ok(story) = env::var(STORY) else {
        return;
    };
    let dir = PathBuf::from(env::var(DIR).unwrap());
    let path = dir.join("file");
    match story.as_str() {
        "lengths" => {
            let content = vec![7; 1 << 21];
            for _ in 0..200 {
                fs::write(&path, &content).unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| File::open(&path).unwrap().sync_all().unwrap());
                    for _ in 0..40 {
                        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 21);
                    }
                });
                fs::remove_file(&path).unwrap();
            }
        }
        "reads" => {
            write_both_ways(&path);
            let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            file.set_len(4).unwrap();
            file.write_all_at(b"end", 6).unwrap();
            assert_eq!(file.metadata().unwrap().len(), 9);
            assert_eq!(fs::metadata(&path).unwrap().len(), 9);
            assert_eq!(fs::read(&path).unwrap(), b"onet\0\0end");
            let mut part = [0; 4];
            file.read_exact_at(&mut part, 3).unwrap();
            assert_eq!(&part, b"t\0\0e");
            let mut rest = Vec::new();
            file.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"onet\0\0end");
            assert_eq!(file.read(&mut part).unwrap(), 0);
            let mut appending = OpenOptions::new().append(true).open(&path).unwrap();
            appending.write_all(b"!").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"onet\0\0end!");
        }
        "killed" => {
            write_both_ways(&path);
            die();
        }
        "killed with a lock" => {
            let file = write_both_ways(&path);
            file.try_lock().unwrap();
            drop(file);
            File::open(&path).unwrap().try_lock().unwrap(); // The library keeps no lock.
            die();
        }
        "synced" => {
            let file = write_both_ways(&path);
            drop(file);
            fs::rename(&path, dir.join("renamed")).unwrap();
            // Through any descriptor of that file, also one that cannot write.
            File::open(dir.join("renamed")).unwrap().sync_all().unwrap();
            die();
        }
        "beside" => {
            let beside = dir.with_extension("beside");
            fs::write(beside, "all of it").unwrap();
            die();
        }
        "often" => {
            let file = File::create(&path).unwrap();
            for number in 0..400_u64 {
                file.write_all_at(&[b'x'; 10], number * 10).unwrap();
            }
            die();
        }
        "one by one" => {
            let mut file = File::create(&path).unwrap();
            for byte in *b"abcdef" {
                file.write_all(&[byte]).unwrap();
                file.sync_data().unwrap();
            }
            assert_eq!(fs::read(&path).unwrap(), b"abcdef");
            die();
        }
        "clock" => {
            let began = Instant::now();
            let looks: Vec<SystemTime> = (0..4).map(|_| SystemTime::now()).collect();
            for pair in looks.windows(2) {
                let apart = pair[0]
                    .duration_since(pair[1])
                    .unwrap_or_else(|other| other.duration());
                assert!(apart > Duration::from_secs(29 * 3600), "{looks:?}");
            }
            assert!(began.elapsed() < Duration::from_secs(60));
            die();
        }
        "as the system says" => {
            let mut file = File::create(&path).unwrap();
            let interrupted = file.write(b"0123456789").unwrap_err();
            assert_eq!(interrupted.kind(), ErrorKind::Interrupted);
            assert_eq!(file.write(b"0123456789").unwrap(), 5);
            file.write_all(b"56789").unwrap();
            file.write_all_at(b"ABC", 1).unwrap();
            file.sync_all().unwrap();
            die();
        }
        other => panic!("{other}"),
    }
}

/// "one", synced, and "two" behind it, not synced.
fn write_both_ways(path: &Path) -> File {
    let mut file = File::create(path).unwrap();
    file.write_all(b"one").unwrap();
    file.sync_data().unwrap();
    file.write_all(b"two").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"onetwo");
    file
}

fn die() -> ! {
    let pid = std::process::id().to_string();
    Command::new("kill").args(["-9", &pid]).status().unwrap();
    unreachable!("killed")
}

fn file_after(story: &str, seed: u64) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let status = run(story, dir.path(), seed);
    assert_eq!(status.signal(), Some(9), "{story}: {status}");
    fs::read(dir.path().join("file")).ok()
}

#[test]
fn the_process_sees_all_that_it_wrote_and_leaves_it_when_it_ends_by_itself() {
    for seed in [STRICT, LEAKY] {
        let dir = tempfile::tempdir().unwrap();
        assert!(run("reads", dir.path(), seed).success());
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"onet\0\0end!");
    }
}

#[test]
fn a_file_is_as_long_as_it_is_while_another_thread_syncs_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run("lengths", dir.path(), STRICT).success());
}

#[test]
fn what_was_not_synced_dies_with_the_process() {
    assert_eq!(file_after("killed", STRICT).unwrap(), b"one");
    assert_eq!(file_after("killed with a lock", STRICT).unwrap(), b"one");
}

#[test]
fn a_sync_covers_the_file_whatever_it_is_called_and_however_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run("synced", dir.path(), STRICT).signal(), Some(9));
    assert_eq!(fs::read(dir.path().join("renamed")).unwrap(), b"onetwo");
}

#[test]
fn other_directories_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("data");
    fs::create_dir(&inner).unwrap();
    assert_eq!(run("beside", &inner, STRICT).signal(), Some(9));
    assert_eq!(fs::read(inner.with_extension("beside")).unwrap(), b"all of it");
}

#[test]
fn some_of_it_may_be_durable_early() {
    let len = |seed| file_after("often", seed).unwrap().len();
    assert_eq!(len(STRICT), 0);
    assert!((1..4000).contains(&len(LEAKY)), "{} bytes", len(LEAKY));
}

#[test]
fn a_disk_may_begin_to_lie_about_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let lies = [("TWOPENCE_POWER_CUT_LIES_AFTER", "4")];
    assert_eq!(
        run_with(&lies, "one by one", dir.path(), STRICT).signal(),
        Some(9)
    );
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"abcd");
}

#[test]
fn calls_may_be_interrupted_and_writes_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let halves = [("TWOPENCE_POWER_CUT_HALVES", "1")];
    let status = run_with(&halves, "as the system says", dir.path(), STRICT);
    assert_eq!(status.signal(), Some(9));
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"0ABC456789");
}

#[test]
fn the_wall_clock_may_jump_and_no_other_clock_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = [("TWOPENCE_POWER_CUT_CLOCK", "1")];
    assert_eq!(run_with(&clock, "clock", dir.path(), STRICT).signal(), Some(9));
}
