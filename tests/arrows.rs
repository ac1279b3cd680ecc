//! Do the dependencies between our packages point the way that the design draws them?
//!
//! A new package fails here until it is given its place in [`Arrows::of`]. Dependencies of tests are free.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a package may depend on.
struct Arrows {
    /// Packages of ours, without `twopence-`.
    ours: &'static [&'static str],
    /// Packages of others; `None` for any but an async runtime.
    others: Option<&'static [&'static str]>,
    /// Whether an async runtime may be below it, however deep.
    async_runtime: bool,
}

impl Arrows {
    fn of(package: &str) -> Option<Arrows> {
        let below = |ours| {
            Some(Arrows {
                ours,
                others: None,
                async_runtime: false,
            })
        };
        match package {
            "protocol" => Some(Arrows {
                ours: &[],
                others: Some(&[
                    "bincode",
                    "compact_str",
                    "crc32fast",
                    "foldhash",
                    "hashbrown",
                    "itoa",
                    "serde",
                    "smallvec",
                    "xxhash-rust",
                ]),
                async_runtime: false,
            }),
            "faults" => Some(Arrows {
                ours: &[],
                others: Some(&[]),
                async_runtime: false,
            }),
            "engine" | "client" => below(&["protocol"]),
            "reactor" | "verify" => below(&["engine", "protocol"]),
            "sim" => below(&["verify", "engine", "protocol", "faults"]),
            "model" => below(&["protocol"]),
            "fuzz" => below(&["reactor", "engine", "protocol"]),
            "powercut" => Some(Arrows {
                ours: &["engine"],
                others: Some(&["rustix"]),
                async_runtime: false,
            }),
            "node" | "coordinator" => below(&["reactor", "engine", "protocol"]),
            "cluster" => below(&["client", "protocol"]),
            "web" => Some(Arrows {
                ours: &["client", "cluster", "protocol"],
                others: None,
                async_runtime: true,
            }),
            "benches" => below(&["protocol", "engine", "client", "cluster"]),
            "twopence" => Some(Arrows {
                ours: &[
                    "benches",
                    "protocol",
                    "engine",
                    "reactor",
                    "node",
                    "coordinator",
                    "client",
                    "cluster",
                    "verify",
                    "sim",
                    "faults",
                    "powercut",
                    "web",
                ],
                others: None,
                async_runtime: true,
            }),
            _ => None,
        }
    }
}

const ASYNC_RUNTIMES: [&str; 4] = ["tokio", "async-std", "smol", "async-executor"];

/// A package and what it depends on, by name: tests and target-specific dependencies left out and kept, in that order.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Every arrow that points the wrong way. `members` are our packages, `lock` everything.
fn violations(members: &Graph, lock: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (package, dependencies) in members {
        let name = short(package);
        let Some(arrows) = Arrows::of(name) else {
            found.push(format!(
                "{package} is new: give it its place in the design and in tests/arrows.rs"
            ));
            continue;
        };
        for dependency in dependencies {
            let allowed = if members.contains_key(dependency) {
                arrows.ours.contains(&short(dependency))
            } else {
                arrows
                    .others
                    .is_none_or(|others| others.contains(&dependency.as_str()))
            };
            if !allowed {
                found.push(format!("{package} must not depend on {dependency}"));
            }
        }
        if !arrows.async_runtime {
            let below = reachable(dependencies, members, lock);
            for runtime in ASYNC_RUNTIMES.iter().filter(|runtime| below.contains(**runtime)) {
                found.push(format!(
                    "{package} must not have the async runtime {runtime} below it"
                ));
            }
        }
    }
    found
}

fn short(package: &str) -> &str {
    package.strip_prefix("twopence-").unwrap_or(package)
}

/// All that is below `dependencies`. For packages of ours the tests' dependencies don't count.
fn reachable(dependencies: &BTreeSet<String>, members: &Graph, lock: &Graph) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = dependencies.iter().collect();
    while let Some(package) = open.pop() {
        if seen.insert(package.clone()) {
            open.extend(
                members
                    .get(package)
                    .or_else(|| lock.get(package))
                    .into_iter()
                    .flatten(),
            );
        }
    }
    seen
}

fn metadata() -> Value {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Our packages with their dependencies, those of tests left out.
fn members() -> Graph {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let direct = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        all.iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    packages
        .iter()
        .map(|package| (text(&package["name"]), direct(package)))
        .collect()
}

/// Every package of Cargo.lock with all its dependencies, versions of one name taken together.
fn lock() -> Graph {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let mut graph = Graph::new();
    for package in text.split("[[package]]").skip(1) {
        let name = package
            .lines()
            .find_map(|line| line.strip_prefix("name = "))
            .unwrap()
            .trim_matches('"');
        let dependencies = package
            .lines()
            .filter_map(|line| line.strip_prefix(" \""))
            .map(|line| {
                let entry = line.trim_end_matches(['"', ',']);
                entry.split(' ').next().expect("a name").to_owned()
            });
        graph.entry(name.to_owned()).or_default().extend(dependencies);
    }
    graph
}

#[test]
fn dependencies_point_down() {
    let (members, lock) = (members(), lock());
    assert!(
        members.contains_key("twopence-protocol") && members.contains_key("twopence"),
        "{members:?}"
    );
    assert!(
        lock["sled"].contains("parking_lot"),
        "Cargo.lock is not read as it is written"
    );
    assert_eq!(violations(&members, &lock), [""; 0]);
}

/// Its functions would take the place of libc's in the program itself.
#[test]
fn the_library_that_plays_power_cuts_is_linked_into_nothing() {
    for package in ["src", "benches/src", "sim/src", "cluster/src"] {
        let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(package)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.exists() {
                let text = fs::read_to_string(&path).unwrap();
                assert!(
                    !text.contains("powercut::") && !text.contains("extern crate"),
                    "{} must not name it",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn wrong_arrows_are_found() {
    let graph = |arrows: &[(&str, &[&str])]| -> Graph {
        let entry =
            |(from, to): &(&str, &[&str])| (from.to_string(), to.iter().map(|to| to.to_string()).collect());
        arrows.iter().map(entry).collect()
    };
    let members = graph(&[
        ("twopence-protocol", &["serde", "rand"]),
        ("twopence-engine", &["twopence-protocol", "sled"]),
        ("twopence-client", &["twopence-engine"]),
        ("twopence-reactor", &["twopence-engine", "mio-tokio"]),
        ("twopence-web", &["tokio", "twopence-client"]),
        ("twopence-gossip", &[]),
    ]);
    let lock = graph(&[("mio-tokio", &["tokio"]), ("sled", &["fs2"])]);
    assert_eq!(
        violations(&members, &lock),
        [
            "twopence-client must not depend on twopence-engine",
            "twopence-gossip is new: give it its place in the design and in tests/arrows.rs",
            "twopence-protocol must not depend on rand",
            "twopence-reactor must not have the async runtime tokio below it",
        ]
    );
}
