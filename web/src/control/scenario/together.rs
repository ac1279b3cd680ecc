//! Several transfers at once: what stands in each other's way, and what comes of it.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use client::{
    BalanceAnswer, Client, Order, Outcome, Place, Reason, RequestId, Submission, Target, fresh_request_id,
};
use cluster::story::{CONCURRENT, CONFLICTING, Transfer, until_it_commits};

use super::stage::{Money, Stage, line, unreachable};
use super::{Told, Verdict};
use crate::control::bad;
use crate::problem::{Code, Problem};

/// How long the first of two transfers may take to hold the account that both want.
const REACH_MAX: Duration = Duration::from_secs(10);

/// How often the two are tried on a machine that is too slow for the first one to be still open when it is let go on.
const TRIES_MAX: usize = 4;

/// How long the second one may wait in line before the first one is let go on.
const IN_LINE: Duration = Duration::from_millis(300);

const POLL: Duration = Duration::from_millis(10);

/// Three transfers that start at the same moment. Each is tried again until it commits.
pub(super) fn concurrent(stage: &Stage<'_>, cli: String) -> Result<Told, Problem> {
    let orders: Vec<Order> = CONCURRENT.iter().map(order).collect::<Result<_, _>>()?;
    let places = places(&CONCURRENT)?;
    let before = stage.money(&places)?;
    enough(&before, &CONCURRENT)?;
    let start = Barrier::new(orders.len());
    let endings = thread::scope(|scope| {
        let spawn = |order| {
            let (mut client, start) = (stage.client(), &start);
            scope.spawn(move || {
                start.wait();
                until_it_commits(&mut client, order)
            })
        };
        let threads: Vec<_> = orders.iter().map(spawn).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().expect("a scenario's thread does not panic")
        };
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    let mut transactions = Vec::new();
    let mut facts = Vec::new();
    let (mut committed, mut tries) = (0, 0);
    for ((ending, order), transfer) in endings.into_iter().zip(&orders).zip(&CONCURRENT) {
        let ending = ending.map_err(unreachable)?;
        tries += ending.tries();
        let (from, to, amount) = transfer;
        let met = if ending.met.is_empty() {
            String::new()
        } else {
            format!(", after {}", ending.met.join(", "))
        };
        let how = match &ending.submission.outcome {
            Outcome::Committed { .. } => {
                committed += 1;
                format!("committed at try {}{met}", ending.tries())
            }
            other @ (Outcome::Aborted { .. }
            | Outcome::Unknown { .. }
            | Outcome::Reused
            | Outcome::Rejected { .. }) => format!("{other}{met}"),
        };
        facts.push(format!("{from} → {to} {amount}: {how}."));
        transactions.push(line(&ending.submission, order));
    }
    let after = settled_money(stage, &transactions_of(&transactions), &places)?;
    let all = committed == orders.len();
    let conflicts = tries - orders.len();
    let how = match (all, conflicts) {
        (true, 0) => {
            "All three committed at their first try: none met another in its short time of holding".to_owned()
        }
        (true, 1) => {
            "All three committed; one try met another transfer's lock, aborted at once and was tried again"
                .to_owned()
        }
        (true, n) => format!(
            "All three committed; {n} tries met another transfer's lock, aborted at once and were tried again"
        ),
        (false, _) => format!("{committed} of three committed"),
    };
    facts.push(format!("{}.", after.change_since(&before)));
    Ok(Told {
        verdict: Verdict {
            ok: all && after.is_whole(),
            title: "Three transfers at once".to_owned(),
            text: format!("{how}; {}.", after.equation()),
            facts,
            conserved: after.equation(),
        },
        transactions,
        cli,
    })
}

/// Two transfers that both want N2/B.
///
/// So that it comes out the same every time, N1 is frozen while the first transfer waits for its vote, and meanwhile N2
/// holds B. Only then the second one starts.
pub(super) fn conflict(stage: &Stage<'_>, cli: String) -> Result<Told, Problem> {
    let [first, second] = [order(&CONFLICTING[0])?, order(&CONFLICTING[1])?];
    let places = places(&CONFLICTING)?;
    let before = stage.money(&places)?;
    enough(&before, &CONFLICTING)?;
    let locking = stage.keeper().config().locking;
    let mut slow = 0;
    let (one, two, holder) = loop {
        let (one, two, holder) = collide(stage, &first, &second, &locking)?;
        let too_slow = matches!(
            &one.outcome,
            Outcome::Aborted { refusal, .. } if refusal.reason.retryable()
        );
        if !too_slow || slow + 1 == TRIES_MAX {
            break (one, two, holder);
        }
        slow += 1;
    };
    let transactions = vec![line(&one, &first), line(&two, &second)];
    let after = settled_money(stage, &transactions_of(&transactions), &places)?;
    let wanted = &places[1];
    let refused = matches!(
        &two.outcome,
        Outcome::Aborted { refusal, .. } if refusal.reason == Reason::LockContention(wanted.account.clone())
    );
    let [one_committed, two_committed] =
        [&one, &two].map(|submission| matches!(submission.outcome, Outcome::Committed { .. }));
    let (as_it_must_be, text) = match (one_committed, two_committed) {
        (true, false) if refused => (
            true,
            format!(
                "Transfer 1 held {wanted}, so transfer 2 aborted at once on that lock, and nothing of it happened; \
                 transfer 1 committed undisturbed"
            ),
        ),
        (true, true) if locking == "wait" => (
            true,
            format!(
                "Transfer 2 is older than transfer 1, so under `wait` it stood in line for {wanted}, and both committed"
            ),
        ),
        (true, true) if locking == "escrow" => (
            true,
            format!(
                "Under `escrow` transfer 2 only had to reserve its 150 of what {wanted} has for sure, so both committed"
            ),
        ),
        (false, _) if in_the_way(&one) => (
            true,
            "Transfers of somebody else use these accounts and were in the way of transfer 1 each time, so the two could \
             not meet; play it again when it is quiet"
                .to_owned(),
        ),
        (_, _) => (
            false,
            format!("Transfer 1: {}; transfer 2: {}", one.outcome, two.outcome),
        ),
    };
    let mut facts = vec![format!("The nodes run with --locking {locking}.")];
    facts.push(
        "N1 was frozen before it could vote, so transfer 1 stood in the middle while N2 held its account."
            .to_owned(),
    );
    facts.push(holder);
    facts.push(format!("Transfer 2, {second}: {}.", two.outcome));
    facts.push(format!("Transfer 1, {first}: {}.", one.outcome));
    if slow > 0 {
        facts.push(format!(
            "{slow} tries before this one were given up: transfer 1 did not live long enough on this busy machine, or others \
             were in its way."
        ));
    }
    facts.push(format!("{}.", after.change_since(&before)));
    Ok(Told {
        verdict: Verdict {
            ok: as_it_must_be && after.is_whole(),
            title: "Two transfers want N2/B".to_owned(),
            text: format!("{text}; {}.", after.equation()),
            facts,
            conserved: after.equation(),
        },
        transactions,
        cli,
    })
}

/// Whether it aborted because others held an account that it wanted.
fn in_the_way(submission: &Submission) -> bool {
    matches!(
        &submission.outcome,
        Outcome::Aborted { refusal, .. } if matches!(refusal.reason, Reason::LockContention(_))
    )
}

/// Lets the two run into each other. Returns both, and what was seen of the hold.
fn collide(
    stage: &Stage<'_>,
    first: &Order,
    second: &Order,
    locking: &str,
) -> Result<(Submission, Submission, String), Problem> {
    let older = (locking == "wait").then(|| {
        // Only who is older waits: the second one's id is made first, in another millisecond.
        let id = fresh_request_id();
        thread::sleep(POLL);
        id
    });
    let mut frozen = Frozen::take(stage, "N1")?;
    thread::scope(|scope| {
        let one = scope.spawn(|| stage.client().submit(None, first.clone()));
        let holder = wait_for_hold(stage, &place(CONFLICTING[0].1)?);
        let holder = match holder {
            Ok(holder) => holder,
            Err(problem) => {
                frozen.thaw()?;
                return Err(problem);
            }
        };
        let two = scope.spawn(|| submit(stage.client(), older, second));
        let began = Instant::now();
        while !two.is_finished() && (locking == "no-wait" || began.elapsed() < IN_LINE) {
            thread::sleep(POLL);
        }
        frozen.thaw()?;
        let join = |thread: thread::ScopedJoinHandle<'_, Result<Submission, client::Error>>| {
            let submission = thread.join().expect("a scenario's thread does not panic");
            submission.map_err(unreachable)
        };
        Ok((join(one)?, join(two)?, holder))
    })
}

