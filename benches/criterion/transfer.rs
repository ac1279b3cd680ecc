//! Whole transfers through real processes: a coordinator and three nodes, by backend and by how many go at a time.

use std::path::PathBuf;
use std::time::Duration;

use benches::options::Options;
use benches::site::Site;
use benches::tally::Tally;
use benches::workload::{Dist, Part, Workload};
use client::{Ask, Leg, Order, Pipeline, RequestId, fresh_request_id};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::StoreKind;
use protocol::money::Delta;

/// Transfers that are sent at once and awaited together.
const BATCHES: [u64; 3] = [1, 64, 1024];

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be paid.
struct Orders {
    workload: Workload,
    request: u128,
    parts: Vec<Part>,
}

impl Orders {
    fn new(options: &Options) -> Orders {
        Orders {
            workload: Workload::new(options.accounts, options.nodes, 2, Dist::Uniform, 1),
            request: fresh_request_id().0,
            parts: Vec::new(),
        }
    }

    fn next(&mut self, site: &Site) -> Ask {
        self.workload.next(&mut self.parts);
        let leg = |part: &Part| Leg {
            place: site.nodes.place(part.account),
            delta: Delta::try_from(part.delta).expect("not zero"),
        };
        let legs: Vec<Leg> = self.parts.iter().map(leg).collect();
        self.request = self.request.wrapping_add(1);
        Ask::Submit {
            request: RequestId(self.request),
            repeated: false,
            order: Order::new(&legs).expect("different accounts"),
        }
    }
}

/// A client with a connection of its own.
struct Payer {
    pipeline: Pipeline,
    tally: Tally,
}

impl Payer {
    fn new(site: &Site) -> Payer {
        Payer {
            pipeline: Pipeline::connect(&site.coordinators[0]).expect("a coordinator"),
            tally: Tally::default(),
        }
    }

    /// Sends `asks` and waits for all their outcomes.
    fn pay(&mut self, asks: &[Ask]) {
        self.pipeline.send_batch(asks).expect("a connection");
        while self.pipeline.in_flight() > 0 {
            let (_, answer) = self
                .pipeline
                .receive(PATIENCE)
                .expect("a connection")
                .expect("an answer in time");
            self.tally.note(&answer);
        }
    }
}

fn transfers(criterion: &mut Criterion) {
    for store in StoreKind::ALL {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_twopence"));
        let options = Options {
            accounts: 20_000,
            ..Options::new(binary, env!("CARGO_MANIFEST_DIR").into())
        };
        let site = Site::open(&options, &store.to_string()).expect("a cluster");
        let (mut orders, mut payer) = (Orders::new(&options), Payer::new(&site));
        let mut group = criterion.benchmark_group(format!("transfer/{store}"));
        for batch in BATCHES {
            group.throughput(Throughput::Elements(batch));
            group.bench_function(BenchmarkId::new("at a time", batch), |bencher| {
                bencher.iter_batched(
                    || (0..batch).map(|_| orders.next(&site)).collect::<Vec<Ask>>(),
                    |asks| payer.pay(&asks),
                    criterion::BatchSize::PerIteration,
                );
            });
        }
        group.finish();
        let Tally {
            committed, refused, ..
        } = payer.tally;
        assert!(
            committed > payer.tally.aborts() && refused == 0,
            "most transfers meet nobody"
        );
    }
}

criterion_group! {
    name = transfer_benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = transfers
}
criterion_main!(transfer_benches);
