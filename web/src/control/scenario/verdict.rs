//! What is to be said about a death in the middle of a transfer? Computed from facts, and wrong things are called wrong.

use client::{NodeId, Outcome, TxnId};

use super::Verdict;
use super::stage::Money;
use crate::control::OnDisk;

/// What the client heard that sent the request, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Answer(Outcome),
    /// Nothing that tells an outcome: why.
    Nothing(String),
}

/// All that is known about a death.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub(super) name: String,
    pub(super) is_coordinator: bool,
    /// Whether the transfer has to do with this process at all.
    pub(super) takes_part: bool,
    /// The node that decides alone, if only one takes part.
    pub(super) alone: Option<NodeId>,
    /// Where it was to die; `None` for "wherever it is".
    pub(super) point: Option<String>,
    /// Whether it came there.
    pub(super) reached: bool,
    /// How long it stood still there first.
    pub(super) stayed_ms: Option<u128>,
    /// How long after the transfer was sent it was killed.
    pub(super) after_ms: Option<u128>,
    pub(super) txn: Option<TxnId>,
    /// What its store said of the transaction while it was dead, or why that could not be read.
    pub(super) on_disk: Result<OnDisk, String>,
    /// How long before the death COMMIT was written.
    pub(super) committed_ms_before: Option<u64>,
    pub(super) heard: Heard,
    /// What it found in its log when it was started again.
    pub(super) recovery: Option<String>,
    /// What the request's id is answered with now; `None` if nobody knows it, and it was not sent again.
    pub(super) outcome: Option<Outcome>,
    /// Whether the participants tell different ends.
    pub(super) disagree: bool,
    /// Whether others moved money meanwhile.
    pub(super) others_moved: bool,
    /// What each account gains or loses if it commits.
    pub(super) expected: Vec<i64>,
    pub(super) before: Money,
    pub(super) after: Money,
}

impl Death {
    /// The verdict.
    pub(super) fn verdict(&self) -> Verdict {
        let wrong = self.wrong();
        let mut text = match &wrong {
            Some(wrong) => format!("This must not happen: {wrong}"),
            None => self.story(),
        };
        text = format!("{text}; {}.", self.after.equation());
        let ended = match self.committed() {
            Some(true) => "the transfer committed",
            Some(false) => "no money moved",
            None => "the outcome is not known yet",
        };
        Verdict {
            ok: wrong.is_none(),
            title: match &wrong {
                Some(_) => format!("{} died, and something is wrong", self.name()),
                None => format!("{} died; {ended}", self.name()),
            },
            text,
            facts: self.facts(),
            conserved: self.after.equation(),
        }
    }

    /// Whether it committed, if anybody can tell.
    fn committed(&self) -> Option<bool> {
        match &self.outcome {
            Some(Outcome::Committed { .. }) => Some(true),
            Some(Outcome::Aborted { .. } | Outcome::Reused | Outcome::Rejected { .. }) | None => Some(false),
            Some(Outcome::Unknown { .. }) => None,
        }
    }

    /// What cannot be, if the program does what it promises.
    fn wrong(&self) -> Option<String> {
        let committed = self.committed();
        if !self.after.is_whole() {
            return Some(format!(
                "{} was brought in, and {} is in accounts",
                self.after.brought_in, self.after.in_accounts
            ));
        }
        if self.disagree {
            return Some("one node has committed and another has aborted".to_owned());
        }
        let decided = matches!(self.on_disk, Ok(OnDisk::Committed | OnDisk::Complete));
        if decided && committed == Some(false) {
            return Some("COMMIT was on disk, and yet it did not commit".to_owned());
        }
        // Nothing at all can also mean that it had ended long before.
        let undecided = matches!(self.on_disk, Ok(OnDisk::Begun | OnDisk::Aborted));
        if self.is_coordinator && self.alone.is_none() && undecided && committed == Some(true) {
            return Some("no COMMIT was on disk, and yet it committed".to_owned());
        }
        let told_committed = matches!(self.heard, Heard::Answer(Outcome::Committed { .. }));
        if told_committed && committed == Some(false) {
            return Some("the client was told that it committed, and it did not".to_owned());
        }
        let told_aborted = matches!(self.heard, Heard::Answer(Outcome::Aborted { .. }));
        if told_aborted && committed == Some(true) {
            return Some("the client was told that it aborted, and it committed".to_owned());
        }
        if committed.is_none() {
            return Some("nobody can tell the outcome although everything runs".to_owned());
        }
        if !self.others_moved && !self.balances_fit(committed == Some(true)) {
            return Some(format!(
                "the balances are not what the outcome says: {}",
                self.after.change_since(&self.before)
            ));
        }
        None
    }

    fn balances_fit(&self, committed: bool) -> bool {
        let pairs = self.before.balances.iter().zip(&self.after.balances);
        pairs.zip(&self.expected).all(|(((_, then), (_, now)), delta)| {
            let delta = if committed { *delta } else { 0 };
            match (then, now) {
                (Some(then), Some(now)) => then.checked_add(delta) == Some(*now),
                (None, Some(now)) => *now == delta,
                (None, None) => delta == 0,
                (Some(_), None) => false,
            }
        })
    }