fn submit(mut client: Client, id: Option<RequestId>, order: &Order) -> Result<Submission, client::Error> {
    client.submit(id, order.clone())
}

/// Waits until the account is held. Returns what is known of the hold.
fn wait_for_hold(stage: &Stage<'_>, place: &Place) -> Result<String, Problem> {
    // A read waits for the hold; one that waits only a moment comes back with its name.
    let mut reader = stage.client_for(Duration::from_millis(100));
    let began = Instant::now();
    loop {
        // In so short a time a question may also get no answer at all.
        if let Ok(BalanceAnswer::InDoubt {
            holders,
            lowest,
            highest,
        }) = reader.balance(place.clone())
        {
            let holder = holders.first().map(ToString::to_string).unwrap_or_default();
            return Ok(format!(
                "{place} was held by transaction {holder}: {lowest} or {highest}, nobody could tell yet."
            ));
        }
        if began.elapsed() > REACH_MAX {
            return Err(Problem::new(
                Code::ProcessFailed,
                format!(
                    "Transfer 1 did not hold {place} within {} s.",
                    REACH_MAX.as_secs()
                ),
            ));
        }
        thread::sleep(POLL);
    }
}

/// A node that stands still until this is thawed or dropped.
struct Frozen<'a> {
    stage: &'a Stage<'a>,
    target: Target,
    still: bool,
}

