//! The beginning: a request becomes a transaction, or is answered at once.

use alloc::format;
use alloc::string::ToString;

use super::link::Link;
use super::members::Members;
use super::{ClientRef, Coordinator, CoordinatorRecord, CoordinatorTimer, Live, Stage};
use crate::effects::{Effects, Urgency};
use crate::id::{NodeId, RequestId, TxnId};
use crate::leg::Order;
use crate::message::{Home, Outcome, Prepare, ToNode};
use crate::planted;
use crate::reason::{Reason, Refusal};

impl Coordinator {
    pub(super) fn on_submit(
        &mut self,
        client: ClientRef,
        request: RequestId,
        repeated: bool,
        order: Order,
        effects: &mut Effects<Coordinator>,
    ) {
        let order = match order.validated() {
            Ok(order) => order,
            Err(bad) => {
                return self.reply_outcome(client, Outcome::Rejected { why: bad.to_string() }, effects);
            }
        };
        let participants = order.participants();
        let home_node = order.home();
        if let Err(outcome) = self.admit(&participants, home_node, repeated, effects) {
            return self.reply_outcome(client, outcome, effects);
        }
        let txn = TxnId {
            coordinator: self.config.id,
            at: self.next_point(),
        };
        self.next_sequence += 1;
        let home = Home {
            request,
            digest: order.digest(),
            repeated,
        };
        let alone = participants.len() == 1;
        let refusal = participants.iter().find_map(|&node| self.unusable(node));
        let asked = if refusal.is_none() {
            participants.as_slice()
        } else {
            &[]
        };
        for &node in asked {
            let prepare = Prepare {
                txn,
                operations: order.operations(node),
                opens: order.opens(),
                participants: participants.clone(),
                birth: request.birth(),
                home: (node == home_node || planted!(EveryNodeIsHome)).then_some(home),
            };
            // Shows nothing that a crash could take back: the epoch in its id was durable before the first join.
            let message = if alone {
                ToNode::Execute(prepare)
            } else {
                ToNode::Prepare(prepare)
            };
            self.tell(node, message, 0, effects);
        }
        self.append(
            CoordinatorRecord::Start { txn, request, order },
            Urgency::Lazy,
            effects,
        );
        for &node in asked {
            self.append(CoordinatorRecord::Prepare { txn, node }, Urgency::Lazy, effects);
        }
        let stage = if alone {
            Stage::Delegated
        } else {
            Stage::Collecting(Members::default())
        };
        let timer = if alone {
            CoordinatorTimer::Answer(txn)
        } else {
            CoordinatorTimer::Votes(txn)
        };
        let live = Live {
            client: Some(client),
            home_node,
            home,
            participants,
            stage,
            since: self.tick,
        };
        self.live.insert(txn, live);
        effects.set(timer);
        if let Some(refusal) = refusal {
            // Only a repeated request comes this far: its home is up and must hold the abort.
            note_counted_as_abort(&refusal.reason, effects);
            self.decide_abort(txn, refusal, None, effects);
        }
    }

    /// Answers at once what can be answered without a transaction.
    fn admit(
        &self,
        participants: &[NodeId],
        home: NodeId,
        repeated: bool,
        effects: &mut Effects<Coordinator>,
    ) -> Result<(), Outcome> {
        let aborted = |reason: Reason| Outcome::Aborted {
            txn: None,
            refusal: reason.into(),
        };
        if let Some(&node) = participants.iter().find(|node| !self.config.nodes.contains(node)) {
            return Err(aborted(Reason::UnknownNode(node)));
        }
        if !self.has_room {
            return Err(if repeated {
                Outcome::Unknown {
                    why: "the coordinator's disk is full, so it cannot ask for an outcome".to_string(),
                }
            } else {
                aborted(Reason::CoordinatorDiskFull)
            });
        }
        if repeated {
            return match self.unusable(home) {
                Some(refusal) if planted!(SilentHomeMeansAbort) => Err(aborted(refusal.reason)),
                Some(_) => Err(Outcome::Unknown {
                    why: format!("cannot reach {home}, which alone remembers this request"),
                }),
                None => Ok(()),
            };
        }
        match participants.iter().find_map(|&node| self.unusable(node)) {
            Some(refusal) => {
                note_counted_as_abort(&refusal.reason, effects);
                Err(aborted(refusal.reason))
            }
            None => Ok(()),
        }
    }

    /// Why a node cannot be used for a transaction now, if it cannot.
    fn unusable(&self, node: NodeId) -> Option<Refusal> {
        match self.links.get(&node) {
            Some(Link::Up { .. }) => None,
            Some(Link::Quarantined { .. }) => Some(Reason::Quarantined(node).into()),
            Some(Link::Down | Link::Joining) | None => Some(Reason::Unreachable(node).into()),
        }
    }
}

pub(super) fn note_counted_as_abort(reason: &Reason, effects: &mut Effects<Coordinator>) {
    match reason {
        Reason::Unreachable(node) => effects.warning(format!("cannot reach {node}, counted as vote abort")),
        Reason::VoteTimeout(node) => {
            effects.warning(format!("no vote from {node} in time, counted as vote abort"))
        }
        Reason::Quarantined(node) => effects.warning(format!("{node} is quarantined, counted as vote abort")),
        Reason::InsufficientFunds(_)
        | Reason::LockContention(_)
        | Reason::UnknownAccount(_)
        | Reason::CreditOverflow(_)
        | Reason::UnknownNode(_)
        | Reason::DiskFull(_)
        | Reason::CoordinatorDiskFull
        | Reason::AuditInProgress
        | Reason::Stale
        | Reason::CoordinatorRestarted
        | Reason::PresumedAbort
        | Reason::Duplicate
        | Reason::OperatorDecision => {}
    }
}