    /// Why it came out as it did, without a full stop.
    fn story(&self) -> String {
        let committed = self.committed() == Some(true);
        let never = match (&self.point, self.reached) {
            (Some(point), false) => {
                let name = self.name.replace("coordinator", "the coordinator");
                format!("The transfer never came to {point} at {name}, which was killed afterwards. ")
            }
            (_, _) => String::new(),
        };
        let story = if !self.takes_part {
            format!(
                "{} takes no part in this transfer, so its death changed nothing: it {}",
                self.name,
                if committed { "committed" } else { "aborted" }
            )
        } else if self.is_coordinator
            && let Some(node) = self.alone
        {
            format!(
                "{node} alone has a part in this and decides, so the coordinator only had to ask it again: it {}",
                if committed {
                    "committed"
                } else {
                    "aborted, and no money moved"
                }
            )
        } else if self.is_coordinator {
            self.coordinators_story(committed)
        } else {
            self.nodes_story(committed)
        };
        format!("{never}{story}")
    }

    fn coordinators_story(&self, committed: bool) -> String {
        let reason = match &self.heard {
            Heard::Answer(Outcome::Aborted { refusal, .. }) => format!(" ({})", refusal.reason),
            Heard::Answer(_) | Heard::Nothing(_) => String::new(),
        };
        match (&self.on_disk, committed) {
            (Ok(OnDisk::Committed), true) => {
                format!(
                    "COMMIT was on disk {} the crash, so recovery committed it",
                    self.before_the_crash()
                )
            }
            (Ok(OnDisk::Complete), _) | (Ok(OnDisk::Nothing), true) => {
                "It had committed everywhere before the crash, so there was nothing left to recover".to_owned()
            }
            (Ok(OnDisk::Begun), _) => {
                "No COMMIT was on disk when the coordinator died, so recovery aborted it and no money moved".to_owned()
            }
            (Ok(OnDisk::Aborted), _) => format!("It had aborted before the crash{reason}, and no money moved"),
            (_, false) if !reason.is_empty() => {
                format!("It had aborted before the crash{reason}, and no money moved")
            }
            (Ok(OnDisk::Nothing), false) => {
                "Nothing about it was on disk when the coordinator died, and no record means abort: no money moved"
                    .to_owned()
            }
            (Ok(OnDisk::Promised) | Err(_), true) => "It committed in the end".to_owned(),
            (Ok(OnDisk::Committed | OnDisk::Promised) | Err(_), false) => {
                "It aborted in the end, and no money moved".to_owned()
            }
        }
    }

    fn before_the_crash(&self) -> String {
        match self.committed_ms_before {
            None => "before".to_owned(),
            Some(0) => "just before".to_owned(),
            Some(ms) => format!("{ms} ms before"),
        }
    }

    fn nodes_story(&self, committed: bool) -> String {
        let name = &self.name;
        match (&self.on_disk, committed) {
            (Ok(OnDisk::Promised), true) => format!(
                "{name}'s YES was on its disk when it died, so the transfer committed, and {name} caught up when it was back"
            ),
            (Ok(OnDisk::Promised), false) => format!(
                "{name}'s YES was on its disk when it died, but the coordinator could not count on it and aborted; {name} \
                 asked when it was back and let go of what it held: no money moved"
            ),
            (Ok(OnDisk::Committed | OnDisk::Complete), true) => format!(
                "{name} had applied it before it died, and did not apply it twice when it was told again"
            ),
            (Ok(OnDisk::Aborted), _) => {
                format!("It had aborted at {name} before it died, and no money moved")
            }
            (Ok(OnDisk::Nothing | OnDisk::Begun), false) => format!(
                "{name} died before its promise was on its disk, so the transfer aborted and no money moved"
            ),
            (Ok(OnDisk::Nothing | OnDisk::Begun), true) => format!(
                "It had committed everywhere before {name} died, so long before that {name} had forgotten it"
            ),
            (Ok(OnDisk::Committed | OnDisk::Complete) | Err(_), false) => {
                "It aborted in the end, and no money moved".to_owned()
            }
            (Err(_), true) => "It committed in the end".to_owned(),
        }
    }

    fn name(&self) -> String {
        if self.is_coordinator {
            "The coordinator".to_owned()
        } else {
            self.name.clone()
        }
    }

    fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        let name = self.name();
        facts.push(match (&self.point, self.reached, self.stayed_ms, self.after_ms) {
            (Some(point), true, None, _) => format!("{name} was killed (SIGKILL) at {point}."),
            (Some(point), true, Some(ms), _) => {
                format!("{name} came to {point}, stood still there for {ms} ms, and was killed (SIGKILL).")
            }
            (Some(point), false, _, _) => {
                format!(
                    "{name} did not come to {point} during this transfer; it was killed (SIGKILL) afterwards."
                )
            }
            (None, _, _, ms) => format!(
                "{name} was killed (SIGKILL) {} ms after the transfer was sent.",
                ms.unwrap_or_default()
            ),
        });
        if let Some(txn) = self.txn {
            facts.push(format!("It was transaction {txn}."));
        }
        facts.push(match &self.on_disk {
            Ok(on_disk) => format!(
                "Its disk, read while it was dead: {}.",
                self.disk_in_words(*on_disk)
            ),
            Err(why) => format!("Its disk could not be read while it was dead: {why}"),
        });
        facts.push(match &self.heard {
            Heard::Answer(outcome) => format!("The client was told: {outcome}."),
            Heard::Nothing(why) => {
                format!("The client was told nothing ({why}): to it the outcome was unknown.")
            }
        });
        facts.push(match &self.recovery {
            Some(text) => format!("{name} was started again and said: {text}."),
            None => format!("{name} was started again and found nothing to finish."),
        });
        facts.push(match &self.outcome {
            Some(outcome) => format!("Asked again under the same request id: {outcome}."),
            None => "Nobody knows the request, so it was not sent again: it would run now.".to_owned(),
        });
        facts.push(format!("{}.", self.after.change_since(&self.before)));
        if self.others_moved {
            facts.push(
                "Others moved money meanwhile, so these balances are not this transfer's alone.".to_owned(),
            );
        }
        facts.push(format!(
            "Audit: {} brought in, {} in accounts.",
            self.after.brought_in, self.after.in_accounts
        ));
        facts
    }

    fn disk_in_words(&self, on_disk: OnDisk) -> String {
        let text = match on_disk {
            OnDisk::Nothing => "nothing about it",
            OnDisk::Begun => "it had begun, and no decision",
            OnDisk::Promised => "a promise (prepare_ok), and no decision",
            OnDisk::Committed if self.is_coordinator => {
                return format!("COMMIT, written {} the crash", self.before_the_crash());
            }
            OnDisk::Committed => "commit, applied",
            OnDisk::Aborted => "abort",
            OnDisk::Complete => "COMMIT and COMPLETE",
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::reason::Refusal;

    fn money(a: i64, b: i64) -> Money {
        Money {
            balances: vec![
                ("N1/A".parse().unwrap(), Some(a)),
                ("N2/B".parse().unwrap(), Some(b)),
            ],
            brought_in: 3000,
            in_accounts: 3000,
        }
    }

    fn txn() -> TxnId {
        TxnId::new(protocol::id::StoreId(0xc), 1, 7)
    }

    fn aborted() -> Outcome {
        Outcome::Aborted {
            txn: Some(txn()),
            refusal: Refusal::from(client::Reason::PresumedAbort),
        }
    }

    /// The coordinator died with COMMIT on disk, and it committed.
    fn death() -> Death {
        Death {
            name: "coordinator".to_owned(),
            is_coordinator: true,
            takes_part: true,
            alone: None,
            point: Some("synced.COMMIT".to_owned()),
            reached: true,
            stayed_ms: Some(12),
            after_ms: None,
            txn: Some(txn()),
            on_disk: Ok(OnDisk::Committed),
            committed_ms_before: Some(12),
            heard: Heard::Nothing("the connection broke".to_owned()),
            recovery: None,
            outcome: Some(Outcome::Committed { txn: txn() }),
            disagree: false,
            others_moved: false,
            expected: vec![-50, 50],
            before: money(1000, 1000),
            after: money(950, 1050),
        }
    }

    #[test]
    fn a_verdict_says_why_it_came_out_like_that() {
        let verdict = death().verdict();
        assert!(verdict.ok);
        assert_eq!(
            verdict.text,
            "COMMIT was on disk 12 ms before the crash, so recovery committed it; 3000 = 3000."
        );
        let before = Death {
            on_disk: Ok(OnDisk::Begun),
            outcome: Some(aborted()),
            after: money(1000, 1000),
            ..death()
        };
        let verdict = before.verdict();
        assert!(verdict.ok, "{verdict:?}");
        assert_eq!(verdict.title, "The coordinator died; no money moved");
        assert!(
            verdict.text.starts_with("No COMMIT was on disk"),
            "{}",
            verdict.text
        );
    }

    #[test]
    fn what_must_not_happen_is_called_by_its_name() {
        let wrongs = [
            Death {
                outcome: Some(aborted()),
                after: money(1000, 1000),
                ..death()
            },
            Death {
                on_disk: Ok(OnDisk::Begun),
                ..death()
            },
            Death {
                heard: Heard::Answer(aborted()),
                ..death()
            },
            Death {
                after: money(950, 1000),
                ..death()
            },
            Death {
                after: Money {
                    in_accounts: 2950,
                    ..money(950, 1050)
                },
                ..death()
            },
            Death {
                disagree: true,
                ..death()
            },
        ];
        for wrong in wrongs {
            let verdict = wrong.verdict();
            assert!(!verdict.ok, "{wrong:?}");
            assert!(
                verdict.text.starts_with("This must not happen: "),
                "{}",
                verdict.text
            );
        }
    }

    #[test]
    fn money_that_others_moved_is_no_alarm() {
        let death = Death {
            after: money(700, 1300),
            others_moved: true,
            ..death()
        };
        assert!(death.verdict().ok);
    }
}