impl<'a> Frozen<'a> {
    fn take(stage: &'a Stage<'a>, name: &str) -> Result<Frozen<'a>, Problem> {
        let target = stage.keeper().find(name)?.target;
        stage.keeper().freeze(target)?;
        Ok(Frozen {
            stage,
            target,
            still: true,
        })
    }

    fn thaw(&mut self) -> Result<(), Problem> {
        self.still = false;
        Ok(self.stage.keeper().thaw(self.target)?)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if self.still {
            // One that is gone meanwhile needs no thaw.
            let _ = self.stage.keeper().thaw(self.target);
        }
    }
}

/// One transfer after the other.
pub(super) fn repeat(stage: &Stage<'_>, order: &Order, times: u32, cli: String) -> Result<Told, Problem> {
    let places: Vec<Place> = order.legs().iter().map(|leg| leg.place.clone()).collect();
    let before = stage.money(&places)?;
    let mut client = stage.client();
    let mut transactions = Vec::new();
    let (mut committed, mut others) = (0, BTreeMap::<String, u32>::new());
    for _ in 0..times {
        let submission = client.submit(None, order.clone()).map_err(unreachable)?;
        match &submission.outcome {
            Outcome::Committed { .. } => committed += 1,
            Outcome::Aborted { refusal, .. } => *others.entry(refusal.reason.to_string()).or_default() += 1,
            other @ (Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. }) => {
                *others.entry(other.to_string()).or_default() += 1;
            }
        }
        transactions.push(line(&submission, order));
    }
    let last: Vec<RequestId> = transactions_of(&transactions).into_iter().rev().take(1).collect();
    let after = settled_money(stage, &last, &places)?;
    let mut text = format!("{committed} of {times} committed");
    for (reason, count) in &others {
        text += &format!(", {count} aborted: {reason}");
    }
    Ok(Told {
        verdict: Verdict {
            ok: after.is_whole(),
            title: format!("The same transfer {times} times"),
            text: format!("{text}; {}.", after.equation()),
            facts: vec![format!("{}.", after.change_since(&before))],
            conserved: after.equation(),
        },
        transactions,
        cli,
    })
}

/// Where the money is when these requests have ended everywhere.
fn settled_money(stage: &Stage<'_>, requests: &[RequestId], places: &[Place]) -> Result<Money, Problem> {
    for request in requests {
        stage.settled(*request)?;
    }
    stage.money(places)
}

fn transactions_of(lines: &[super::TransactionLine]) -> Vec<RequestId> {
    let id = |line: &super::TransactionLine| line.report.request_id.as_ref()?.parse().ok();
    lines.iter().filter_map(id).collect()
}

fn place(text: &str) -> Result<Place, Problem> {
    text.parse().map_err(|error| bad(format!("{text:?}: {error}.")))
}

fn order((from, to, amount): &Transfer) -> Result<Order, Problem> {
    let amount = (*amount)
        .try_into()
        .map_err(|error| bad(format!("{amount}: {error}.")))?;
    Order::transfer(place(from)?, place(to)?, amount).map_err(|error| bad(format!("{error}.")))
}

/// The accounts of these transfers, each once, sorted.
fn places(transfers: &[Transfer]) -> Result<Vec<Place>, Problem> {
    let mut places = Vec::new();
    for (from, to, _) in transfers {
        places.extend([place(from)?, place(to)?]);
    }
    places.sort();
    places.dedup();
    Ok(places)
}

/// Every account must be there, and those that pay must have the money.
fn enough(money: &Money, transfers: &[Transfer]) -> Result<(), Problem> {
    for (place, balance) in &money.balances {
        let name = place.to_string();
        let pays: i64 = transfers
            .iter()
            .filter(|(from, _, _)| *from == name)
            .map(|(_, _, amount)| amount)
            .sum();
        let short = match balance {
            None => "it is not there".to_owned(),
            Some(balance) if *balance < pays => format!("it has {balance} and has to pay {pays}"),
            Some(_) => continue,
        };
        return Err(
            Problem::new(Code::NotNow, format!("This scenario needs {name}, and {short}."))
                .next(format!("Deposit 1000 in {name}, and play again.")),
        );
    }
    Ok(())
}
