//! Is all the money there? An audit every now and then, and never a false alarm: only the verdict that money was made or
//! lost is red. What cannot be seen right now is grey, and says when it was last seen.

use std::thread;
use std::time::{Duration, Instant};

use client::{AuditReport, AuditVerdict, Client, ClientConfig, Error};

use super::pump::Life;
use super::wire::{Badge, frame, micros_now};

/// Pause between audits while money moves, and while none does.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
const IDLE_PAUSE: Duration = Duration::from_secs(5);

/// Where several coordinators share the nodes, an audit holds new transactions back for a moment: not too often, then.
const SHARED_PAUSE: Duration = Duration::from_secs(30);

/// How often to look whether money has moved.
const LOOK: Duration = Duration::from_millis(100);

/// An audit that takes longer is of no use to somebody who looks.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Audits until the life ends.
pub(super) fn run(life: &Life) {
    let mut last_exact = None;
    while life.goes_on() {
        let seen = life.committed();
        let began = Instant::now();
        let badge = badge(audit(life), &mut last_exact, micros_now());
        if life.goes_on() {
            life.hub().tell_state("audit", frame("audit", &badge));
        }
        while life.goes_on() {
            thread::sleep(LOOK);
            let unsettled = life.committed() != seen || badge.state == "grey";
            let shared = life.state().client_config().coordinators.len() > 1;
            let pause = match (shared, unsettled) {
                (true, _) => SHARED_PAUSE,
                (false, true) => BUSY_PAUSE,
                (false, false) => IDLE_PAUSE,
            };
            if began.elapsed() >= pause {
                break;
            }
        }
    }
}

fn audit(life: &Life) -> Result<AuditReport, Error> {
    // Made anew each time: it is little work, and keeps nothing open meanwhile.
    Client::new(ClientConfig {
        timeout: TIMEOUT,
        ..life.state().client_config()
    })?
    .audit()
}

fn badge(audit: Result<AuditReport, Error>, last_exact: &mut Option<Badge>, at_us: u64) -> Badge {
    let cannot_tell = |why: String, last: &Option<Badge>| Badge {
        state: "grey",
        text: match last {
            Some(last) => format!("{} when it was last seen; not known now: {why}", last.text),
            None => format!("Not known now: {why}"),
        },
        at_us: last.as_ref().map_or(at_us, |last| last.at_us),
    };
    match audit {
        Ok(report) => {
            let (there, came) = (report.in_accounts, report.brought_in);
            match report.verdict {
                AuditVerdict::Exact => {
                    let exact = Badge {
                        state: "green",
                        text: format!("Money conserved: {there} = {came}"),
                        at_us,
                    };
                    *last_exact = Some(exact.clone());
                    exact
                }
                AuditVerdict::Violated => Badge {
                    state: "red",
                    text: format!("MONEY NOT CONSERVED: {there} in accounts, {came} brought in"),
                    at_us,
                },
                AuditVerdict::Incomplete(why) => cannot_tell(why, last_exact),
            }
        }
        Err(error) => cannot_tell(error.to_string(), last_exact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: AuditVerdict, there: i128) -> Result<AuditReport, Error> {
        Ok(AuditReport {
            verdict,
            in_accounts: there,
            brought_in: 3000,
            prepared: 0,
        })
    }

    #[test]
    fn only_the_verdict_that_money_was_made_or_lost_is_red() {
        let mut last = None;
        let unknown = Err(Error::NoCoordinator("nothing listens there".to_owned()));
        let grey = badge(unknown.clone(), &mut last, 1);
        assert_eq!(grey.state, "grey");
        let green = badge(report(AuditVerdict::Exact, 3000), &mut last, 2);
        assert_eq!(
            (green.state, green.text.as_str(), green.at_us),
            ("green", "Money conserved: 3000 = 3000", 2)
        );
        let missing = report(AuditVerdict::Incomplete("N2 did not answer".to_owned()), 2000);
        for doubtful in [missing, unknown] {
            let grey = badge(doubtful, &mut last, 3);
            assert_eq!((grey.state, grey.at_us), ("grey", 2));
            assert!(
                grey.text
                    .starts_with("Money conserved: 3000 = 3000 when it was last seen")
            );
        }
        let red = badge(report(AuditVerdict::Violated, 2999), &mut last, 4);
        assert_eq!((red.state, red.at_us), ("red", 4));
    }
}
