//! From here, does everything end once nothing goes wrong any more?
//!
//! One fair continuation: everyone is connected, everything arrives, everything is synced, timers fire, clients ask
//! again. It is checked from every state in which nothing is under way, and from every other state such a state can be
//! reached by letting things arrive, so that no state is left out. What `stateright` calls *eventually* is not used: it
//! would take a circle for an end.

use std::collections::BTreeMap;

use protocol::coordinator::{CoordinatorInput, CoordinatorTimer};
use protocol::effects::Machine;
use protocol::fold::Fold;
use protocol::id::Place;
use protocol::message::{Answer, Ask, AuditVerdict, Call, Outcome};
use protocol::participant::{NodeEntry, ParticipantTimer};

use crate::scenario::Budget;
use crate::state::State;
use crate::world::{AUDITOR, World, is_still, node_id};
use crate::{money, world};

/// Rounds until everything has to be over.
const ROUNDS_MAX: usize = 12;

impl State {
    /// Nothing is on its way, nothing waits: only clients, timers and faults can go on.
    pub(crate) fn is_still(&self) -> bool {
        let arrived =
            |link: &crate::link::Link| link.to_node.queue.is_empty() && link.to_coordinator.queue.is_empty();
        self.links.iter().all(|link| arrived(link))
            && self.nodes.iter().all(|process| is_still(process))
            && self.coordinators.iter().all(|process| is_still(process))
    }
}

