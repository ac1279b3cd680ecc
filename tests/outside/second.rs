//! A coordinator besides the cluster's own, on a port and in a directory of its own.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::world::{BINARY, Extra, Run, World, files, free_port, node, run, temp_dir, wait};

/// Another coordinator on the same nodes.
pub(crate) struct Second {
    pub(crate) process: Extra,
    pub(crate) address: String,
    _dir: TempDir,
}

const IN_PLACE: [&str; 3] = ["N1", "N2", "N3"];

impl Second {
    /// One that has never run before.
    pub(crate) fn new(world: &World) -> Second {
        Second::among(world, IN_PLACE)
    }

    /// A new one that looks for N1, N2 and N3 where these nodes are.
    pub(crate) fn among(world: &World, places: [&str; 3]) -> Second {
        Second::start(world, temp_dir(), places)
    }

    /// A copy of the cluster's coordinator, as it is on disk now.
    pub(crate) fn copied(world: &World) -> Second {
        let dir = temp_dir();
        for (path, content) in files(world.path(), "coordinator") {
            let copy = dir.path().join(path.strip_prefix(world.path()).unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::write(copy, content).unwrap();
        }
        Second::start(world, dir, IN_PLACE)
    }

    fn start(world: &World, dir: TempDir, places: [&str; 3]) -> Second {
        let port = free_port();
        let mut command = Command::new(BINARY);
        let nodes: Vec<String> = ["N1", "N2", "N3"]
            .iter()
            .zip(places)
            .map(|(name, place)| format!("{name}:{}", world.cluster.address(node(place))))
            .collect();
        command.args([
            "coordinator",
            "--port",
            &port.to_string(),
            "--nodes",
            &nodes.join(","),
        ]);
        command
            .args(["--store", &world.cluster.config().store, "--data-dir"])
            .arg(dir.path());
        Second {
            process: Extra::start(command),
            address: format!("127.0.0.1:{port}"),
            _dir: dir,
        }
    }

    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Run {
        let words = line.split_whitespace().chain(["--coord", &self.address]);
        run(&words.collect::<Vec<_>>())
    }

    #[track_caller]
    pub(crate) fn is_up(&self) {
        wait("the second coordinator", || {
            let status = self.run("status --timeout-ms 500");
            (status.stdout.matches(" up ").count() == 3).then_some(())
        });
    }

    /// Ends it once nothing that it began is open: what it left behind would be in doubt for good. Its clients hear of a commit
    /// before its nodes do.
    #[track_caller]
    pub(crate) fn leaves(self) {
        wait("the end of what the second coordinator began", || {
            let status = self.run("status --timeout-ms 500").stdout;
            status
                .contains(", 0 open, 0 committed but not acknowledged")
                .then_some(())
        });
    }
}
