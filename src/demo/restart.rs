//! Everything is stopped politely, then killed hard. Each time the balances are the same afterwards.

use client::Outcome;
use cluster::Cluster;

use super::stage::{Stage, order, outcome, shown};
use super::wrong::Wrong;

/// Tells the story.
pub(super) fn tell(stage: &mut Stage) -> Result<(), Wrong> {
    let before = stage.balances()?;
    stage.say(&format!("Before: {}.", shown(before)));
    stage.say("Three transfers, then every process gets SIGTERM and has the time to stop.");
    transfers(stage)?;
    let stopped = own(stage)?.stop_all();
    if let Some(exit) = stopped.first() {
        return Err(Wrong::Story(format!(
            "{} did not stop cleanly: it {}",
            exit.name,
            exit.how()
        )));
    }
    stage.say("All stopped. All are started again.");
    own(stage)?.start_all()?;
    stage.settle()?;
    stage.check(before, [-40, 10, 30])?;

    stage.say("Three more, then every process is killed with SIGKILL, without a word.");
    transfers(stage)?;
    own(stage)?.kill9_all();
    stage.say("All dead. All are started again.");
    own(stage)?.start_all()?;
    stage.settle()?;
    stage.check(before, [-80, 20, 60])
}

fn transfers(stage: &Stage) -> Result<(), Wrong> {
    let mut client = stage.client();
    for (from, to, amount) in [("N1/A", "N2/B", 40), ("N2/B", "N3/C", 35), ("N3/C", "N2/B", 5)] {
        // The one before may not be over at every node yet, although it is decided.
        let mut submission = client.submit(None, order(from, to, amount))?;
        while matches!(&submission.outcome, Outcome::Aborted { refusal, .. } if refusal.reason.retryable()) {
            stage.pause()?;
            submission = client.submit(None, order(from, to, amount))?;
        }
        stage.say(&format!("{from} → {to} {amount}: {}.", outcome(&submission)));
        if !matches!(submission.outcome, Outcome::Committed { .. }) {
            return Err(Wrong::Story("it must commit".to_owned()));
        }
    }
    Ok(())
}

fn own(stage: &mut Stage) -> Result<&mut Cluster, Wrong> {
    stage
        .cluster()
        .ok_or_else(|| Wrong::Usage("this demo needs a cluster of its own".to_owned()))
}
