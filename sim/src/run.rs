//! One seed from the beginning to the verdict.
//!
//! Accounts are funded in peace; then everything goes wrong while clients work; then everything heals, and within 30
//! seconds every request must have an answer, everything in doubt must have ended, and every account must hold what
//! clients were told.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use protocol::message::Ask;
use protocol::participant::waits_for_ever;

use crate::client::Job;
use crate::nemesis::{Nemesis, Script};
use crate::oracle;
use crate::tally::Tally;
use crate::time::{Micros, SECOND};
use crate::trace::{Line, Trace};
use crate::weather::Weather;
use crate::who::Who;
use crate::world::World;

/// How long the funding may take.
const FUNDING_MAX: Micros = 60 * SECOND;

/// How long things go wrong at most; clients that are not done by then give up thinking of new requests.
const WRONG_MAX: Micros = 120 * SECOND;

/// How long it may take until everything has ended once everything works again (V10).
const HEALING_MAX: Micros = 30 * SECOND;

thread_local! {
    static UNDER_WAY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What this thread is running, as the arguments that repeat it; to be told when it panics.
pub fn under_way() -> Option<String> {
    UNDER_WAY.with_borrow(Clone::clone)
}

/// No part of a story takes a hundredth of these steps, unless it goes on for ever without time passing.
const STEPS_MAX: u32 = 3_000_000;

/// A story that has gone wrong this often is not worth following any further.
const VIOLATIONS_MAX: usize = 50;

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must not have been; empty if all is well.
    pub wrong: Vec<String>,
    /// Requests that were sent, without the funding.
    pub requests: usize,
    /// Of those, committed.
    pub committed: usize,
    /// Audits that saw everything.
    pub exact_audits: u64,
    /// Faults that were injected.
    pub tally: Tally,
    /// Messages that were sent until everything healed.
    pub messages: u64,
    /// Operations of each process's disk from the funding until everything healed.
    pub operations: Vec<(Who, u64)>,
    /// How long everything took to end after healing, in microseconds of virtual time.
    pub healing: Micros,
    /// How long the story is, in microseconds of virtual time.
    pub lasted: Micros,
    /// The digest of the trace, if one was made.
    pub digest: Option<u64>,
    /// The trace, if it was kept.
    pub lines: Vec<Line>,
}

/// Whether a trace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// No.
    Off,
    /// Its digest only.
    Digest,
    /// In full.
    Full,
}

impl Tracing {
    fn start(self) -> Trace {
        match self {
            Tracing::Off => Trace::off(),
            Tracing::Digest => Trace::digested(),
            Tracing::Full => Trace::kept(),
        }
    }
}

/// Runs one seed.
pub fn seed(seed: u64, tracing: Tracing) -> Report {
    let repeat = format!("--seed {seed} --trace");
    run(seed, Weather::of_seed(seed), Script::default(), tracing, repeat)
}

/// Runs one world; `repeat` are the arguments that do so again. A panic, such as an assertion of the production code, is a
/// verdict, too, where panics unwind; elsewhere the program's panic hook gives it.
pub(crate) fn run(seed: u64, weather: Weather, script: Script, tracing: Tracing, repeat: String) -> Report {
    let nemesis = Nemesis::new(seed, script);
    let world = RefCell::new(World::new(seed, weather, nemesis, tracing.start()));
    UNDER_WAY.set(Some(repeat));
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| live(&mut world.borrow_mut())));
    UNDER_WAY.set(None);
    let mut world = world.into_inner();
    let ended = panicked.unwrap_or_else(|panic| {
        let mut wrong = std::mem::take(&mut world.history.violations);
        wrong.push(format!("panic: {}", panic_text(panic.as_ref())));
        Ended {
            wrong,
            ..Ended::default()
        }
    });
    let mut wrong = ended.wrong;
    wrong.dedup();
    let funded = world.nodes.len() * world.weather.habits.accounts;
    let asked = &world.history.asked()[funded..];
    let committed = |told: &crate::history::Told| told.committed.is_some();
    Report {
        wrong,
        requests: asked.len(),
        committed: asked
            .iter()
            .filter(|asked| asked.told.as_ref().is_some_and(committed))
            .count(),
        exact_audits: world.history.exact_audits,
        messages: ended.messages,
        operations: ended.operations,
        healing: ended.healing,
        lasted: world.now.0,
        digest: world.trace.digest(),
        lines: world.trace.lines().to_vec(),
        tally: std::mem::take(&mut world.tally),
    }
}

