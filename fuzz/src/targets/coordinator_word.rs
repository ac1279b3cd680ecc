//! What a coordinator may say and do: each word and each record against what it has heard, in its shadow's terms.

use std::collections::BTreeMap;

use protocol::codec;
use protocol::coordinator::{
    ClientRef, CoordinatorInput, CoordinatorMessage, CoordinatorRecord, CoordinatorTo,
};
use protocol::effects::Outgoing;
use protocol::fold::Seq;
use protocol::frame::BODY_LEN_MAX;
use protocol::id::{NodeId, TxnId, TxnPoint};
use protocol::message::{
    Answer, Ask, AuditVerdict, Executed, FromNode, Knowledge, Outcome, Prepare, ToNode, Vote,
};
use protocol::reason::{Decision, Reason};

use super::coordinator::{Driven, SELF};
use super::coordinator_shadow::{Shadow, Stage};
use crate::seen::Seen;

/// What a node has said of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heard {
    Yes,
    Ack,
    Executed,
}

impl Driven {
    pub(super) fn hear(&mut self, input: &CoordinatorInput) {
        match input {
            CoordinatorInput::Node(node, message) => {
                let heard = match message {
                    FromNode::Vote {
                        txn, vote: Vote::Yes, ..
                    } => (*txn, *node, Heard::Yes),
                    FromNode::Ack { txn, .. } | FromNode::Mixed { txn, .. } => (*txn, *node, Heard::Ack),
                    FromNode::Executed {
                        txn,
                        executed: Executed::Duplicate(knows),
                        ..
                    } => {
                        self.claimed.extend(claim(knows));
                        (*txn, *node, Heard::Executed)
                    }
                    FromNode::Executed { txn, .. } => (*txn, *node, Heard::Executed),
                    FromNode::Vote {
                        vote: Vote::Duplicate(knows),
                        ..
                    }
                    | FromNode::Aborted { knows, .. }
                    | FromNode::Recalled { knows, .. } => {
                        self.claimed.extend(claim(knows));
                        return;
                    }
                    FromNode::Welcome { .. }
                    | FromNode::Refuse { .. }
                    | FromNode::Vote { .. }
                    | FromNode::Inquiry { .. }
                    | FromNode::Unmatched { .. }
                    | FromNode::Answer { .. } => return,
                };
                self.heard.insert(heard);
            }
            CoordinatorInput::Client(session, call) => {
                let client = ClientRef {
                    session: *session,
                    call: call.id,
                };
                let repeated = matches!(call.ask, Ask::Submit { repeated: true, .. });
                self.open_calls.insert(client, repeated);
            }
            CoordinatorInput::Armed(client, _) => {
                self.open_calls.insert(*client, false);
            }
            CoordinatorInput::Start
            | CoordinatorInput::Connected(_)
            | CoordinatorInput::Disconnected(_)
            | CoordinatorInput::Timer(_)
            | CoordinatorInput::Room(_) => {}
        }
    }

    /// COMMIT needs every vote, COMPLETE every acknowledgement, all from this life.
    pub(super) fn has_cause(&self, record: &CoordinatorRecord) {
        let heard = |txn: &TxnId, node: &NodeId, what| self.heard.contains(&(*txn, *node, what));
        match record {
            CoordinatorRecord::Commit { txn } => {
                let participants = &self.shadow.txns[txn].0;
                let all = participants.iter().all(|node| heard(txn, node, Heard::Yes));
                assert!(all, "{txn} commits without a vote");
            }
            CoordinatorRecord::Complete { txn } => {
                let participants = &self.shadow.txns[txn].0;
                // An operator who adopts a node gives up what it has not acknowledged.
                let done = |node: &NodeId| {
                    let given_up = txn.at < self.state().node(*node).forgiven;
                    match participants.len() {
                        1 => heard(txn, node, Heard::Executed),
                        _ => heard(txn, node, Heard::Ack) || given_up,
                    }
                };
                assert!(
                    participants.iter().all(done),
                    "{txn} completes while somebody is missing"
                );
            }
            CoordinatorRecord::Epoch { .. }
            | CoordinatorRecord::Start { .. }
            | CoordinatorRecord::Prepare { .. }
            | CoordinatorRecord::Abort { .. }
            | CoordinatorRecord::Mark { .. }
            | CoordinatorRecord::Node { .. }
            | CoordinatorRecord::Quarantine { .. }
            | CoordinatorRecord::Suspect { .. }
            | CoordinatorRecord::Trust { .. }
            | CoordinatorRecord::Proved { .. } => {}
        }
    }

