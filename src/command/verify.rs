//! `verify`: is everything as it should be in the stores of a stopped cluster?

use serde::Serialize;
use verify::{Claims, Error, Images, Refused, Report, check};

use super::capitalised;
use crate::cli::VerifyArgs;
use crate::exit::Exit;
use crate::logging;
use crate::output::{Output, explain};
use crate::up::invocation::own_name;

/// A check as programs read it.
#[derive(Serialize)]
struct VerifyLine<'a> {
    /// `sound`, `incomplete`, `violated`, `corrupt`, `failed` or `usage`.
    outcome: &'static str,
    message: String,
    /// Stores that could not be read.
    refused: Vec<RefusedLine>,
    /// What the others hold; `null` if nothing was checked.
    report: Option<&'a Report>,
}

#[derive(Serialize)]
struct RefusedLine {
    store: String,
    dir: String,
    why: String,
}

impl From<&Refused> for RefusedLine {
    fn from(refused: &Refused) -> RefusedLine {
        RefusedLine {
            store: refused.owner.to_string(),
            dir: refused.dir.display().to_string(),
            why: refused.error.to_string(),
        }
    }
}

/// Runs `twopence verify`.
pub(crate) fn verify(args: &VerifyArgs) -> Exit {
    logging::start(args.log_level);
    let output = Output::new(args.output);
    let images = match Images::read(&args.dirs) {
        Ok(images) => images,
        Err(error) => return not_read(output, &error),
    };
    let report = check(&images, &Claims::default());
    let verdict = Verdict::of(&images, &report);
    let message = verdict.message(&images, &report);
    output.print_text(report.to_string().trim_end());
    for refused in &images.refused {
        explain(&refused.error.to_string());
    }
    if verdict == Verdict::Sound {
        output.print_text(&message);
    } else {
        explain(&message);
    }
    output.print_json(&VerifyLine {
        outcome: verdict.word(),
        message,
        refused: images.refused.iter().map(RefusedLine::from).collect(),
        report: Some(&report),
    });
    verdict.exit()
}

/// Nothing could be checked.
fn not_read(output: Output, error: &Error) -> Exit {
    let (outcome, exit, what) = match error {
        Error::Store(engine::Error::Locked { path }) => (
            "failed",
            Exit::Other,
            format!(
                "A process has a store open ({} is locked), and stores can only be checked while they stand still. Stop \
                 the cluster first, or check a copy that was taken while it stood still",
                path.display()
            ),
        ),
        Error::Store(error) => ("failed", Exit::from(error), capitalised(&error.to_string())),
        Error::NoStore(_) | Error::Apart(_) => ("usage", Exit::Usage, capitalised(&error.to_string())),
    };
    let message = format!("{what}. Nothing was checked or changed; no money moved.");
    explain(&message);
    output.print_json(&VerifyLine {
        outcome,
        message,
        refused: Vec::new(),
        report: None,
    });
    exit
}

/// What a check came to; the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// A store is not what was written.
    Corrupt,
    /// An invariant is violated.
    Violated,
    /// A store could not be read, but is not known to be damaged.
    Failed,
    /// Not everything is there that the money is in.
    Incomplete,
    Sound,
}

impl Verdict {
    fn of(images: &Images, report: &Report) -> Verdict {
        let refused = |exit| {
            images
                .refused
                .iter()
                .any(|refused| Exit::from(&refused.error) == exit)
        };
        if refused(Exit::Corrupt) || report.is_damaged() {
            Verdict::Corrupt
        } else if !report.violations.is_empty() {
            Verdict::Violated
        } else if !images.refused.is_empty() {
            Verdict::Failed
        } else if report.is_complete() {
            Verdict::Sound
        } else {
            Verdict::Incomplete
        }
    }

    fn word(self) -> &'static str {
        match self {
            Verdict::Corrupt => "corrupt",
            Verdict::Violated => "violated",
            Verdict::Failed => "failed",
            Verdict::Incomplete => "incomplete",
            Verdict::Sound => "sound",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Verdict::Corrupt => Exit::Corrupt,
            Verdict::Violated => Exit::Violated,
            Verdict::Failed => Exit::Other,
            Verdict::Incomplete => Exit::Unknown,
            Verdict::Sound => Exit::Ok,
        }
    }

    /// What it means, that no money moved, and what to do.
    fn message(self, images: &Images, report: &Report) -> String {
        let program = own_name();
        match self {
            Verdict::Corrupt => {
                let others = match (images.refused.is_empty(), report.violations.is_empty()) {
                    (true, true) => "Nothing else is wrong",
                    (true, false) => "The stores also contradict each other: see what is VIOLATED",
                    (false, true) => "What the other stores hold goes together",
                    (false, false) => "The other stores contradict each other: see what is VIOLATED",
                };
                format!(
                    "CORRUPT: a store is not what was written. {others}. Nothing was changed; no money moved. Keep a copy \
                     of the data directories before anything is started on them, then repair or restore what is named \
                     above and check again."
                )
            }
            Verdict::Violated => format!(
                "INVARIANT VIOLATED: money is wrong, or may become so. Nothing was changed by this check; no money moved. \
                 Keep a copy of the data directories before anything is started on them, and look at the records that \
                 are named; once the cluster runs, {program} tx show ID tells what each node did."
            ),
            Verdict::Failed => "A store could not be read, so its money cannot be counted. Nothing was changed; no money \
                                moved. Put the files back as they were named, then check again."
                .to_owned(),
            Verdict::Incomplete => "INCOMPLETE: nothing is wrong with what is there, but not all of the money can be \
                                    counted. No money moved. Name the data directories of all nodes: see what is not \
                                    checked."
                .to_owned(),
            Verdict::Sound => {
                let money = if report.sum.forced == 0 {
                    "Sound: all the money is there"
                } else {
                    "Sound, but for what operators forced against the decision: only that money is wrong"
                };
                match report.in_doubt.len() {
                    0 => format!("{money}, and nothing is in doubt."),
                    1 => format!(
                        "{money}. One promise is in doubt; it ends when its coordinator and nodes run again."
                    ),
                    promises => format!(
                        "{money}. {promises} promises are in doubt; they end when their coordinator and nodes run again."
                    ),
                }
            }
        }
    }
}
