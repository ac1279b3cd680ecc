//! A scenario as something that `stateright` can explore.

use std::sync::Arc;

use protocol::coordinator::{Coordinator, CoordinatorConfig, CoordinatorState};
use protocol::fold::Fold;
use protocol::id::StoreId;
use protocol::participant::{NodeState, Participant, ParticipantConfig, REQUEST_WINDOW};
use stateright::Property;

use crate::action::Action;
use crate::canonical;
use crate::client::Client;
use crate::last_words;
use crate::link::Link;
use crate::perform;
use crate::process::Process;
use crate::property;
use crate::scenario::{Numbers, Scenario};
use crate::shared::{Pool, Shared};
use crate::state::{Chapter, Past, State};
use crate::watch::Seen;
use crate::world::{World, coordinator_id, node_id};

/// One copy of each part of a state.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pub(crate) coordinators: Pool<Process<Coordinator>>,
    pub(crate) nodes: Pool<Process<Participant>>,
    pub(crate) links: Pool<Link>,
    pub(crate) clients: Pool<Client>,
    pub(crate) pasts: Pool<Past>,
}

/// A scenario, and what its exploration has seen so far.
#[derive(Debug)]
pub struct Model {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) pools: Pools,
    pub(crate) seen: Seen,
}

impl Model {
    /// A scenario that nobody has explored.
    pub fn new(scenario: Scenario) -> Model {
        Model::of(Arc::new(scenario))
    }

    pub(crate) fn of(scenario: Arc<Scenario>) -> Model {
        Model {
            scenario,
            pools: Pools::default(),
            seen: Seen::default(),
        }
    }

    /// Everyone started, with their accounts, and connected; every client has sent its first call.
    fn first_state(&self) -> State {
        let Scenario {
            coordinators,
            nodes,
            wishes,
            budget,
            ..
        } = &*self.scenario;
        let past = Past {
            happened: vec![None; wishes.len()],
            ..Past::default()
        };
        let client = |wish: &crate::scenario::Wish| {
            let client = Client::new(wish.ask.clone(), *coordinators, wish.first, wish.sends);
            self.pools.clients.share(client)
        };
        let state = State {
            coordinators: (0..*coordinators)
                .map(|c| self.coordinator(c, 0, CoordinatorState::empty()))
                .collect(),
            nodes: (0..nodes.len()).map(|n| self.node(n, self.funded(n))).collect(),
            links: vec![self.pools.links.share(Link::default()); coordinators * nodes.len()],
            clients: Vec::new(),
            past: self.pools.pasts.share(past),
            left: *budget,
            broken: None,
            story: None,
        };
        let mut world = World::new(self, state);
        for n in 0..nodes.len() {
            world.start_node(n);
        }
        for c in 0..*coordinators {
            world.start_coordinator(c);
        }
        for c in 0..*coordinators {
            for n in 0..nodes.len() {
                world.connect(c, n);
            }
        }
        world.rest();
        world.state.clients = wishes.iter().map(client).collect();
        let mut state = world.state;
        canonical::rename(self, &mut state);
        state
    }

    /// A store that began with a hand-written map of balances.
    fn funded(&self, n: usize) -> NodeState {
        let accounts = self.scenario.nodes[n].iter();
        let accounts = accounts.map(|(name, balance)| (name.parse().expect("a well-formed name"), *balance));
        let record = NodeState::adoption(accounts.collect(), 0).expect("a node has accounts");
        let mut state = NodeState::empty();
        state.apply(1, &record, &mut Vec::new());
        state
    }

    /// Whether a recovery goes through a checkpoint.
    pub(crate) fn checkpoints(&self) -> bool {
        match self.scenario.numbers {
            Numbers::InOrder => true,
            Numbers::Durable => false,
        }
    }

    /// A node with a recovered log.
    pub(crate) fn node(&self, n: usize, state: NodeState) -> Shared<Process<Participant>> {
        let config = ParticipantConfig {
            node: node_id(n),
            store: StoreId(0x100 + u64::try_from(n).expect("an index fits")),
            store_kind: "memory".to_owned(),
            locking: self.scenario.locking,
            request_window: REQUEST_WINDOW,
        };
        self.pools
            .nodes
            .share(Process::new(Participant::new(config, state)))
    }

    /// A coordinator with a recovered log, after so many crashes.
    pub(crate) fn coordinator(
        &self,
        c: usize,
        crashes: u8,
        state: CoordinatorState,
    ) -> Shared<Process<Coordinator>> {
        let config = CoordinatorConfig {
            id: coordinator_id(c),
            incarnation: 1 + u64::from(crashes),
            nodes: (0..self.scenario.nodes.len()).map(node_id).collect(),
        };
        let machine = Coordinator::new(config, state).expect("it has all the nodes it ever had");
        self.pools.coordinators.share(Process::new(machine))
    }

    /// The state after an action, if it changes anything.
    pub(crate) fn after(&self, state: &State, action: Action) -> Option<State> {
        let mut world = World::new(self, state.clone());
        world.state.story = Some(Arc::new(Chapter {
            before: state.story.clone(),
            action,
        }));
        last_words::remember(&self.scenario, &world.state.story, false);
        if !world.perform(action) {
            return None;
        }
        let mut state = world.state;
        canonical::rename(self, &mut state);
        Some(state)
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        perform::enabled(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.after(state, action)
    }

    fn properties(&self) -> Vec<Property<Model>> {
        property::all(&self.scenario)
    }
}
