//! The independent look at a world: every process's log as a store, checked from outside.

use engine::{Content, Inspection, Owner, StoreKind};
use protocol::effects::Machine;
use protocol::fold::{Fold, Seq};
use protocol::id::StoreId;
use verify::{Claims, Images, Report};

use crate::world::{Process, World, coordinator_store, node_id, node_store};

/// The stores as a power cut would leave them now, if `kept` unsynced records of each process reach the disk.
pub(crate) fn images(world: &World, mut kept: impl FnMut(usize) -> usize) -> Images {
    let nodes = world.nodes.iter().enumerate();
    let nodes = nodes.map(|(n, process)| image(Owner::Node(node_id(n)), node_store(n), process, &mut kept));
    let nodes = nodes.collect();
    let coordinators = world.coordinators.iter().enumerate();
    let coordinators =
        coordinators.map(|(c, process)| image(Owner::Coordinator, coordinator_store(c), process, &mut kept));
    Images {
        nodes,
        coordinators: coordinators.collect(),
        refused: Vec::new(),
    }
}

/// Fails if anything is wrong with these stores.
pub(crate) fn check(images: &Images, claims: &Claims) -> Report {
    let report = verify::check(images, claims);
    assert!(report.violations.is_empty(), "{report}");
    report
}

fn image<M: Machine>(
    owner: Owner,
    store: StoreId,
    process: &Process<M>,
    kept: &mut impl FnMut(usize) -> usize,
) -> Inspection<M::State> {
    let synced = usize::try_from(process.synced).unwrap();
    let durable = synced + kept(process.records.len() - synced);
    let whole = &process.records[..durable];
    let (first, second) = (kept(durable), kept(durable));
    let (older, newer) = (first.min(second), first.max(second));
    // Segments that lie wholly in the older checkpoint may be gone.
    let gone = kept(older);
    Inspection {
        owner,
        kind: StoreKind::Json,
        store,
        cluster: "local".parse().unwrap(),
        content: Content {
            checkpoints: vec![fold(&whole[..older]), fold(&whole[..newer])],
            records: whole[gone..].to_vec(),
            notices: Vec::new(),
            damage: Vec::new(),
        },
    }
}

fn fold<S: Fold>(records: &[(Seq, S::Record)]) -> S {
    let mut state = S::empty();
    for (seq, record) in records {
        state.apply(*seq, record, &mut Vec::new());
    }
    state
}
