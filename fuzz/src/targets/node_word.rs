//! What a node may say and do: each word and each record against what it was told, in its shadow's terms.

use std::collections::{BTreeMap, BTreeSet};

use protocol::codec;
use protocol::effects::Outgoing;
use protocol::fold::Seq;
use protocol::frame::BODY_LEN_MAX;
use protocol::id::{AccountId, Epoch, StoreId, TxnId};
use protocol::leg::Operations;
use protocol::locking::Locking;
use protocol::message::{
    BalanceAnswer, Executed, FromNode, Home, Knowledge, NodeAnswer, NodeQuestion, Prepare, ToNode, Vote,
};
use protocol::participant::{NodeRecord, ParticipantInput, ParticipantTimer, Progress, SessionId};
use protocol::reason::{Decision, Reason};

use super::node::Node;
use super::node_shadow::Shadow;

/// What the node was told in this life.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Connections, and whose they are.
    connected: BTreeMap<SessionId, StoreId>,
    /// Those that have joined, with the epoch they joined with.
    joined: BTreeMap<SessionId, (StoreId, Epoch)>,
    /// Of these, those that may decide: with a log that was good when they joined, or that was adopted since.
    trusted: BTreeMap<SessionId, (StoreId, Epoch)>,
    /// How far each coordinator's log was shown to be durable on connections that were never closed.
    shown: BTreeMap<StoreId, Seq>,
    /// Reads that nobody has answered, and who held the account when they arrived.
    reads: BTreeMap<(SessionId, u64), BTreeSet<TxnId>>,
    freezes: BTreeSet<(SessionId, u64)>,
    frozen: Option<(SessionId, u64)>,
    full: bool,
    /// What was asked for on connections that stand: under `--locking wait` it may be done later.
    asked: BTreeSet<(SessionId, Asked)>,
}

/// A transaction, whether the node is to do it alone, and what.
type Asked = (TxnId, bool, Operations);

impl Talk {
    pub(super) fn hear(&mut self, input: &ParticipantInput, shadow: &Shadow) {
        match input {
            ParticipantInput::Connected { session, coordinator } => {
                self.connected.insert(*session, *coordinator);
            }
            ParticipantInput::Disconnected { session } => self.lose(*session),
            ParticipantInput::Timer(ParticipantTimer::Thaw) => self.frozen = None,
            ParticipantInput::Room(has_room) => self.full = !has_room,
            ParticipantInput::Message { session, message } => self.hear_message(*session, message, shadow),
            ParticipantInput::Start | ParticipantInput::Timer(_) | ParticipantInput::Armed { .. } => {}
        }
    }

    fn lose(&mut self, session: SessionId) {
        self.connected.remove(&session);
        self.joined.remove(&session);
        self.trusted.remove(&session);
        self.asked.retain(|(on, _)| *on != session);
        if self.frozen.is_some_and(|(of, _)| of == session) {
            self.frozen = None;
        }
    }

    fn hear_message(&mut self, session: SessionId, message: &ToNode, shadow: &Shadow) {
        match message {
            ToNode::Decide { durable, .. } | ToNode::Mark { durable, .. } => {
                if let Some((coordinator, _)) = self.trusted.get(&session) {
                    let shown = self.shown.entry(*coordinator).or_default();
                    *shown = (*shown).max(*durable);
                }
            }
            ToNode::Ask {
                ask,
                question: NodeQuestion::Balance { account, .. },
            } => {
                self.reads.insert((session, *ask), holders(account, shadow));
            }
            ToNode::Ask {
                ask,
                question: NodeQuestion::Freeze,
            } => {
                self.freezes.insert((session, *ask));
            }
            ToNode::Ask {
                question: NodeQuestion::Thaw { freeze },
                ..
            } => {
                if self.frozen == Some((session, *freeze)) {
                    self.frozen = None;
                }
            }
            ToNode::Ask {
                question: NodeQuestion::Adopt { .. },
                ..
            } => {
                if let Some(&joined) = self.joined.get(&session) {
                    self.trusted.insert(session, joined);
                }
            }
            ToNode::Prepare(prepare) => self.hear_prepare(session, prepare, false),
            ToNode::Execute(prepare) => self.hear_prepare(session, prepare, true),
            ToNode::Join { .. }
            | ToNode::Query { .. }
            | ToNode::Recall { .. }
            | ToNode::Pending { .. }
            | ToNode::NotMine { .. }
            | ToNode::Ask { .. } => {}
        }
    }

    fn hear_prepare(&mut self, session: SessionId, prepare: &Prepare, alone: bool) {
        let asked = (prepare.txn, alone, prepare.operations.clone());
        self.asked.insert((session, asked));
    }