    /// What is said is true, and waits for what it shows.
    pub(super) fn may_be_said(
        &mut self,
        input: &CoordinatorInput,
        sends: &[Outgoing<CoordinatorTo, CoordinatorMessage>],
        newest: Seq,
        seen: &mut Seen,
    ) {
        let mut prepares: BTreeMap<TxnId, Vec<(NodeId, &Prepare)>> = BTreeMap::new();
        for send in sends {
            assert!(send.shows <= newest, "{} shows what does not exist", send.message);
            match (&send.to, &send.message) {
                (CoordinatorTo::Node(node), CoordinatorMessage::Node(message)) => {
                    let len = codec::encode(message).len();
                    assert!(len <= BODY_LEN_MAX, "{len} bytes");
                    match message {
                        ToNode::Prepare(prepare) | ToNode::Execute(prepare) => {
                            prepares.entry(prepare.txn).or_default().push((*node, prepare));
                        }
                        ToNode::Decide { txn, decision, .. } => {
                            self.may_decide(txn, decision, send.shows, seen);
                            if let CoordinatorInput::Node(_, FromNode::Inquiry { .. }) = input {
                                self.may_presume(txn, decision);
                            }
                        }
                        ToNode::Ask { ask, .. } => self.asked.push((*node, *ask)),
                        ToNode::NotMine { txn } => {
                            assert_ne!(txn.coordinator, SELF);
                            seen.way("not mine");
                        }
                        ToNode::Pending { .. } => seen.way("pending"),
                        ToNode::Join { .. } => {
                            assert!(
                                send.shows >= self.shadow.life,
                                "it joins before its epoch is synced"
                            );
                        }
                        ToNode::Mark { below, .. } => {
                            let (noted, seq) = self.shadow.marks.get(node).copied().unwrap_or_default();
                            assert_eq!(*below, noted, "a mark that is not written down");
                            assert!(send.shows >= seq, "a mark leaves before it is synced");
                        }
                        ToNode::Query { .. } | ToNode::Recall { .. } => {}
                    }
                }
                (CoordinatorTo::Client(session), CoordinatorMessage::Client(reply)) => {
                    let client = ClientRef {
                        session: *session,
                        call: reply.id,
                    };
                    let repeated = self.open_calls.remove(&client);
                    let repeated =
                        repeated.unwrap_or_else(|| panic!("{client:?} is answered twice: {reply}"));
                    self.may_tell(&reply.answer, repeated, send.shows, seen);
                }
                (to, message) => panic!("{message} goes to {to:?}"),
            }
        }
        prepares
            .iter()
            .for_each(|(txn, parts)| self.moves_no_money(txn, parts));
    }

    fn may_decide(&self, txn: &TxnId, decision: &Decision, shows: Seq, seen: &mut Seen) {
        assert_eq!(txn.coordinator, SELF, "somebody else's transaction");
        match decision {
            Decision::Commit => {
                let seq = self
                    .shadow
                    .committed(txn)
                    .expect("COMMIT is told of what has committed");
                assert!(shows >= seq, "COMMIT {txn} leaves before it is synced");
            }
            Decision::Abort(reason) => {
                assert_eq!(
                    self.shadow.committed(txn),
                    None,
                    "ABORT for {txn}, which has committed"
                );
                let deciding = self
                    .shadow
                    .txns
                    .get(txn)
                    .is_some_and(|(_, stage)| *stage == Stage::Open);
                assert!(!deciding, "ABORT for {txn} ({reason}), which is not decided");
                seen.way("abort sent");
            }
        }
    }

    /// Abort is presumed only of what this unbroken log would know (R5).
    fn may_presume(&self, txn: &TxnId, decision: &Decision) {
        if decision.is_commit() {
            return;
        }
        let epoch = self.state().epoch();
        let begun = self.begun.iter().filter(|begun| begun.at.epoch == epoch).count();
        let next = TxnPoint {
            epoch,
            sequence: 1 + u64::try_from(begun).expect("a short story"),
        };
        assert!(txn.at < next, "{txn} has not begun, and is told abort");
        let unsure = self.state().is_suspect() && txn.at.epoch < epoch;
        assert!(!unsure, "a log that lost records presumes the abort of {txn}");
    }

