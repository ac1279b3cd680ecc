//! What a run leaves in writing: for people, and the same for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::finding::Finding;
use super::history::Answers;
use super::times::Spread;
use super::verdict::{Line, Word};
use super::watch::Audits;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    /// Everything that was judged holds.
    Held,
    /// An invariant was violated.
    Violated,
    /// It proved nothing.
    Unfinished,
}

/// How the cluster was set up.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    pub(super) version: &'static str,
    pub(super) store: String,
    /// The conflict policies, one a round in turn.
    pub(super) locking: Vec<String>,
    pub(super) power_cut: bool,
    pub(super) seed: u64,
    pub(super) nodes: u16,
    pub(super) clients: u16,
    pub(super) asked_for_s: u64,
    /// The command that repeats the schedule of faults.
    pub(super) repeat: String,
}

/// Everything there is to say about a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) ending: Ending,
    /// Why it is unfinished, or that it was interrupted.
    pub(super) remark: Option<String>,
    pub(super) settings: Settings,
    pub(super) lasted_s: u64,
    /// For how long the machine itself did not run.
    pub(super) stalled_s: u64,
    /// Rounds that came to rest and were checked.
    pub(super) rounds: u32,
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) answers: Answers,
    pub(super) latency: Spread,
    /// From the end of a fault to the first commit that needed what it had hit.
    pub(super) recovery: BTreeMap<&'static str, Spread>,
    pub(super) audits: Audits,
    pub(super) verdict: Vec<Line>,
    pub(super) violations: Vec<Finding>,
    /// The offline check of the stores.
    pub(super) stores: Option<verify::Report>,
    /// Where the stores and logs are, if they were kept.
    pub(super) kept: Option<PathBuf>,
}

impl Report {
    /// Writes both forms into `dir`.
    ///
    /// # Errors
    /// If the system does not let us.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("crash-test.txt"), self.to_string())?;
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        fs::write(dir.join("crash-test.json"), json)
    }

    fn headline(&self) -> String {
        match self.ending {
            Ending::Held => "No invariant was violated.".to_owned(),
            Ending::Violated => format!(
                "VIOLATED: {} of what must always hold does not.",
                self.verdict
                    .iter()
                    .filter(|line| line.word == Word::Violated)
                    .count()
            ),
            Ending::Unfinished => "Unfinished: this proves nothing.".to_owned(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        let death = if settings.power_cut {
            "kill -9 is a power cut"
        } else {
            "kill -9 leaves the page cache"
        };
        writeln!(f, "Crash test, twopence {}", settings.version)?;
        writeln!(
            f,
            "  {} {} nodes ({}), {} clients, {death}, seed {}; {} s in {} round{} of {} s asked for\n",
            settings.nodes,
            settings.store,
            settings.locking.join(", "),
            settings.clients,
            settings.seed,
            self.lasted_s,
            self.rounds,
            if self.rounds == 1 { "" } else { "s" },
            settings.asked_for_s
        )?;
        self.faults(f)?;
        self.answers(f)?;
        self.stores(f)?;
        f.write_char('\n')?;
        for line in &self.verdict {
            let word = match &line.word {
                Word::Holds | Word::HoldsBut(_) => "holds",
                Word::Violated => "VIOLATED",
                Word::NotJudged(_) => "not judged",
            };
            write!(f, "  {:<4} {word:<11} {}", line.rule.to_string(), line.says)?;
            match &line.word {
                Word::NotJudged(why) | Word::HoldsBut(why) => writeln!(f, "\n                   {why}")?,
                Word::Holds | Word::Violated => f.write_char('\n')?,
            }
        }
        writeln!(f, "\n{}", self.headline())?;
        if let Some(remark) = &self.remark {
            writeln!(f, "{remark}")?;
        }
        if self.stalled_s > 0 {
            writeln!(
                f,
                "The machine itself stood still for {} s in all, which counts as nobody's delay.",
                self.stalled_s
            )?;
        }
        self.violations(f)?;
        if let Some(dir) = &self.kept {
            writeln!(f, "Stores and logs are kept in {}", dir.display())?;
        }
        if self.ending != Ending::Held {
            writeln!(
                f,
                "The same schedule of faults again (what each one hits depends on real time):\n  {}",
                settings.repeat
            )?;
        }
        Ok(())
    }
}

/// Violations that are written out; the file for programs has them all.
const SHOWN_MAX: usize = 20;

impl Report {
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:>7}  faults; then the time to the first commit that needed what was hit",
            self.faults.values().sum::<u64>()
        )?;
        for (name, count) in &self.faults {
            write!(f, "  {count:>7}  {name}")?;
            match self.recovery.get(name) {
                Some(spread) => writeln!(f, "; {} ms, at most {} ms", spread.p50_ms, spread.longest_ms)?,
                None => f.write_char('\n')?,
            }
        }
        f.write_char('\n')
    }

    fn answers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answers {
            committed,
            aborted_for_lack_of_money,
            aborted_over_a_conflict,
            aborted_otherwise,
            unknown_at_first,
            repeats,
        } = &self.answers;
        writeln!(
            f,
            "  {committed:>7}  requests committed; half within {} ms, 99 % within {} ms, all within {} ms",
            self.latency.p50_ms, self.latency.p99_ms, self.latency.longest_ms
        )?;
        writeln!(f, "  {aborted_over_a_conflict:>7}  aborted over a conflict")?;
        writeln!(f, "  {aborted_for_lack_of_money:>7}  aborted for lack of money")?;
        writeln!(f, "  {aborted_otherwise:>7}  aborted otherwise")?;
        writeln!(f, "  {unknown_at_first:>7}  without an answer at first")?;
        writeln!(f, "  {repeats:>7}  times a request was sent again under its id")?;
        let Audits {
            exact,
            incomplete,
            unanswered,
            violated,
        } = &self.audits;
        writeln!(
            f,
            "  {exact:>7}  audits exact, {incomplete} incomplete, {unanswered} without an answer, {violated} wrong"
        )
    }

    fn stores(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(report) = &self.stores else {
            return Ok(());
        };
        for store in &report.stores {
            writeln!(
                f,
                "  {:>7}  records in the store of {}",
                store.through, store.name
            )?;
        }
        Ok(())
    }

    fn violations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in self.violations.iter().take(SHOWN_MAX) {
            writeln!(
                f,
                "  {}: {}\n      look at {}",
                finding.rule, finding.what, finding.look
            )?;
        }
        if self.violations.len() > SHOWN_MAX {
            writeln!(f, "  and {} more", self.violations.len() - SHOWN_MAX)?;
        }
        Ok(())
    }
}
