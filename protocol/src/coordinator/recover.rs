//! The start of a life, and what is done again every second of it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::members::Members;
use super::state::CoordinatorState;
use super::{
    Coordinator, CoordinatorConfig, CoordinatorRecord, CoordinatorTimer, Live, OpenTxn, Phase, Stage,
};
use crate::effects::{Effects, Urgency};
use crate::fold::Fold;
use crate::id::{NodeId, TxnId};
use crate::leg::Nodes;
use crate::message::ToNode;
use crate::planted;
use crate::reason::Reason;
use crate::table::Keyed;

impl Coordinator {
    /// A coordinator with a recovered state.
    ///
    /// # Errors
    /// If an unfinished transaction needs a node that the configuration does not name: it could never end.
    pub fn new(config: CoordinatorConfig, state: CoordinatorState) -> Result<Coordinator, String> {
        let needed = state
            .open()
            .iter()
            .flat_map(|(txn, open)| open.participants.iter().map(move |node| (txn, node)));
        for (txn, node) in needed {
            if !config.nodes.contains(node) {
                return Err(format!(
                    "the log holds unfinished transaction {txn}, which needs node {node}, but --nodes does not name it. \
                     Start with {node} in --nodes; nothing was changed"
                ));
            }
        }
        Ok(Coordinator {
            links: Coordinator::links_of(&config),
            config,
            forced: state.seq(),
            state,
            next_sequence: 1,
            live: Keyed::default(),
            asking: BTreeMap::new(),
            next_ask: 1,
            tick: 0,
            has_room: true,
        })
    }

    /// Begins a new epoch, keeps every COMMIT, aborts what was not decided, and leaves to its node what only that
    /// node can decide (R6, R18).
    pub(super) fn on_start(&mut self, effects: &mut Effects<Coordinator>) {
        let epoch = self.state.epoch() + 1;
        let incarnation = self.config.incarnation;
        if !planted!(EpochNotRaised) || epoch == 1 {
            self.append(
                CoordinatorRecord::Epoch { epoch, incarnation },
                planted!(EpochNotSynced: Urgency::Forced => Urgency::Lazy),
                effects,
            );
        }
        let (mut commit, mut abort, mut delegated) = (0, 0, 0);
        let found = self.state.open().iter();
        let found: Vec<(TxnId, OpenTxn)> = found.map(|(&txn, open)| (txn, open.clone())).collect();
        for (txn, open) in found {
            let stage = match open.phase {
                Phase::Committed(_) if planted!(RecoveryEndsCommits) => {
                    self.append(CoordinatorRecord::Complete { txn }, Urgency::Lazy, effects);
                    continue;
                }
                Phase::Committed(_) => {
                    commit += 1;
                    Stage::Committed(Members::first(open.participants.len()))
                }
                Phase::Started if open.participants.len() == 1 => {
                    delegated += 1;
                    Stage::Delegated
                }
                Phase::Started => {
                    abort += 1;
                    let reason = Reason::CoordinatorRestarted;
                    self.append(CoordinatorRecord::Abort { txn, reason }, Urgency::Forced, effects);
                    continue;
                }
            };
            let live = Live {
                client: None,
                home_node: open.home,
                home: open.home_key(),
                participants: open.participants,
                stage,
                since: 0,
            };
            self.live.insert(txn, live);
        }
        let found = commit + abort + delegated;
        if found > 0 {
            let ask = if delegated > 0 {
                format!(", {delegated} for their node to tell")
            } else {
                String::new()
            };
            effects.info(format!(
                "Found {found} incomplete transactions from previous run: {commit} to commit, {abort} to abort{ask}"
            ));
        }
        effects.set(CoordinatorTimer::Tick);
    }

    pub(super) fn on_tick(&mut self, effects: &mut Effects<Coordinator>) {
        let since = self.tick;
        self.tick += 1;
        let slow = self.live.that(|_, live| live.since < since);
        let slow: Vec<(TxnId, Nodes)> = slow
            .map(|(&txn, live)| (txn, live.participants.clone()))
            .collect();
        for (txn, participants) in slow {
            for node in participants {
                if self.is_up(node) {
                    self.say_again_about(txn, node, effects);
                }
            }
        }
        for node in self.config.nodes.clone() {
            if self.is_up(node) {
                self.note_proof(node, effects);
                self.raise_mark(node, effects);
            }
        }
        effects.set(CoordinatorTimer::Tick);
    }

    /// Tells a node below which point everything it takes part in has ended (R9b).
    fn raise_mark(&mut self, node: NodeId, effects: &mut Effects<Coordinator>) {
        let oldest = self.live.first_that(|live| live.participants.contains(&node));
        let oldest = planted!(MarkPastOpen: oldest => None);
        let below = oldest.map_or(self.next_point(), |txn| txn.at);
        if below > self.state.node(node).mark {
            let seq = self.append(CoordinatorRecord::Mark { node, below }, Urgency::Lazy, effects);
            let shows = planted!(MarkBeforeSync: seq => 0);
            self.tell(node, ToNode::Mark { below, durable: seq }, shows, effects);
        }
    }
}
