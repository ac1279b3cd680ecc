//! The cluster that is measured: one of our own, started for it on the disk in question, or one that runs already.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use client::{Amount, Answer, Ask, RequestId, fresh_request_id};
use client::{
    AuditVerdict, Client, ClientConfig, ClusterStatus, Error, NodeId, Order, Outcome, Pipeline, Target,
};
use cluster::{Cluster, ClusterConfig, Log, name};
use tempfile::TempDir;

use crate::names::{Name, Nodes};
use crate::options::Options;
use crate::usage::{Usage, forget_peak};

/// What every account holds at first: more than any load can take out of one.
const OPENING: i64 = 1_000_000_000;

/// Deposits that are sent at once while accounts are opened. Twice as many are in flight at the most.
const DEPOSITS: u16 = 512;

/// How long an answer to a deposit may take.
const DEPOSIT_PATIENCE: Duration = Duration::from_secs(30);

/// How long an audit is tried again that could not see everything.
const AUDIT_PATIENCE: Duration = Duration::from_secs(20);

/// How long a node may take to come back.
const RESTART_PATIENCE: Duration = Duration::from_secs(120);

/// What a node has on disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    /// Bytes of the log; 0 for a store without one.
    pub(crate) log: u64,
    /// Bytes of all files.
    pub(crate) all: u64,
}

/// A cluster, and how to reach it.
#[derive(Debug)]
pub struct Site {
    /// One configuration for each coordinator.
    pub coordinators: Vec<ClientConfig>,
    /// Its nodes.
    pub nodes: Nodes,
    /// Processes of our own, stopped when this is dropped.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    // In this order: the processes go before their files do.
    cluster: Cluster,
    dir: TempDir,
}