impl World<'_> {
    /// Heals everything and waits until everything has ended.
    ///
    /// # Errors
    /// What has not ended, or ended wrongly.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.state.left = Budget::NOTHING;
        for round in 0.. {
            self.reconnect();
            self.rest();
            if self.has_ended() {
                break;
            }
            if round == ROUNDS_MAX {
                return Err(self.unfinished());
            }
            self.fire_all();
            self.rest();
            if round > 1 {
                for client in 0..self.state.clients.len() {
                    self.change_client(client, crate::client::Client::send_once_more);
                }
            }
        }
        self.fire_all();
        self.rest();
        self.deliver_copies();
        self.rest();
        self.disconnect();
        self.reconnect();
        self.fire_all();
        self.rest();
        self.judge()
    }

    fn disconnect(&mut self) {
        for c in 0..self.state.coordinators.len() {
            for n in 0..self.state.nodes.len() {
                self.lost_at_coordinator(c, n);
            }
        }
    }

    fn reconnect(&mut self) {
        for c in 0..self.state.coordinators.len() {
            for n in 0..self.state.nodes.len() {
                if !self.link(c, n).at_node && self.link(c, n).at_coordinator {
                    self.lost_at_coordinator(c, n);
                }
                if !self.link(c, n).at_coordinator {
                    self.connect(c, n);
                }
            }
        }
    }

    /// Lets everything arrive and syncs everything, until nothing moves.
    pub(crate) fn rest(&mut self) {
        loop {
            let mut moved = false;
            for client in 0..self.state.clients.len() {
                if let Some(call) = self.state.clients[client].newest_call() {
                    self.deliver_call(client, call);
                    moved = true;
                }
            }
            for c in 0..self.state.coordinators.len() {
                for n in 0..self.state.nodes.len() {
                    moved |= self.deliver_oldest(c, n);
                }
            }
            for n in 0..self.state.nodes.len() {
                if !self.state.nodes[n].unsynced.is_empty() {
                    self.sync_node(n);
                    moved = true;
                }
            }
            for c in 0..self.state.coordinators.len() {
                if !self.state.coordinators[c].unsynced.is_empty() {
                    self.sync_coordinator(c);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn deliver_oldest(&mut self, c: usize, n: usize) -> bool {
        let mut moved = false;
        if self.link(c, n).at_node && !self.link(c, n).to_node.queue.is_empty() {
            let message = self.change_link(c, n, |link| link.to_node.take(false));
            self.message_to_node(c, n, message);
            moved = true;
        }
        if self.link(c, n).at_coordinator && !self.link(c, n).to_coordinator.queue.is_empty() {
            let message = self.change_link(c, n, |link| link.to_coordinator.take(false));
            self.message_to_coordinator(c, n, message);
            moved = true;
        }
        moved
    }

    /// Copies that are still about arrive very late.
    fn deliver_copies(&mut self) {
        for c in 0..self.state.coordinators.len() {
            for n in 0..self.state.nodes.len() {
                while !self.link(c, n).to_node.copies.is_empty() {
                    let message = self.change_link(c, n, |link| link.to_node.copies.remove(0));
                    self.message_to_node(c, n, message);
                }
                while !self.link(c, n).to_coordinator.copies.is_empty() {
                    let message = self.change_link(c, n, |link| link.to_coordinator.copies.remove(0));
                    self.message_to_coordinator(c, n, message);
                }
            }
        }
    }

    fn fire_all(&mut self) {
        for n in 0..self.state.nodes.len() {
            let timers: Vec<ParticipantTimer> = self.state.nodes[n].timers.iter().copied().collect();
            for timer in timers {
                self.fire_node(n, timer);
            }
        }
        for c in 0..self.state.coordinators.len() {
            let timers: Vec<CoordinatorTimer> = self.state.coordinators[c].timers.iter().copied().collect();
            for timer in timers {
                self.fire_coordinator(c, timer);
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.state.broken.is_some()
            || self
                .state
                .coordinators
                .iter()
                .all(|process| process.machine.load() == 0)
                && self.state.nodes.iter().all(|process| process.machine.load() == 0)
                && self.state.clients.iter().all(|client| client.told.is_some())
    }

    fn unfinished(&self) -> String {
        let mut what = Vec::new();
        for (c, process) in self.state.coordinators.iter().enumerate() {
            if process.machine.load() > 0 {
                what.push(format!(
                    "{} still drives a transaction",
                    world::coordinator_name(c)
                ));
            }
        }
        for (n, process) in self.state.nodes.iter().enumerate() {
            if process.machine.load() > 0 {
                what.push(format!("{} is still in doubt", node_id(n)));
            }
        }
        for (client, waiting) in self.state.clients.iter().enumerate() {
            if waiting.told.is_none() {
                what.push(format!("client {} still waits", client + 1));
            }
        }
        what.join(", ")
    }

    /// Whether everything that has ended has ended well.
    fn judge(&mut self) -> Result<(), String> {
        if let Some(broken) = self.state.broken {
            return Err(broken.what().to_owned());
        }
        for (n, process) in self.state.nodes.iter().enumerate() {
            let state = process.machine.state();
            if state.ledger().any_held() {
                return Err(format!("{} still holds accounts", node_id(n)));
            }
            let kept = |entry: NodeEntry| match entry {
                NodeEntry::Finished(txn, _) => (!state.is_below_mark(txn)).then_some(txn),
                NodeEntry::Account(..)
                | NodeEntry::Prepared(..)
                | NodeEntry::Request(..)
                | NodeEntry::Coordinator(..)
                | NodeEntry::Settings(..) => None,
            };
            if let Some(txn) = state.entries().find_map(kept) {
                return Err(format!("no mark lets {} forget {txn}", node_id(n)));
            }
        }
        self.judge_words()?;
        self.judge_balances()?;
        if money::out_of_thin_air(&self.state) != 0 {
            return Err("money was made or lost".to_owned());
        }
        self.audit()
    }

    fn judge_words(&self) -> Result<(), String> {
        let told = self.state.clients.iter().map(|client| client.outcome());
        for (wish, (told, happened)) in told.zip(&self.state.past.happened).enumerate() {
            let agree = match told {
                Some(Outcome::Committed { txn }) => *happened == Some(*txn),
                Some(Outcome::Aborted { .. } | Outcome::Reused | Outcome::Rejected { .. }) | None => {
                    happened.is_none()
                }
                Some(Outcome::Unknown { .. }) => true,
            };
            if !agree {
                return Err(format!("client {} was told otherwise than it went", wish + 1));
            }
        }
        Ok(())
    }

    fn judge_balances(&self) -> Result<(), String> {
        let scenario = &self.model.scenario;
        let mut expected: BTreeMap<Place, i64> = BTreeMap::new();
        for (n, accounts) in scenario.nodes.iter().enumerate() {
            for (account, balance) in *accounts {
                let account = account.parse().expect("a well-formed name");
                expected.insert(
                    Place {
                        node: node_id(n),
                        account,
                    },
                    *balance,
                );
            }
        }
        for (wish, happened) in scenario.wishes.iter().zip(&self.state.past.happened) {
            if let (Ask::Submit { order, .. }, Some(_)) = (&wish.ask, happened) {
                for leg in order.legs() {
                    *expected.entry(leg.place.clone()).or_default() += leg.delta.get();
                }
            }
        }
        for (place, balance) in expected {
            let n = (0..self.state.nodes.len()).find(|&n| node_id(n) == place.node);
            let state = self.state.nodes[n.expect("a node of the scenario")]
                .machine
                .state();
            let found = state
                .ledger()
                .account(&place.account)
                .map_or(0, |account| account.balance);
            if found != balance {
                return Err(format!("{place} holds {found} instead of {balance}"));
            }
        }
        Ok(())
    }

    /// The last word: an audit that nothing stands in the way of.
    fn audit(&mut self) -> Result<(), String> {
        self.fire_all(); // A freeze that a late copy began ends by itself.
        self.rest();
        self.say(|| {
            format!(
                "client {} → {} audit",
                world::client_name(AUDITOR),
                world::coordinator_name(0)
            )
        });
        self.step_coordinator(
            0,
            CoordinatorInput::Client(
                AUDITOR,
                Call {
                    id: 0,
                    ask: Ask::Audit,
                },
            ),
        );
        self.rest();
        match &self.audited {
            Some(Answer::Audit(report)) if report.verdict == AuditVerdict::Exact => Ok(()),
            other => Err(format!("the last audit says {other:?}")),
        }
    }
}
