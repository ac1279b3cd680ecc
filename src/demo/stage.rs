//! The cluster that a demo plays on: a fresh one of its own, or a running one that `twopence up` looks after.
//!
//! N1/A, N2/B and N3/C are the players. On a running cluster only what a demo changes is checked, so nobody else
//! should move these accounts' money meanwhile.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use client::{
    Amount, AuditVerdict, BalanceAnswer, Client, ClientConfig, Order, Outcome, Place, Reference, RequestId,
    Submission, Target,
};
use cluster::{Cluster, ClusterConfig, Log};
use protocol::message::{LinkState, TxnState};
use tempfile::TempDir;

use super::evidence::Evidence;
use super::wrong::Wrong;
use crate::cli::DemoArgs;
use crate::output::print_line;
use crate::up::interrupt::Interrupt;
use crate::up::lines;

/// The players, each on its own node.
pub(super) const PLAYERS: [&str; 3] = ["N1/A", "N2/B", "N3/C"];

/// What each player of a fresh cluster starts with.
const OPENING: i64 = 1000;

/// What each player needs.
const NEEDED: i64 = 500;

/// How long what is open may stay open once everything runs.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// How long a process may take to die or to come back.
const RETURN_MAX: Duration = Duration::from_secs(60);

/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(20);

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Stage {
    // Dropped in this order: the processes end before their files go.
    own: Option<Cluster>,
    dir: Option<TempDir>,
    config: ClientConfig,
    interrupt: Interrupt,
    /// What was said so far.
    told: RefCell<Vec<String>>,
}

impl Stage {
    /// Starts a cluster, or looks for the running one, and sees to it that the players have money.
    pub(super) fn set(args: &DemoArgs, interrupt: &Interrupt) -> Result<Stage, Wrong> {
        let stage = match &args.coord {
            Some(address) => {
                let mut config = ClientConfig::at([address.to_string()]);
                config.cluster = args.cluster.clone();
                Stage {
                    own: None,
                    dir: None,
                    config,
                    interrupt: interrupt.clone(),
                    told: RefCell::default(),
                }
            }
            None => Stage::own(args, interrupt)?,
        };
        let stage = Stage {
            config: ClientConfig {
                timeout: CALL_MAX,
                ..stage.config.clone()
            },
            ..stage
        };
        let mut client = stage.client();
        for place in PLAYERS.map(player) {
            let missing = match client.balance(place.clone())? {
                BalanceAnswer::Is(balance) => balance < NEEDED,
                BalanceAnswer::NoSuchAccount => true,
                BalanceAnswer::InDoubt { .. } => {
                    return Err(Wrong::Cluster(format!(
                        "{place} is in doubt: look at `twopence tx list`"
                    )));
                }
            };
            if missing {
                stage.deposit(&mut client, place)?;
            }
        }
        Ok(stage)
    }

    fn own(args: &DemoArgs, interrupt: &Interrupt) -> Result<Stage, Wrong> {
        let cannot = |what: &str, error: std::io::Error| Wrong::Cluster(format!("cannot {what}: {error}"));
        let binary = std::env::current_exe().map_err(|error| cannot("find this program", error))?;
        let dir = TempDir::with_prefix("twopence-demo-").map_err(|error| cannot("make a folder", error))?;
        let mut config = ClusterConfig::new(binary, dir.path());
        config.store = args.store.to_string();
        config.interrupt = interrupt.flag();
        if args.log_level >= log::LevelFilter::Info {
            config.log = Log::To(lines::printer(config.nodes));
        }
        let cluster = Cluster::start(config)?;
        let config = cluster.client_config();
        let stage = Stage {
            own: Some(cluster),
            dir: Some(dir),
            config,
            interrupt: interrupt.clone(),
            told: RefCell::default(),
        };
        stage.say(&format!(
            "A cluster of its own: a coordinator and three nodes with {} stores.",
            args.store
        ));
        Ok(stage)
    }

    fn deposit(&self, client: &mut Client, place: Place) -> Result<(), Wrong> {
        let amount = Amount::try_from(OPENING).expect("a good amount");
        let submission = client.submit(None, Order::deposit(place.clone(), amount))?;
        if !matches!(submission.outcome, Outcome::Committed { .. }) {
            return Err(Wrong::Cluster(format!(
                "cannot deposit in {place}: {}",
                submission.outcome
            )));
        }
        if self.own.is_none() {
            self.say(&format!(
                "Deposited {OPENING} in {place}: it had too little to play with."
            ));
        }
        Ok(())
    }