impl Site {
    /// Starts a cluster with `store` and opens its accounts, or opens accounts in the one that `options` name.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn open(options: &Options, store: &str) -> Result<Site, String> {
        match &options.running {
            Some(config) => Site::join(config, options),
            None => Site::start(options, store),
        }
    }

    fn start(options: &Options, store: &str) -> Result<Site, String> {
        let dir = TempDir::with_prefix_in("twopence-bench-", &options.dir);
        let dir =
            dir.map_err(|error| format!("cannot make a directory in {}: {error}", options.dir.display()))?;
        let data = dir.path().join("data");
        let mut config = ClusterConfig::new(&options.binary, &data);
        config.store = store.to_owned();
        config.locking.clone_from(&options.locking);
        config.nodes = options.nodes;
        config.coordinators = options.coordinators;
        config.node_args.clone_from(&options.node_args);
        config.log = Log::Kept;
        config.enable_failpoints = false;
        config.log_level = "warn".to_owned();
        config.interrupt.clone_from(&options.interrupt);
        let nodes = Nodes::new(config.node_ids());
        let adopted = store == "json";
        if adopted {
            write_balances(&data, &nodes, options.accounts)
                .map_err(|error| format!("cannot write balances into {}: {error}", data.display()))?;
        }
        let cluster = Cluster::start(config).map_err(|error| error.to_string())?;
        let each = |address: String| ClientConfig {
            coordinators: vec![address],
            ..cluster.client_config()
        };
        let site = Site {
            coordinators: cluster.coordinators().into_iter().map(each).collect(),
            nodes,
            own: Some(Own { cluster, dir }),
        };
        if !adopted {
            site.deposit(options)?;
        }
        Ok(site)
    }

    fn join(config: &ClientConfig, options: &Options) -> Result<Site, String> {
        let each = |address: &String| ClientConfig {
            coordinators: vec![address.clone()],
            ..config.clone()
        };
        let coordinators: Vec<ClientConfig> = config.coordinators.iter().map(each).collect();
        let mut site = Site {
            coordinators,
            nodes: Nodes::new(Vec::new()),
            own: None,
        };
        let status = site.status()?;
        let nodes: Vec<NodeId> = status.nodes.iter().map(|link| link.node()).collect();
        if nodes.is_empty() {
            return Err("the cluster has no nodes".to_owned());
        }
        site.nodes = Nodes::new(nodes);
        site.deposit(options)?;
        Ok(site)
    }

    /// Opens every account, or puts more into it, by deposits.
    fn deposit(&self, options: &Options) -> Result<(), String> {
        let text = |error: Error| format!("cannot open the accounts: {error}");
        let amount = Amount::try_from(OPENING).expect("in range");
        let mut pipeline = Pipeline::connect(&self.coordinators[0]).map_err(text)?;
        let first = fresh_request_id();
        let mut next = 0;
        while next < options.accounts || pipeline.in_flight() > 0 {
            if next < options.accounts && pipeline.in_flight() <= usize::from(DEPOSITS) {
                let upto = options.accounts.min(next + u64::from(DEPOSITS));
                let deposit = |account: u64| Ask::Submit {
                    request: RequestId(first.0.wrapping_add(u128::from(account))),
                    repeated: false,
                    order: Order::deposit(self.nodes.place(account), amount),
                };
                pipeline.send_batch((next..upto).map(deposit)).map_err(text)?;
                next = upto;
            }
            match pipeline.receive(DEPOSIT_PATIENCE).map_err(text)? {
                Some((_, Answer::Outcome(Outcome::Committed { .. }))) => {}
                Some((_, answer)) => {
                    return Err(format!(
                        "cannot open the accounts: a deposit was answered: {answer}"
                    ));
                }
                None => return Err("cannot open the accounts: a deposit was not answered".to_owned()),
            }
            options.check_interrupt()?;
        }
        Ok(())
    }

    /// Where the stores are, if they are ours.
    pub fn dir(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.dir.path())
    }

    /// The processes by name, if they are ours: process ids.
    fn pids(&self) -> Vec<(String, u32)> {
        let Some(Own { cluster, .. }) = &self.own else {
            return Vec::new();
        };
        let first = |target: Target| Some((name(target), cluster.pid(target)?));
        let all = cluster.targets().into_iter().filter_map(first);
        all.chain(cluster.more_coordinators()).collect()
    }

    /// What each process of ours has used, by name.
    pub fn usages(&self) -> Vec<(String, Usage)> {
        let used = |(name, pid): (String, u32)| Some((name, Usage::of(pid)?));
        self.pids().into_iter().filter_map(used).collect()
    }

    /// What the nodes and the first coordinator have warned of so far, if they are ours, each line behind its process's name.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Some(Own { cluster, .. }) = &self.own else {
            return Vec::new();
        };
        let lines = |target: Target| {
            let lines = cluster.log_lines(target).into_iter();
            lines.map(move |line| format!("{}: {line}", name(target)))
        };
        cluster.targets().into_iter().flat_map(lines).collect()
    }

    /// From now on, the peaks of memory are those since now.
    pub(crate) fn forget_peaks(&self) {
        for (_, pid) in self.pids() {
            forget_peak(pid);
        }
    }

    /// Kills a node of ours at once.
    pub(crate) fn kill(&mut self, node: NodeId) {
        if let Some(own) = &mut self.own {
            own.cluster.kill9(Target::Node(node));
        }
    }

    /// Starts a node of ours that was killed: how long until it listens, and until it takes part again.
    pub(crate) fn restart(&mut self, node: NodeId) -> Result<(Duration, Duration), String> {
        let Some(Own { cluster, .. }) = &mut self.own else {
            return Err("only a cluster of our own is broken".to_owned());
        };
        let target = Target::Node(node);
        let begin = Instant::now();
        cluster.launch(target, &[]).map_err(|error| error.to_string())?;
        let wait = |what: &mut dyn FnMut() -> bool| {
            while !what() {
                if begin.elapsed() > RESTART_PATIENCE {
                    return Err(format!(
                        "{node} was not back after {} s",
                        RESTART_PATIENCE.as_secs()
                    ));
                }
                thread::sleep(Duration::from_millis(2));
            }
            Ok(begin.elapsed())
        };
        let address = cluster.address(target);
        let listens = wait(&mut || TcpStream::connect(&address).is_ok())?;
        let takes_part = wait(&mut || cluster.takes_part(target))?;
        Ok((listens, takes_part))
    }

    /// Bytes of a node's log and of all its files, if it is ours.
    pub(crate) fn stored(&self, node: NodeId) -> Option<Stored> {
        let data = self.dir()?.join("data");
        let mut stored = Stored::default();
        for (path, len) in files(&data) {
            let name = path.strip_prefix(&data).ok()?.to_string_lossy().into_owned();
            if name.starts_with(&format!("node_{node}")) {
                stored.all += len;
                if name.starts_with(&format!("node_{node}_log")) {
                    stored.log += len;
                }
            }
        }
        Some(stored)
    }

    /// The cluster as its first coordinator sees it.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn status(&self) -> Result<ClusterStatus, String> {
        self.client()?.status().map_err(|error| error.to_string())
    }

    /// Whether all the money is there. An audit that could not see everything is repeated for a while.
    ///
    /// # Errors
    /// A text that says what failed.
    pub fn audit(&self) -> Result<AuditVerdict, String> {
        let mut client = self.client()?;
        let until = Instant::now() + AUDIT_PATIENCE;
        loop {
            let report = client.audit().map_err(|error| error.to_string())?;
            let unseen = matches!(report.verdict, AuditVerdict::Incomplete(_));
            if !unseen || Instant::now() >= until {
                return Ok(report.verdict);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn client(&self) -> Result<Client, String> {
        Client::new(self.coordinators[0].clone()).map_err(|error| error.to_string())
    }
}

/// Every file below `dir` and its length. One that goes away meanwhile is left out.
fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(files(&entry.path())),
            Ok(metadata) => found.push((entry.path(), metadata.len())),
            Err(_) => {}
        }
    }
    found
}

/// A file of balances for each node, as a person might write one: a node adopts it on its first start.
fn write_balances(dir: &Path, nodes: &Nodes, accounts: u64) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (index, node) in (0_u64..).zip(nodes.all()) {
        let mut file = BufWriter::new(File::create(dir.join(format!("node_{node}_state.json")))?);
        file.write_all(b"{")?;
        let mine = (index..accounts).step_by(nodes.all().len());
        for (count, account) in mine.enumerate() {
            let gap = if count == 0 { "" } else { "," };
            write!(file, "{gap}\n\"{}\": {OPENING}", Name::of(account).as_str())?;
        }
        file.write_all(b"\n}\n")?;
        file.flush()?;
    }
    Ok(())
}
