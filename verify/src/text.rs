//! A report in words.

use std::fmt;

use protocol::message::OperatorWord;

use crate::decided::words;
use crate::report::{
    CoordinatorWord, Forced, InDoubt, Invariant, Open, Report, StoreLine, Sum, Unchecked, Violation,
};

impl Invariant {
    /// What it says.
    pub fn what(self) -> &'static str {
        match self {
            Invariant::V1 => "conservation",
            Invariant::V2 => "no overdraft",
            Invariant::V3 => "all or nothing",
            Invariant::V4 => "told is true",
            Invariant::V5 => "exactly once",
            Invariant::V6 => "version chain",
            Invariant::V9 => "holds",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} {}", self.what())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.store)?;
        if let Some(seq) = self.seq {
            write!(f, ", record {seq}")?;
        }
        if let Some(txn) = self.txn {
            write!(f, ", transaction {txn}")?;
        }
        write!(f, ": expected: {}; found: {}", self.expected, self.found)
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}: {}", self.invariant, self.why),
            count => write!(f, "{}, {count} times: {}", self.invariant, self.why),
        }
    }
}

impl fmt::Display for StoreLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreLine {
            name, kind, through, ..
        } = self;
        write!(f, "{name} ({kind}): ")?;
        match self.checked_from {
            Some(0) => write!(f, "every state up to record {through} checked")?,
            Some(from) => write!(f, "every state from record {from} to {through} checked")?,
            None => write!(f, "its state at record {through} checked")?,
        }
        if self.accounts > 0 {
            write!(f, ", {}", count(self.accounts, "account"))?;
        }
        Ok(())
    }
}

/// A number of things.
fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

impl fmt::Display for InDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self.coordinator {
            CoordinatorWord::Commit => "its coordinator has COMMIT on disk",
            CoordinatorWord::Abort => "its coordinator has no COMMIT, which means abort",
            CoordinatorWord::Undecided => "its coordinator has not decided, and aborts when it starts",
            CoordinatorWord::Unknown if self.counts_as == OperatorWord::Commit => "it is committed elsewhere",
            CoordinatorWord::Unknown => "what its coordinator decided is not known here",
        };
        let operations = words(&self.operations);
        write!(
            f,
            "{} at {}: {operations}, since record {}: {said}",
            self.txn, self.node, self.since
        )
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<String> = self.participants.iter().map(ToString::to_string).collect();
        let how = match self.committed {
            Some(_) => "to commit",
            None if nodes.len() == 1 => "its node decides",
            None => "to abort",
        };
        write!(f, "{} with {}: {how}", self.txn, nodes.join(", "))
    }
}

impl fmt::Display for Forced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forced::Outcome {
                txn,
                node,
                seq,
                word,
                why,
                elsewhere,
            } => {
                write!(f, "{txn} at {node}, record {seq}: forced to {word}")?;
                if let Some(why) = why {
                    write!(f, " ({why})")?;
                }
                match elsewhere {
                    None => write!(f, "; how it was decided is not known"),
                    Some(elsewhere) if elsewhere == word => write!(f, ", as it was decided"),
                    Some(elsewhere) => write!(
                        f,
                        ", but it ended with {elsewhere} elsewhere: money is wrong by this node's part of it"
                    ),
                }
            }
            Forced::GivenUp { txn, node } => {
                write!(
                    f,
                    "{txn} at {node}: lost with a store that an operator replaced and adopted"
                )
            }
            Forced::LogAccepted { txn, coordinator } => write!(
                f,
                "{txn}: its COMMIT is lost with records of coordinator {coordinator}, whose log an operator may have \
                 accepted as it is"
            ),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for store in &self.stores {
            writeln!(f, "{store}")?;
            store
                .notices
                .iter()
                .try_for_each(|notice| writeln!(f, "  {notice}"))?;
            store
                .damage
                .iter()
                .try_for_each(|damage| writeln!(f, "  DAMAGED: {damage}"))?;
        }
        let known = count(self.transactions, "transaction");
        writeln!(f, "{known} known, {} of them committed", self.committed)?;
        let Sum {
            found, brought_in, ..
        } = self.sum;
        let in_accounts = found + brought_in;
        let which = if self.is_complete() { "all" } else { "these" };
        write!(
            f,
            "{in_accounts} in accounts, {brought_in} brought in: {which} balances add up to {found}"
        )?;
        if self.sum.in_doubt != 0 {
            write!(
                f,
                ", and to {} with what is in doubt as decided",
                self.sum.found + self.sum.in_doubt
            )?;
        }
        if self.sum.forced != 0 {
            write!(f, ", and to {} without what operators forced", self.sum.total())?;
        }
        writeln!(f)?;
        section(f, "In doubt, with their accounts held", &self.in_doubt)?;
        section(f, "Not finished by their coordinator", &self.open)?;
        section(f, "Done by operators", &self.forced)?;
        section(f, "Not checked", &self.unchecked)?;
        section(f, "VIOLATED", &self.violations)
    }
}

fn section<T: fmt::Display>(f: &mut fmt::Formatter<'_>, title: &str, lines: &[T]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}