    /// A line of the story.
    pub(super) fn say(&self, text: &str) {
        print_line(&format!("   {text}"));
        self.told.borrow_mut().push(text.to_owned());
    }

    /// Everything that was said so far.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.borrow().clone()
    }

    /// Ends the demo's own cluster and looks at what it leaves. `None` on a cluster of somebody else.
    pub(super) fn evidence(&mut self) -> Option<Evidence> {
        let dir = self.dir.as_ref()?.path();
        let cluster = self.own.as_mut()?;
        // Each process's own words are those of its last life.
        let words = cluster
            .targets()
            .into_iter()
            .map(|target| (cluster::name(target), cluster.log_lines(target)));
        let words = words.collect();
        cluster.stop_all();
        Some(Evidence::collect(dir, words))
    }

    /// The cluster, if it is the demo's own.
    pub(super) fn cluster(&mut self) -> Option<&mut Cluster> {
        self.own.as_mut()
    }

    /// A new client.
    pub(super) fn client(&self) -> Client {
        Client::new(self.config.clone()).expect("it names a coordinator and a timeout")
    }

    /// How clients are configured.
    pub(super) fn client_config(&self) -> &ClientConfig {
        &self.config
    }

    /// Arms a failpoint and says so.
    pub(super) fn arm(&self, target: Target, failpoint: &str) -> Result<(), Wrong> {
        self.client().arm(target, failpoint)?;
        Ok(())
    }

    /// What the players hold.
    pub(super) fn balances(&self) -> Result<[i64; 3], Wrong> {
        let mut client = self.client();
        let mut balances = [0; 3];
        for (balance, name) in balances.iter_mut().zip(PLAYERS) {
            *balance = match client.balance(player(name))? {
                BalanceAnswer::Is(balance) => balance,
                BalanceAnswer::InDoubt { .. } => return Err(Wrong::Story(format!("{name} stays in doubt"))),
                BalanceAnswer::NoSuchAccount => return Err(Wrong::Money(format!("{name} is gone"))),
            };
        }
        Ok(balances)
    }

    /// Checks that the players hold what they did `before`, changed by `deltas`, and that no money was made or lost.
    pub(super) fn check(&self, before: [i64; 3], deltas: [i64; 3]) -> Result<(), Wrong> {
        let after = self.balances()?;
        self.say(&format!("Now: {}.", shown(after)));
        let expected = [
            before[0] + deltas[0],
            before[1] + deltas[1],
            before[2] + deltas[2],
        ];
        if after != expected {
            return Err(Wrong::Money(format!(
                "expected {}, found {}",
                shown(expected),
                shown(after)
            )));
        }
        let report = self.client().audit()?;
        match report.verdict {
            AuditVerdict::Exact => {
                self.say(&format!(
                    "Audit: {} brought in, {} in accounts.",
                    report.brought_in, report.in_accounts
                ));
                Ok(())
            }
            AuditVerdict::Violated => Err(Wrong::Money(format!(
                "{} was brought in, but {} is in accounts",
                report.brought_in, report.in_accounts
            ))),
            AuditVerdict::Incomplete(why) => {
                Err(Wrong::Story(format!("the audit could not see everything: {why}")))
            }
        }
    }

    /// Waits until no transaction is open anywhere.
    pub(super) fn settle(&self) -> Result<(), Wrong> {
        let mut client = self.client();
        let began = Instant::now();
        loop {
            let seen = match client.list(false) {
                Ok(open) if open.is_empty() => return Ok(()),
                Ok(open) => format!("still open: {}", open[0].txn),
                Err(error) => error.to_string(),
            };
            if began.elapsed() > SETTLE_MAX {
                let limit = SETTLE_MAX.as_secs();
                return Err(Wrong::Story(format!(
                    "something is still in doubt after {limit} s: {seen}"
                )));
            }
            self.pause()?;
        }
    }

    /// Waits until an armed process has killed itself, and until it is back: started again by us, or by whoever looks
    /// after a running cluster.
    pub(super) fn see_die_and_return(&mut self, target: Target, epoch_before: u32) -> Result<(), Wrong> {
        let name = cluster::name(target);
        let exit = match &mut self.own {
            Some(cluster) => Some(cluster.wait_exit(target, RETURN_MAX)?),
            None => None,
        };
        if let Some(exit) = exit {
            self.say(&format!("{name} {}. We start it again.", exit.how()));
            return self
                .own
                .as_mut()
                .map_or(Ok(()), |cluster| Ok(cluster.restart(target)?));
        }
        self.say(&format!(
            "{name} kills itself. Whoever looks after the cluster starts it again."
        ));
        let mut was_down = false;
        let began = Instant::now();
        let mut client = self.client_for(Duration::from_secs(1));
        loop {
            let back = match (client.status(), target) {
                // It answers before its nodes do, and then nobody can tell yet what is open.
                (Ok(status), Target::Coordinator) => {
                    let is_up = |link: &LinkState| matches!(link, LinkState::Up(..));
                    status.coordinator.epoch > epoch_before && status.nodes.iter().all(is_up)
                }
                (Ok(status), Target::Node(node)) => {
                    let is_up = |link: &LinkState| matches!(link, LinkState::Up(up, _) if *up == node);
                    let up = status.nodes.iter().any(is_up);
                    was_down |= !up;
                    up && was_down
                }
                (Err(_), _) => false,
            };
            if back {
                self.say(&format!("{name} is back."));
                return Ok(());
            }
            if began.elapsed() > RETURN_MAX {
                return Err(Wrong::Cluster(format!(
                    "{name} did not come back: start it again, and look at `tx list`"
                )));
            }
            self.pause()?;
        }
    }

    /// The coordinator's start counter.
    pub(super) fn epoch(&self) -> Result<u32, Wrong> {
        Ok(self.client().status()?.coordinator.epoch)
    }

    /// A client that does not wait long.
    pub(super) fn client_for(&self, timeout: Duration) -> Client {
        let config = ClientConfig {
            timeout,
            ..self.config.clone()
        };
        Client::new(config).expect("it names a coordinator and a timeout")
    }

    /// A moment between two looks.
    pub(super) fn pause(&self) -> Result<(), Wrong> {
        thread::sleep(POLL);
        if self.interrupt.came() {
            Err(Wrong::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Checks that no two nodes tell different ends of a request's transaction, and that none still waits.
    pub(super) fn see_agreement(&self, request: RequestId) -> Result<(), Wrong> {
        let report = self.client().show(Reference::Request(request))?;
        let (mut committed, mut aborted, mut lines) = (false, false, Vec::new());
        for (node, view) in &report.nodes {
            let Some(view) = view else {
                return Err(Wrong::Story(format!(
                    "{node} does not say how the transaction ended"
                )));
            };
            match view.state {
                TxnState::Unknown | TxnState::Forgotten => continue,
                TxnState::Prepared => return Err(Wrong::Story(format!("{node} is still in doubt"))),
                TxnState::Committed => committed = true,
                TxnState::Aborted(_) => aborted = true,
            }
            lines.push(format!("{node} {}", view.state));
        }
        if committed && aborted {
            return Err(Wrong::Money(format!("the nodes disagree: {}", lines.join(", "))));
        }
        self.say(&format!("Nothing is in doubt any more: {}.", lines.join(", ")));
        Ok(())
    }

    /// Sends a request again under its id, as a client that got no answer does. The outcome must be as expected, and
    /// nothing may happen twice; the caller checks the balances afterwards.
    pub(super) fn ask_again(&self, request: RequestId, order: &Order, commits: bool) -> Result<(), Wrong> {
        let submission = self.client().submit(Some(request), order.clone())?;
        self.say(&format!(
            "Asked again under the same request id: {}.",
            outcome(&submission)
        ));
        match (&submission.outcome, commits) {
            (Outcome::Committed { .. }, true) | (Outcome::Aborted { .. }, false) => Ok(()),
            (other, _) => {
                let expected = if commits { "committed" } else { "aborted" };
                Err(Wrong::Story(format!(
                    "it must be {expected}, and the answer is: {other}"
                )))
            }
        }
    }
}

/// An account by its text.
pub(super) fn player(name: &str) -> Place {
    name.parse().expect("a player is well formed")
}

/// A transfer between two players.
pub(super) fn order(from: &str, to: &str, amount: i64) -> Order {
    let amount = Amount::try_from(amount).expect("a good amount");
    Order::transfer(player(from), player(to), amount).expect("two different accounts")
}

/// Balances in one line.
pub(super) fn shown(balances: [i64; 3]) -> String {
    let each: Vec<String> = PLAYERS
        .iter()
        .zip(balances)
        .map(|(name, balance)| format!("{name} {balance}"))
        .collect();
    each.join(", ")
}

/// An outcome in words.
pub(super) fn outcome(submission: &Submission) -> String {
    match &submission.outcome {
        Outcome::Committed { txn } => format!("committed by transaction {txn}"),
        Outcome::Aborted { refusal, .. } => format!("aborted, {}; no money moved", refusal.reason),
        Outcome::Unknown { why } => format!("unknown ({why})"),
        other @ (Outcome::Reused | Outcome::Rejected { .. }) => other.to_string(),
    }
}
