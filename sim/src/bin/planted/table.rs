//! What was found, as lines and as the table in the documentation.

use std::fmt;
use std::fs;

use protocol::planted::Bug;

use crate::rebuild;
use crate::seeds::Seeds;
use crate::tests::{self, Test};

/// Where a test is named, the simulator gets no more seeds than this to see the bug, too.
const SEEDS_BESIDE_TEST: u64 = 1000;

/// Who noticed one bug.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bug: Bug,
    seeds: Seeds,
    /// The named test, if there is one, and whether it noticed.
    test: Option<(Test, bool)>,
    /// Why it was not even looked for.
    failed: Option<String>,
}

impl Found {
    /// Looks for a bug.
    pub(crate) fn look_for(bug: Bug, seeds_max: u64) -> Found {
        let test = tests::of(bug);
        let seeds_max = if test.is_some() {
            seeds_max.min(SEEDS_BESIDE_TEST)
        } else {
            seeds_max
        };
        let look = || {
            let seeds = Seeds::run(Some(bug), seeds_max)?;
            let noticed = test.map(|test| test.notices(Some(bug))).transpose()?;
            Ok((seeds, test.zip(noticed)))
        };
        let (seeds, test, failed) = match look() {
            Ok((seeds, test)) => (seeds, test, None),
            Err(failed) => (Seeds::default(), None, Some(failed)),
        };
        Found {
            bug,
            seeds,
            test,
            failed,
        }
    }

    /// Whether anybody noticed it, and everybody who is named for it.
    pub(crate) fn is_noticed(&self) -> bool {
        match self.test {
            Some((_, noticed)) => noticed,
            None => self.seeds.first.is_some(),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:24} {:4} ", self.bug.name(), self.bug.breaks())?;
        match &self.seeds.first {
            Some((seed, text)) => write!(f, "seed {seed}, {} of 100: {}", self.seeds.of_sample, sign(text))?,
            None => write!(f, "survives {} seeds", self.seeds.ran)?,
        }
        match self.test {
            Some((test, true)) => write!(f, "; {test}")?,
            Some((test, false)) => write!(f, "; NOT NOTICED by {test}")?,
            None if self.seeds.first.is_none() => f.write_str("; NOT NOTICED")?,
            None => {}
        }
        match &self.failed {
            Some(failed) => write!(f, ": {failed}"),
            None => Ok(()),
        }
    }
}

/// What kind of thing the oracle saw.
fn sign(text: &str) -> String {
    let invariant = |text: &str| {
        let digits = text.strip_prefix('V')?.split([' ', ':']).next()?;
        digits.parse().ok().map(|number: u8| format!("V{number}"))
    };
    if let Some(invariant) = invariant(text) {
        invariant
    } else if text.starts_with("panic: ") {
        "an assertion".to_owned()
    } else if text.contains("raises an alarm") {
        "an alarm".to_owned()
    } else if text.contains("of a healthy disk") || text.contains("cannot be read") {
        "a store that does not open".to_owned()
    } else if text.contains(" stopped: ") {
        "a process that stops".to_owned()
    } else if text.contains("was flipped") {
        "a flipped bit that nobody sees".to_owned()
    } else if text.contains("must never happen") {
        "a request that must fail".to_owned()
    } else {
        "a world that never rests".to_owned()
    }
}

/// One line about all of them.
pub(crate) fn sum(found: &[Found]) -> String {
    let count = |what: fn(&&Found) -> bool| found.iter().filter(what).count();
    format!(
        "{} planted bugs: {} noticed by the simulator, {} by their named test alone, {} NOT NOTICED",
        found.len(),
        count(|found| found.seeds.first.is_some()),
        count(|found| found.seeds.first.is_none() && found.is_noticed()),
        count(|found| !found.is_noticed()),
    )
}

/// Writes the table and returns where it is.
pub(crate) fn write(found: &[Found]) -> String {
    let path = rebuild::root().join("docs").join("planted.md");
    let mut text = format!("{HEAD}\n{}.\n\n{COLUMNS}", sum(found));
    for found in found {
        let (first, of_sample, sees) = match &found.seeds.first {
            Some((seed, text)) => (seed.to_string(), found.seeds.of_sample.to_string(), sign(text)),
            None => (
                format!("none of {}", found.seeds.ran),
                "0".to_owned(),
                String::new(),
            ),
        };
        let test = match found.test {
            Some((test, true)) => test.to_string(),
            Some((test, false)) => format!("NOT NOTICED by {test}"),
            None if found.seeds.first.is_none() => "NOT NOTICED".to_owned(),
            None => String::new(),
        };
        text += &format!(
            "| `{}` | {} | {} | {first} | {of_sample} | {sees} | {test} |\n",
            found.bug.name(),
            found.bug.breaks(),
            found.bug.what(),
        );
    }
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    match written.and_then(|()| fs::write(&path, text)) {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("nowhere ({}: {error})", path.display()),
    }
}

const HEAD: &str = "\
# Planted bugs

Each line is a mistake that somebody could make, at the place where the rule that forbids it is kept; see
`protocol/src/planted.rs`. None of them is in an ordinary build. `cargo run -p twopence-sim --bin planted` builds
everything once more with them, plants one after the other, and makes this page: which seed of the simulator is the first
to go wrong, how many of the first 100 do, and what the oracle sees first (`V…` are the invariants of the simulator).
Where the simulator cannot see a bug, because its world never asks for it, a test does; it is named in the last column.
";

const COLUMNS: &str = "\
| bug | rule | what is wrong | first seed | of 100 | seen by the simulator as | and noticed by |
|---|---|---|---|---|---|---|
";
