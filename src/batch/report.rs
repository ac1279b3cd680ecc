//! The last words of a batch: what happened, whether money moved, and what to do next.

use super::Stopped;
use super::progress::grouped;
use super::tally::Tallies;

/// Lines without an outcome that are named.
const NAMED_MAX: usize = 5;

/// Says it. `unknown` are the lines that were sent and have no outcome.
pub(crate) fn text(tallies: &Tallies, unknown: &[u64], stopped: Option<&Stopped>) -> String {
    let mut text = format!(
        "{} lines have a result: {}.",
        grouped(tallies.ended()),
        counts(tallies)
    );
    if tallies.aborted() > 0 {
        text += " Aborted lines moved no money, now or ever, under their ids; to try them again, put them in a new batch.";
    }
    if let Some(stopped) = stopped {
        text += &match stopped {
            Stopped::BadLine(line) => format!(
                "\n\nStopped at line {line}, which makes no sense: neither it nor anything behind it was sent. Correct it and \
                 run the same command again; --skip-bad-lines goes on behind such lines."
            ),
            Stopped::Input(why) => format!("\n\nStopped: {why}. Nothing from there on was sent."),
            Stopped::NoCoordinator(why) => format!(
                "\n\nStopped: {why}. Lines without a result are left for the next run: start a coordinator, or name a \
                 running one with --coord HOST:PORT, and run the same command again."
            ),
            Stopped::Results(why) => format!("\n\nStopped: {why}."),
            Stopped::Unknown => {
                "\n\nStopped: nothing more is sent until the lines without an outcome have been asked about, \
                                 while their homes still remember them."
                    .to_owned()
            }
        };
    }
    if !unknown.is_empty() {
        let named: Vec<String> = unknown.iter().take(NAMED_MAX).map(u64::to_string).collect();
        let more = if unknown.len() > NAMED_MAX { ", …" } else { "" };
        text += &format!(
            "\n\nThe outcome of {} lines is unknown (line {}{more}): their money moved once or not at all. They have no \
             result. Run the same command again, under the same batch id, and they are asked about under their ids: \
             nothing moves twice.",
            grouped(u64::try_from(unknown.len()).unwrap_or(u64::MAX)),
            named.join(", ")
        );
    }
    text
}

fn counts(tallies: &Tallies) -> String {
    let counts = [
        (tallies.committed, "committed"),
        (tallies.funds, "aborted for insufficient funds"),
        (tallies.conflicts, "aborted by a conflict"),
        (tallies.others, "aborted for another reason"),
        (tallies.reused, "refused, their ids were used for something else"),
        (tallies.rejected, "rejected by the coordinator"),
    ];
    let counts = counts.into_iter().enumerate();
    let told = counts.filter(|(place, (count, _))| *place == 0 || *count > 0);
    let texts: Vec<String> = told
        .map(|(_, (count, what))| format!("{} {what}", grouped(count)))
        .collect();
    texts.join(", ")
}
