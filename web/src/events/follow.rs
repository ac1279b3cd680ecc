//! What does one process do? A connection to it, made again whenever it breaks, by a thread of its own.

use std::thread;
use std::time::{Duration, Instant};

use client::{Error, Party, Seen, Watch};

use super::hub::Heard;
use super::pump::Life;
use super::wire::{Step, frame};

/// How long connecting and each question may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait before a process that is away is looked for again.
const RETRY: Duration = Duration::from_millis(250);

/// How often counters are read.
const NUMBERS_EVERY: Duration = Duration::from_secs(1);

/// How long to wait for the next sight before looking whether anybody still listens.
const PATIENCE: Duration = Duration::from_millis(100);

/// Follows the process at `address` until the life ends.
pub(super) fn run(life: &Life, address: &str) {
    let mut name = None;
    while life.goes_on() {
        let cluster = life.state().client_config().cluster;
        // It is away for a while, or it is not what is expected there; the status says so elsewhere.
        if let Ok(watch) = Watch::connect(address, &cluster, TIMEOUT) {
            let party = watch.party();
            let known = name.get_or_insert_with(|| party.to_string());
            let _ = look(life, watch, address, known);
            life.lost_sight_of(known);
        }
        let began = Instant::now();
        while life.goes_on() && began.elapsed() < RETRY {
            thread::sleep(RETRY / 5);
        }
    }
}

/// Passes on what one connection tells, until it breaks or the life ends.
fn look(life: &Life, mut watch: Watch, address: &str, name: &str) -> Result<(), Error> {
    let coordinator = match watch.party() {
        Party::Coordinator(_) => true,
        Party::Node(_) | Party::Client => false,
    };
    if coordinator {
        let nodes = watch.nodes()?;
        life.expect(nodes.into_iter().map(|(_, address)| address));
    }
    // It begins with all that it still has, of which much may have been told before.
    let told = life.hub().mark(address);
    watch.follow(true)?;
    let mut due = Instant::now();
    while life.goes_on() {
        if Instant::now() >= due {
            due += NUMBERS_EVERY;
            life.note(name, coordinator, watch.numbers()?);
        }
        match watch.next(PATIENCE)? {
            Some(Seen::Sight(sighting)) => {
                if told.is_before(&sighting) {
                    life.saw(Heard {
                        address: address.to_owned(),
                        process: name.to_owned(),
                        sighting,
                    });
                }
            }
            Some(Seen::Dropped(count)) => life.lost(count),
            Some(Seen::Holding(holding)) => {
                let step = Step {
                    on: holding.closed,
                    holding: holding.first.iter().map(ToString::to_string).collect(),
                };
                life.hub().tell_state("step", frame("step", &step));
            }
            // The counters tell it too.
            Some(Seen::Sampling { .. }) | None => {}
        }
    }
    Ok(())
}