/// How a story ended.
#[derive(Default)]
struct Ended {
    wrong: Vec<String>,
    healing: Micros,
    messages: u64,
    operations: Vec<(Who, u64)>,
}

impl Ended {
    fn early(world: &mut World, why: String) -> Ended {
        let mut wrong = std::mem::take(&mut world.history.violations);
        wrong.push(why);
        Ended {
            wrong,
            ..Ended::default()
        }
    }
}

/// The whole story.
fn live(world: &mut World) -> Ended {
    world.healed = true;
    if !live_until(world, FUNDING_MAX, World::is_at_rest) {
        let left = world.what_is_left();
        return Ended::early(world, format!("the funding did not end: {left}"));
    }
    world.healed = false;
    let before = operations(world);
    world.begin();
    if !live_until(world, WRONG_MAX / 2, World::half_is_asked) {
        world.stop_requests();
    }
    let wrong = oracle::glance(world);
    world.history.violations.extend(wrong);
    live_until(world, WRONG_MAX / 2, World::clients_are_done);
    world.stop_requests();
    let messages = world.messages;
    let after = operations(world).into_iter().zip(before);
    let operations = after
        .map(|((who, after), (_, before))| (who, after.saturating_sub(before)))
        .collect();
    let wrong = oracle::glance(world);
    world.history.violations.extend(wrong);
    world.heal();
    let healed_at = world.now;
    if !live_until(world, HEALING_MAX, World::is_at_rest) {
        let left = world.what_is_left();
        return Ended::early(world, format!("V10: 30 s after everything healed, {left}"));
    }
    let healing = world.now.0 - healed_at.0;
    // Marks rise, lazy records are synced.
    live_until(world, 4 * SECOND, |_| false);
    ask_again(world);
    audit_at_rest(world);
    live_until(world, 4 * SECOND, |_| false);
    Ended {
        wrong: oracle::judge(world),
        healing,
        messages,
        operations,
    }
}

/// How often each process has used its disk. A disk that was replaced begins at 0 again, but stories in which that
/// matters have none.
fn operations(world: &World) -> Vec<(Who, u64)> {
    let of = |who: Who| (who, world.disk(who).operations());
    world.processes().into_iter().map(of).collect()
}

/// Every coordinator is asked for an audit; nothing can keep it from being exact (V8).
fn audit_at_rest(world: &mut World) {
    let before = world.history.exact_audits;
    for first in 0..world.coordinators.len() {
        world.employ(first % world.clients_len(), Job::Audit, Ask::Audit, first);
        live_until(world, HEALING_MAX, World::clients_are_done);
    }
    world.history.judge_last_audit();
    let audits = u64::try_from(world.coordinators.len()).expect("a few");
    if world.history.exact_audits != before + audits {
        let wrong = "V8: an audit of a world at rest was not exact".to_owned();
        world.history.violations.push(wrong);
    }
}

/// What was answered once is answered so for ever (V5).
fn ask_again(world: &mut World) {
    let asked = world.history.asked().len();
    for n in 0..20.min(asked) {
        let order = world.nemesis.dice.below(asked);
        if !world.history.asked()[order]
            .told
            .as_ref()
            .is_some_and(|told| told.bound)
        {
            continue;
        }
        world.ask_again(n % world.clients_len(), order);
    }
    if !live_until(world, HEALING_MAX, World::is_at_rest) {
        let left = world.what_is_left();
        world
            .history
            .violations
            .push(format!("V10: asking again did not end: {left}"));
    }
}

/// Lives until `done`, for `long` at the most. Says whether it was done.
fn live_until(world: &mut World, long: Micros, done: impl Fn(&World) -> bool) -> bool {
    let until = world.now + long;
    let mut steps: u32 = 0;
    while world.step(until) {
        steps += 1;
        if steps.is_multiple_of(16) {
            if let Some(why) = waits_for_ever(world.participants()) {
                world.history.violations.push(format!("V10: {why}"));
                return false;
            }
            if done(world) {
                return true;
            }
        }
        if steps == STEPS_MAX {
            let wrong = "V10: the world goes round in circles".to_owned();
            world.history.violations.push(wrong);
            return false;
        }
        if world.history.violations.len() >= VIOLATIONS_MAX {
            return false;
        }
    }
    done(world)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a text").to_owned()
}