    /// Whether somebody has asked for this who still waits for the answer.
    fn has_asked(&self, asked: &Asked) -> bool {
        self.asked.iter().any(|(_, other)| other == asked)
    }

    pub(super) fn note(&mut self, record: &NodeRecord) {
        if let NodeRecord::AcceptLog { coordinator, through } = record {
            self.shown.insert(*coordinator, *through);
        }
        let frozen = matches!(record, NodeRecord::PrepareOk { .. }) && self.frozen.is_some();
        assert!(!frozen, "{record} while an audit holds everything still");
    }

    /// The node has answered a join: whoever this coordinator was connected by before is replaced.
    fn joined(
        &mut self,
        session: SessionId,
        coordinator: StoreId,
        epoch: Epoch,
        trusted: bool,
        durable: Seq,
    ) {
        let same =
            |(id, other): (&SessionId, &StoreId)| (*other == coordinator && *id != session).then_some(*id);
        let replaced: Vec<SessionId> = self.connected.iter().filter_map(same).collect();
        replaced.into_iter().for_each(|old| self.lose(old));
        self.joined.insert(session, (coordinator, epoch));
        self.trusted.remove(&session);
        if trusted {
            self.trusted.insert(session, (coordinator, epoch));
            let shown = self.shown.entry(coordinator).or_default();
            *shown = (*shown).max(durable);
        }
    }
}

fn holders(account: &AccountId, shadow: &Shadow) -> BTreeSet<TxnId> {
    let holds = shadow
        .prepared
        .iter()
        .filter(|(_, operations)| operations.iter().any(|operation| operation.account == *account));
    holds.map(|(txn, _)| *txn).collect()
}

impl Node {
    /// What a message claims is true, and it waits for what it shows. `known` is the shadow before the step, `operators` the
    /// newest record of this step that an operator asked for.
    pub(super) fn may_be_said(
        &mut self,
        send: &Outgoing<SessionId, FromNode>,
        input: &ParticipantInput,
        known: &Shadow,
        newest: Seq,
        operators: Seq,
    ) {
        let Outgoing { to, message, shows } = send;
        assert!(*shows <= newest, "{message} shows what does not exist");
        let len = codec::encode(message).len();
        assert!(len <= BODY_LEN_MAX, "{len} bytes");
        match message {
            FromNode::Welcome { quarantine, .. } => self.may_welcome(*to, input, known, quarantine.is_some()),
            FromNode::Refuse { .. } => {
                assert!(
                    self.is_outdated(*to, input, known),
                    "a coordinator is refused for nothing"
                );
                self.talk.lose(*to);
            }
            FromNode::Vote { txn, vote, .. } => self.may_vote(*txn, vote, *shows),
            FromNode::Ack { txn, .. } => {
                let committed = self.shadow.committed(txn);
                assert!(
                    committed.is_some() || self.state().is_below_mark(*txn),
                    "{txn} is acknowledged and has not committed"
                );
                assert!(
                    committed <= Some(*shows),
                    "{txn} is acknowledged before it is synced"
                );
            }
            FromNode::Executed { txn, executed, .. } => match executed {
                Executed::Committed => {
                    let seq = self
                        .shadow
                        .committed(txn)
                        .expect("what is said to be executed has committed");
                    assert!(*shows >= seq, "{txn} is said to be executed before it is synced");
                }
                Executed::Refused(refusal) => {
                    if asks(input, *txn).is_some() || remembers(&refusal.reason) {
                        assert!(
                            self.shadow.ended.contains_key(txn),
                            "{txn} is refused and may still come"
                        );
                    }
                }
                Executed::Duplicate(knows) => self.may_know(knows, None, *shows),
            },
            FromNode::Recalled { txn, knows } => self.may_know(knows, asks(input, *txn), *shows),
            FromNode::Aborted { txn, knows } => self.may_know(knows, asks(input, *txn), *shows),
            FromNode::Unmatched { txn } => {
                let committed = self.shadow.committed(txn).is_some() && !self.state().is_below_mark(*txn);
                assert!(!committed, "{txn} has committed");
            }
            FromNode::Mixed { txn, .. } => {
                assert!(self.shadow.ended.contains_key(txn), "{txn} has not ended");
            }
            FromNode::Inquiry { .. } => {}
            FromNode::Answer { ask, answer } => {
                assert!(*shows >= operators, "an operator is told before it is synced");
                self.may_answer((*to, *ask), answer);
            }
        }
    }

    fn is_outdated(&self, session: SessionId, input: &ParticipantInput, known: &Shadow) -> bool {
        let ParticipantInput::Message {
            message: ToNode::Join {
                epoch, incarnation, ..
            },
            ..
        } = input
        else {
            panic!("nobody joins");
        };
        let coordinator = self.talk.connected[&session];
        let (newest, its) = known.lives.get(&coordinator).copied().unwrap_or_default();
        *epoch < newest || (*epoch == newest && *incarnation != its)
    }

