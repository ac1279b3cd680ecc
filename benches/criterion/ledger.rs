//! What a node's ledger takes for one side of a transfer, by the kind of hold that each policy grants.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::Dice;
use protocol::id::{AccountId, StoreId, TxnId};
use protocol::ledger::{Account, Ledger};
use protocol::leg::Operation;
use protocol::locking::Locking;
use protocol::money::Delta;

/// Transactions that hold the hot account.
const HOLDERS: u64 = 1_000;

fn account(number: u64) -> AccountId {
    format!("a{number:08}").parse().expect("a good name")
}

fn ledger(accounts: u64) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0..accounts {
        let account_with_money = Account {
            balance: 1_000_000_000,
            version: 0,
        };
        ledger
            .restore(account(number), account_with_money)
            .expect("each account once");
    }
    ledger
}

fn txn(sequence: u64) -> TxnId {
    TxnId::new(StoreId(1), 1, sequence)
}

fn operation(number: u64, delta: i64) -> Vec<Operation> {
    vec![Operation {
        account: account(number),
        delta: Delta::try_from(delta).expect("not zero"),
    }]
}

/// Check, hold and settle: all that a committed transaction takes of a ledger.
fn one_side(ledger: &mut Ledger, txn: TxnId, operations: &[Operation], locking: Locking) {
    let free = ledger.check(operations, false, locking.hold()).is_ok();
    assert!(free, "nobody else is there, or nobody is in the way");
    let slots = ledger.hold(txn, operations, locking.hold());
    ledger.settle(txn, operations, &slots);
}

fn uniform(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger/one of many accounts");
    for accounts in [1_000, 100_000, 1_000_000] {
        for locking in [Locking::NoWait, Locking::Escrow] {
            let mut ledger = ledger(accounts);
            let mut dice = Dice::new(1);
            let orders: Vec<Vec<Operation>> = (0..4096)
                .map(|_| operation(dice.below(accounts), if dice.one_in(2) { -1 } else { 1 }))
                .collect();
            let mut turn = orders.iter().cycle();
            let id = BenchmarkId::new(locking.name(), accounts);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let operations = turn.next().expect("without end");
                    one_side(&mut ledger, txn(1), operations, locking);
                });
            });
        }
    }
    group.finish();
}

/// One account that a thousand transactions hold already: what `escrow` is for.
fn hot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger/hot account");
    let mut ledger = ledger(1_000);
    for holder in 0..HOLDERS {
        ledger.hold(txn(holder), &operation(7, -1), Locking::Escrow.hold());
    }
    let operations = operation(7, -1);
    group.bench_function(format!("escrow/{HOLDERS} holders"), |bencher| {
        bencher.iter(|| one_side(&mut ledger, txn(HOLDERS + 1), &operations, Locking::Escrow));
    });
    group.finish();
}

criterion_group! {
    name = ledger_benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = uniform, hot
}
criterion_main!(ledger_benches);
