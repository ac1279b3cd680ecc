//! What a store takes to append a group of transactions and to make it durable, by backend and size of the group.
//! The disk's own sync is measured beside it.

use std::path::Path;
use std::time::Duration;

use benches::calibrate::Calibration;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::{Opened, Owner, StoreConfig, StoreKind};
use protocol::fold::{Fold, Seq};
use protocol::id::{AccountId, StoreId, TxnId};
use protocol::leg::Operation;
use protocol::locking::Locking;
use protocol::money::Delta;
use protocol::participant::{NodeKey, NodeRecord, NodeState};

/// Transactions that share a sync.
const GROUPS: [u64; 3] = [1, 64, 1024];

/// A node's store, filled as a node fills it.
struct Store {
    opened: Opened<NodeState>,
    touched: Vec<NodeKey>,
    txns: u64,
}

impl Store {
    fn open(dir: &Path, kind: StoreKind) -> Store {
        let config = StoreConfig {
            dir: dir.join(kind.to_string()),
            owner: Owner::Node("N1".parse().expect("a good name")),
            kind,
            cluster: "local".parse().expect("a good name"),
            segment_len_max: StoreConfig::SEGMENT_LEN_MAX,
            power_cut: None,
        };
        Store {
            opened: engine::open(&config).expect("a new store"),
            touched: Vec::new(),
            txns: 0,
        }
    }

    /// A transaction is prepared and committed, and the one before is forgotten.
    fn transact(&mut self) {
        self.txns += 1;
        let txn = TxnId::new(StoreId(1), 1, self.txns);
        let operation = |account: AccountId, delta: i64| Operation {
            account,
            delta: Delta::try_from(delta).expect("not zero"),
        };
        let account = format!("a{:08}", self.txns % 1000).parse().expect("a good name");
        let prepared = NodeRecord::PrepareOk {
            txn,
            operations: vec![operation(AccountId::world(), -1), operation(account, 1)].into(),
            opens: true,
            participants: vec![
                "N1".parse().expect("a good name"),
                "N2".parse().expect("a good name"),
            ]
            .into(),
            home: None,
            hold: Locking::Escrow.hold(),
        };
        let mark = NodeRecord::Mark {
            coordinator: txn.coordinator,
            below: txn.at,
        };
        for record in [mark, prepared, NodeRecord::Commit { txn }] {
            self.append(record);
        }
    }

    fn append(&mut self, record: NodeRecord) {
        let Opened { engine, state, .. } = &mut self.opened;
        let seq: Seq = state.seq() + 1;
        self.touched.clear();
        state.apply(seq, &record, &mut self.touched);
        let appended = engine.append(&[(seq, record)], &self.touched, state);
        appended.expect("the disk works");
    }

    fn sync(&mut self) {
        let Opened { engine, state, .. } = &mut self.opened;
        engine.sync().expect("the disk works");
        engine.tend(state).expect("the disk works");
    }
}

fn disk(criterion: &mut Criterion) {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
    let mut calibration = Calibration::new(dir.path()).expect("the disk works");
    criterion.bench_function("store/the disk alone: 128 bytes and a sync", |bencher| {
        bencher.iter(|| calibration.sync_once().expect("the disk works"));
    });
}

fn groups(criterion: &mut Criterion) {
    for kind in StoreKind::ALL {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("a directory");
        let mut store = Store::open(dir.path(), kind);
        let mut group = criterion.benchmark_group(format!("store/{kind}"));
        for size in GROUPS {
            group.throughput(Throughput::Elements(size));
            let id = BenchmarkId::new("transactions and a sync", size);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    for _ in 0..size {
                        store.transact();
                    }
                    store.sync();
                });
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = store_benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = disk, groups
}
criterion_main!(store_benches);