    /// A coordinator is welcome in its newest life (R12), and trusted if its log has lost nothing (R22).
    fn may_welcome(
        &mut self,
        session: SessionId,
        input: &ParticipantInput,
        known: &Shadow,
        quarantined: bool,
    ) {
        assert!(
            !self.is_outdated(session, input, known),
            "a coordinator of an epoch that is over is welcome"
        );
        let ParticipantInput::Message {
            message:
                ToNode::Join {
                    epoch,
                    durable,
                    history,
                    ..
                },
            ..
        } = input
        else {
            panic!("nobody joins");
        };
        let coordinator = self.talk.connected[&session];
        let (newest, its) = known.lives.get(&coordinator).copied().unwrap_or_default();
        let forked = history
            .iter()
            .any(|(epoch, other)| *epoch == newest && *other != its);
        let proved = known
            .proved
            .get(&coordinator)
            .max(self.talk.shown.get(&coordinator));
        let lost = forked
            || known.quarantined.contains(&coordinator)
            || proved.is_some_and(|proved| durable < proved);
        assert_eq!(
            quarantined, lost,
            "a log at record {durable} that had proved {proved:?}"
        );
        assert_eq!(
            self.shadow.quarantined.contains(&coordinator),
            lost,
            "a quarantine is written down"
        );
        self.talk
            .joined(session, coordinator, *epoch, !quarantined, *durable);
    }

    fn may_vote(&self, txn: TxnId, vote: &Vote, shows: Seq) {
        match vote {
            Vote::Yes => {
                let prepared = self
                    .state()
                    .prepared()
                    .get(&txn)
                    .expect("YES is said of what is prepared");
                assert!(
                    shows >= prepared.seq,
                    "a vote for {txn} leaves before its promise is synced"
                );
                if let Some(home) = &prepared.home {
                    let entry = self.state().requests().get(&home.request);
                    assert_eq!(
                        entry.map(|entry| entry.txn),
                        Some(txn),
                        "its home does not know the request"
                    );
                }
            }
            Vote::No(refusal) => {
                if remembers(&refusal.reason) {
                    assert!(
                        self.shadow.ended.contains_key(&txn),
                        "{txn} is refused and may still come"
                    );
                }
            }
            Vote::Duplicate(knows) => self.may_know(knows, None, shows),
        }
    }

    /// What a home says of a request is what it holds, and durable.
    fn may_know(&self, knows: &Knowledge, home: Option<&Home>, shows: Seq) {
        if let Some(home) = home {
            let held = match self.state().requests().get(&home.request) {
                None => Knowledge::Nothing,
                Some(entry) if entry.digest != home.digest => Knowledge::Reused,
                Some(entry) => match &entry.progress {
                    Progress::Open => Knowledge::Open(entry.txn),
                    Progress::Committed(_) => Knowledge::Committed(entry.txn),
                    Progress::Aborted(_, reason) => Knowledge::Aborted(entry.txn, (**reason).clone()),
                },
            };
            assert_eq!(*knows, held);
        }
        match knows {
            Knowledge::Committed(txn) => {
                assert!(self.shadow.committed(txn).is_some(), "{txn} has not committed");
                assert!(
                    self.told_from(txn) <= Some(shows),
                    "the end of {txn} is told before it is synced"
                );
            }
            Knowledge::Aborted(txn, _) => {
                assert_eq!(self.shadow.committed(txn), None, "{txn} has committed");
                assert!(
                    self.told_from(txn) <= Some(shows),
                    "the end of {txn} is told before it is synced"
                );
            }
            Knowledge::Nothing | Knowledge::Reused | Knowledge::Open(_) => {}
        }
    }

    /// The record that ended a request of this transaction.
    fn told_from(&self, txn: &TxnId) -> Option<Seq> {
        let of_txn = self
            .state()
            .requests()
            .entries()
            .filter(|(_, entry)| entry.txn == *txn);
        let ended = of_txn.filter_map(|(_, entry)| match &entry.progress {
            Progress::Open => None,
            Progress::Committed(seq) | Progress::Aborted(seq, _) => Some(*seq),
        });
        ended.min()
    }

