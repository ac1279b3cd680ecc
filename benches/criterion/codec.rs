//! What a message costs on its way into bytes and back, and the frame around it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::codec;
use protocol::frame;
use protocol::id::{Birth, RequestId, StoreId, TxnId};
use protocol::leg::Order;
use protocol::message::{Answer, Ask, Call, FromNode, Home, Outcome, Prepare, Reply, ToNode, Vote};
use protocol::short::Short;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn order() -> Order {
    let place = |text: &str| text.parse().expect("a good place");
    let amount = "10".parse().expect("a good amount");
    Order::transfer(place("N1/a00012345"), place("N2/a00067890"), amount).expect("two accounts")
}

fn txn() -> TxnId {
    TxnId::new(StoreId(0x9f3c_77aa_0123_4567), 3, 123_456)
}

fn both_ways<T: Serialize + DeserializeOwned + Short>(criterion: &mut Criterion, name: &str, message: &T) {
    let bytes = codec::encode(message);
    let mut group = criterion.benchmark_group(format!("codec/{name}"));
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).expect("short")));
    let mut body = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            body.clear();
            codec::encode_into(black_box(message), &mut body);
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| codec::decode_next::<T>(&mut black_box(bytes.as_slice())).expect("what was encoded"));
    });
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let node = order().home();
    let submit = Call {
        id: 7,
        ask: Ask::Submit {
            request: RequestId(u128::MAX / 3),
            repeated: false,
            order: order(),
        },
    };
    both_ways(criterion, "submit", &submit);
    let prepare = Prepare {
        txn: txn(),
        operations: order().operations(node),
        opens: false,
        participants: order().participants(),
        birth: Birth(1_700_000_000_000),
        home: Some(Home {
            request: RequestId(u128::MAX / 3),
            digest: order().digest(),
            repeated: false,
        }),
    };
    both_ways(criterion, "prepare", &ToNode::Prepare(prepare));
    let vote = FromNode::Vote {
        txn: txn(),
        vote: Vote::Yes,
        durable: 123_456,
    };
    both_ways(criterion, "vote", &vote);
    let committed = Reply {
        id: 7,
        answer: Answer::Outcome(Outcome::Committed { txn: txn() }),
    };
    both_ways(criterion, "committed", &committed);
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for len in [64, 4096, 512 * 1024] {
        let body = vec![b'x'; len];
        let mut bytes = Vec::new();
        frame::write(&body, &mut bytes);
        group.throughput(Throughput::Bytes(u64::try_from(len).expect("short")));
        let mut out = Vec::new();
        group.bench_function(format!("write/{len}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                frame::write(black_box(&body), &mut out);
            });
        });
        group.bench_function(format!("read/{len}"), |bencher| {
            bencher.iter(|| frame::read(black_box(&bytes)).map(|body| body.map(<[u8]>::len)));
        });
    }
    group.finish();
}

criterion_group! {
    name = codec_benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(300)).measurement_time(std::time::Duration::from_secs(1));
    targets = messages, frames
}
criterion_main!(codec_benches);