    /// A node whose store has lost what it had proved is not used (R22).
    pub(super) fn is_used_rightly(&self, input: &CoordinatorInput, known: &Shadow) {
        let CoordinatorInput::Node(node, FromNode::Welcome { store, durable, .. }) = input else {
            return;
        };
        let Some(&(met, proved)) = known.proved.get(node) else {
            return;
        };
        if met == *store && *durable < proved {
            assert!(
                self.shadow.quarantined.contains(node),
                "{node} had proved {proved} and ends at {durable}"
            );
        }
    }

    /// A client is told what the log or the only participant says, or what a home says of another attempt.
    fn may_tell(&self, answer: &Answer, repeated: bool, shows: Seq, seen: &mut Seen) {
        match answer {
            Answer::Outcome(Outcome::Committed { txn }) => {
                seen.way("committed told");
                match self.shadow.txns.get(txn).map(|(_, stage)| *stage) {
                    Some(Stage::Committed(seq)) => assert!(shows >= seq, "{txn} is told before it is synced"),
                    Some(Stage::Complete) => {}
                    Some(Stage::Open | Stage::Aborted) | None => {
                        assert!(self.claimed.contains(txn), "{txn} has not committed");
                    }
                }
            }
            Answer::Outcome(Outcome::Aborted { txn: Some(txn), .. }) => {
                seen.way("aborted told");
                let committed = self.shadow.committed(txn).is_some() && !self.claimed.contains(txn);
                assert!(!committed, "{txn} has committed");
                let alone = self
                    .shadow
                    .txns
                    .get(txn)
                    .is_some_and(|(participants, _)| participants.len() == 1);
                if repeated || alone {
                    let executed = self
                        .heard
                        .iter()
                        .any(|(of, _, what)| of == txn && *what == Heard::Executed);
                    assert!(
                        executed || self.claimed.contains(txn),
                        "nobody has said that {txn} is over"
                    );
                }
            }
            Answer::Outcome(Outcome::Aborted { txn: None, refusal }) => {
                let nowhere = matches!(refusal.reason, Reason::UnknownNode(_));
                assert!(
                    !repeated || nowhere,
                    "a request that may have been sent before is told {refusal}"
                );
            }
            Answer::Outcome(Outcome::Unknown { .. }) => seen.way("unknown told"),
            Answer::Outcome(Outcome::Rejected { .. }) => seen.way("rejected told"),
            Answer::Audit(report) => seen.way(match report.verdict {
                AuditVerdict::Exact => "audit exact",
                AuditVerdict::Violated => "audit violated",
                AuditVerdict::Incomplete(_) => "audit incomplete",
            }),
            Answer::Outcome(Outcome::Reused)
            | Answer::Balance(_)
            | Answer::Accounts(_)
            | Answer::Status(_)
            | Answer::Txn(_)
            | Answer::List(_)
            | Answer::Done(_)
            | Answer::Failed(_) => {}
        }
    }

    /// All PREPAREs of a transaction leave in one step, to all its participants, and add up to nothing.
    fn moves_no_money(&self, txn: &TxnId, parts: &[(NodeId, &Prepare)]) {
        let operations = parts.iter().flat_map(|(_, prepare)| &prepare.operations);
        let net: i128 = operations
            .map(|operation| i128::from(operation.delta.get()))
            .sum();
        assert_eq!(net, 0, "{txn} makes money");
        let nodes: Vec<NodeId> = parts.iter().map(|(node, _)| *node).collect();
        assert!(
            parts
                .iter()
                .all(|(_, prepare)| prepare.participants.as_slice() == nodes),
            "{parts:?}"
        );
        assert_eq!(self.shadow.txns[txn].0, nodes);
        let homes = parts.iter().filter(|(_, prepare)| prepare.home.is_some());
        assert_eq!(homes.count(), 1, "one home: {parts:?}");
    }
}

/// Of which transaction a home claims to know the end.
fn claim(knows: &Knowledge) -> Option<TxnId> {
    match knows {
        Knowledge::Committed(txn) | Knowledge::Aborted(txn, _) => Some(*txn),
        Knowledge::Nothing | Knowledge::Reused | Knowledge::Open(_) => None,
    }
}