    fn may_answer(&mut self, question: (SessionId, u64), answer: &NodeAnswer) {
        match answer {
            NodeAnswer::Balance(BalanceAnswer::Is(_)) => {
                let held = self.talk.reads.remove(&question).unwrap_or_default();
                let open: Vec<&TxnId> = held
                    .iter()
                    .filter(|txn| self.shadow.prepared.contains_key(txn))
                    .collect();
                assert!(open.is_empty(), "a read does not wait for {open:?}");
            }
            NodeAnswer::Cut { .. } if self.talk.freezes.contains(&question) => {
                assert!(
                    self.shadow.prepared.is_empty(),
                    "frozen while something is prepared"
                );
                self.talk.frozen = Some(question);
            }
            NodeAnswer::Balance(_)
            | NodeAnswer::Accounts(_)
            | NodeAnswer::Cut { .. }
            | NodeAnswer::Thawed { .. }
            | NodeAnswer::Status(_)
            | NodeAnswer::Show(_)
            | NodeAnswer::List(_)
            | NodeAnswer::Done(_)
            | NodeAnswer::Failed(_) => {}
        }
    }

    /// An ABORT from whoever may send it leaves a trace, so that the PREPARE may come later (R10).
    pub(super) fn leaves_tombstones(&self, input: &ParticipantInput) {
        let ParticipantInput::Message {
            session,
            message:
                ToNode::Decide {
                    txn,
                    decision: Decision::Abort(_),
                    ..
                },
        } = input
        else {
            return;
        };
        let may = self
            .talk
            .trusted
            .get(session)
            .is_some_and(|(coordinator, epoch)| *coordinator == txn.coordinator && *epoch >= txn.at.epoch);
        if may && !self.talk.full && !self.state().is_below_mark(*txn) {
            assert!(
                self.shadow.ended.contains_key(txn),
                "an abort of {txn} leaves no trace"
            );
        }
    }
}

/// The request that somebody asks this node about, as its home.
fn asks(input: &ParticipantInput, txn: TxnId) -> Option<&Home> {
    let ParticipantInput::Message { message, .. } = input else {
        return None;
    };
    match message {
        ToNode::Query { txn: asked, home } | ToNode::Recall { txn: asked, home } => {
            (*asked == txn).then_some(home)
        }
        ToNode::Decide {
            txn: asked,
            bind: Some(home),
            ..
        } => (*asked == txn).then_some(home),
        ToNode::Join { .. }
        | ToNode::Prepare(_)
        | ToNode::Execute(_)
        | ToNode::Decide { .. }
        | ToNode::Pending { .. }
        | ToNode::NotMine { .. }
        | ToNode::Mark { .. }
        | ToNode::Ask { .. } => None,
    }
}

/// Whether a node that gives this reason has looked, and so must remember.
fn remembers(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::InsufficientFunds(_)
            | Reason::LockContention(_)
            | Reason::UnknownAccount(_)
            | Reason::CreditOverflow(_)
            | Reason::AuditInProgress
    )
}

/// Money moves only because somebody with authority said so, and under all policies but one because of nothing else.
pub(super) fn is_asked_for(record: &NodeRecord, input: &ParticipantInput, locking: Locking, talk: &Talk) {
    let waited = |asked: &Asked| locking == Locking::Wait && talk.has_asked(asked);
    let message = match input {
        ParticipantInput::Message { message, .. } => Some(message),
        ParticipantInput::Start
        | ParticipantInput::Connected { .. }
        | ParticipantInput::Disconnected { .. }
        | ParticipantInput::Timer(_)
        | ParticipantInput::Room(_)
        | ParticipantInput::Armed { .. } => None,
    };
    let right = match record {
        NodeRecord::PrepareOk { txn, operations, .. } => {
            matches!(message, Some(ToNode::Prepare(asked)) if asked.txn == *txn && asked.operations == *operations)
                || waited(&(*txn, false, operations.clone()))
        }
        NodeRecord::CommitOnePhase { txn, operations, .. } => {
            matches!(message, Some(ToNode::Execute(asked)) if asked.txn == *txn && asked.operations == *operations)
                || waited(&(*txn, true, operations.clone()))
        }
        NodeRecord::Commit { txn } => {
            matches!(message, Some(ToNode::Decide { txn: told, decision: Decision::Commit, .. }) if told == txn)
        }
        NodeRecord::Abort { txn, .. } => match message {
            Some(ToNode::Decide {
                txn: told,
                decision: Decision::Abort(_),
                ..
            }) => told == txn,
            Some(ToNode::Query { txn: told, .. }) => told == txn,
            Some(_) | None => false,
        },
        NodeRecord::Resolve { .. } => matches!(message, Some(ToNode::Ask { .. })),
        NodeRecord::AdoptBalances { .. } => false,
        NodeRecord::Coordinator { .. }
        | NodeRecord::PrepareFailed { .. }
        | NodeRecord::Mark { .. }
        | NodeRecord::Proved { .. }
        | NodeRecord::Quarantine { .. }
        | NodeRecord::AcceptLog { .. }
        | NodeRecord::Truth { .. }
        | NodeRecord::RequestWindow { .. } => true,
    };
    assert!(right, "{record} because of {input:?}");
}
