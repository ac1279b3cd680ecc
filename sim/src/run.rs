//! One seed from the beginning to the verdict.
//!
//! Accounts are funded in peace; then everything goes wrong while clients work; then everything heals, and within 30
//! seconds every request must have an answer, everything in doubt must have ended, and every account must hold what
//! clients were told.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use protocol::message::Ask;

use crate::client::Job;
use crate::nemesis::{Nemesis, Script};
use crate::oracle;
use crate::tally::Tally;
use crate::time::{Micros, SECOND};
use crate::trace::{Line, Trace};
use crate::weather::Weather;
use crate::world::World;

/// How long the funding may take.
const FUNDING_MAX: Micros = 60 * SECOND;

/// How long things go wrong at most; clients that are not done by then give up thinking of new requests.
const WRONG_MAX: Micros = 120 * SECOND;

/// How long it may take until everything has ended once everything works again (V10).
const HEALING_MAX: Micros = 30 * SECOND;

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
    /// Messages that were sent.
    pub messages: u64,
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
    run(seed, Weather::of_seed(seed), Script::default(), tracing)
}

/// Runs one world. A panic, such as an assertion of the production code, is a verdict, too.
pub(crate) fn run(seed: u64, weather: Weather, script: Script, tracing: Tracing) -> Report {
    let nemesis = Nemesis::new(seed, script);
    let world = RefCell::new(World::new(seed, weather, nemesis, tracing.start()));
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| live(&mut world.borrow_mut())));
    let mut world = world.into_inner();
    let (mut wrong, healing) = match panicked {
        Ok(ended) => ended,
        Err(panic) => {
            let mut wrong = std::mem::take(&mut world.history.violations);
            wrong.push(format!("panic: {}", panic_text(panic.as_ref())));
            (wrong, 0)
        }
    };
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
        messages: world.messages,
        healing,
        lasted: world.now.0,
        digest: world.trace.digest(),
        lines: world.trace.lines().to_vec(),
        tally: std::mem::take(&mut world.tally),
    }
}

/// The whole story; returns what is wrong, and how long the healing took.
fn live(world: &mut World) -> (Vec<String>, Micros) {
    world.healed = true;
    if !live_until(world, FUNDING_MAX, World::is_at_rest) {
        return (vec!["the funding did not end".to_owned()], 0);
    }
    world.healed = false;
    world.begin();
    live_until(world, WRONG_MAX, World::clients_are_done);
    world.stop_requests();
    world.heal();
    let healed_at = world.now;
    if !live_until(world, HEALING_MAX, World::is_at_rest) {
        let mut wrong = world.history.violations.clone();
        wrong.push(format!(
            "V10: 30 s after everything healed, {}",
            world.what_is_left()
        ));
        return (wrong, HEALING_MAX);
    }
    let healing = world.now.0 - healed_at.0;
    // Marks rise, lazy records are synced.
    live_until(world, 4 * SECOND, |_| false);
    ask_again(world);
    let exact = world.history.exact_audits;
    for first in 0..world.coordinators.len() {
        world.employ(first % world.clients_len(), Job::Audit, Ask::Audit, first);
        live_until(world, HEALING_MAX, World::clients_are_done);
    }
    live_until(world, 4 * SECOND, |_| false);
    let audits = u64::try_from(world.coordinators.len()).expect("a few");
    if world.history.exact_audits != exact + audits {
        world
            .history
            .violations
            .push("V8: an audit of a world at rest was not exact".to_owned());
    }
    (oracle::judge(world), healing)
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
        if steps.is_multiple_of(16) && done(world) {
            return true;
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
