//! Who fires: the test that is running, by the names a reader finds it under.

use std::path::{Path, PathBuf};
use std::{env, thread};

use crate::fired_by;

/// A test, named by its file or folder and its own name: `engine/tests/json surgery::a_missing_file_is_corruption`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vehicle(String);

impl Vehicle {
    /// The test on this thread. A thread that a test starts has no name to go by: take the vehicle before, and hand it
    /// over.
    ///
    /// # Panics
    /// On a thread without a name.
    #[track_caller]
    pub fn here() -> Vehicle {
        let thread = thread::current();
        let name = thread
            .name()
            .expect("only the test's own thread knows its test: take Vehicle::here() there");
        let args: Vec<String> = env::args_os().skip(1).flat_map(|arg| arg.into_string()).collect();
        let test = test_name(name, &args);
        let binary = env::current_exe().unwrap_or_default();
        let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        Vehicle(vehicle(&binary, package.as_deref(), test).trim_end().to_owned())
    }

    /// Notes that it has injected fault `id` that many times.
    ///
    /// # Panics
    /// If the catalogue has no such fault, or the tally cannot be written.
    #[track_caller]
    pub fn fired(&self, id: &str, times: u64) {
        fired_by(&self.0, id, times);
    }
}

/// The test's name. Where only one runs at a time, it may run on the main thread.
fn test_name<'a>(thread: &'a str, args: &'a [String]) -> &'a str {
    if thread != "main" {
        return thread;
    }
    let asked_for_one = args.iter().any(|arg| arg == "--exact");
    let name = args.iter().find(|arg| !arg.starts_with('-'));
    name.filter(|_| asked_for_one).map_or("", String::as_str)
}

/// Where the test's source is, and its name.
fn vehicle(binary: &Path, package: Option<&Path>, test: &str) -> String {
    let stem = binary.file_stem().unwrap_or_default().to_string_lossy();
    let name = match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        Some(_) | None => &stem,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let folder = package
        .zip(root)
        .and_then(|(package, root)| package.strip_prefix(root).ok());
    let Some(folder) = folder else {
        return format!("{name} {test}");
    };
    // A package's library is named as its folder; of binaries there are two, named as their packages.
    let unit = folder.ends_with(name) || name.starts_with("twopence");
    let place = if unit {
        folder.join("src")
    } else {
        folder.join("tests").join(name)
    };
    format!("{} {test}", place.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_named_by_its_place_and_its_name() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let named = |binary: &str, folder: &str| {
            let binary = Path::new("/t/debug/deps").join(binary);
            vehicle(&binary, Some(&root.join(folder)), "a::b")
        };
        assert_eq!(named("json-0123456789abcdef", "engine"), "engine/tests/json a::b");
        assert_eq!(named("engine-0123456789abcdef", "engine"), "engine/src a::b");
        assert_eq!(
            named("twopence_benches-0123456789abcdef", "benches"),
            "benches/src a::b"
        );
        assert_eq!(named("cluster-0123456789abcdef", ""), "tests/cluster a::b");
        assert_eq!(named("twopence-0123456789abcdef", ""), "src a::b");
        assert_eq!(named("disk-full", ""), "tests/disk-full a::b");
        assert_eq!(vehicle(Path::new("it-0123456789abcdef"), None, "a::b"), "it a::b");
    }

    #[test]
    fn on_the_main_thread_the_command_line_names_the_test() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(test_name("a::b", &args("c --exact")), "a::b");
        assert_eq!(test_name("main", &args("--nocapture c::d --exact")), "c::d");
        assert_eq!(test_name("main", &args("c --test-threads=1")), "");
    }

    #[test]
    fn a_thread_of_a_test_hands_its_vehicle_on() {
        let here = Vehicle::here();
        assert!(here.0.starts_with("faults/src"), "{here:?}");
        let there = thread::spawn({
            let here = here.clone();
            move || {
                here.fired("N1", 0);
                here
            }
        });
        assert_eq!(there.join().unwrap(), here);
        assert!(
            thread::spawn(Vehicle::here).join().is_err(),
            "it would name nobody"
        );
    }
}
