//! The table of faults and tests, and whether it keeps its word: a fault that the catalogue has no excuse for is fired.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{CATALOGUE, Fault, Tally};

/// Tests named for each place; of the others there is only the number.
const NAMES_MAX: usize = 3;

/// What the ids' letters stand for.
const FAMILIES: [(&str, &str); 9] = [
    ("N", "A node dies"),
    ("K", "Checkpoints"),
    ("C", "A coordinator dies"),
    ("W", "The network"),
    ("D", "The disk"),
    ("P", "Processes, identities and versions"),
    ("I", "Input"),
    ("X", "Overload"),
    ("O", "Operators"),
];

/// The page, as Markdown.
pub fn page(tally: &Tally) -> String {
    let fired = CATALOGUE.iter().filter(|fault| is_fired(tally, fault)).count();
    let mut page = format!(
        "# Faults and the tests that fire them\n\n\
         Made by `cargo run --release -p twopence-faults -- table`; not written by hand. Every test, and the simulator, counts \
         a fault at\nthe point where it is injected, and checks what must hold afterwards. Numbers that depend on chance or \
         on load differ from run to\nrun; whether a fault is fired does not: `table --check` says which ones no longer are.\n\n\
         **{fired} of {} faults are fired.**\n",
        CATALOGUE.len()
    );
    for (letter, family) in FAMILIES {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## {family}\n\n| id | what happens | times | fired by |\n|---|---|---|---|\n"
        );
        for fault in CATALOGUE.iter().filter(|fault| fault.id.starts_with(letter)) {
            let _ = writeln!(page, "{}", row(tally, fault));
        }
    }
    page
}

fn row(tally: &Tally, fault: &Fault) -> String {
    let total: u64 = tally.of(fault.id).map(|(_, times)| times).sum();
    let (times, by) = match (total, fault.gap) {
        (0, Some(why)) => ("–".to_owned(), format!("**not covered**: {why}")),
        (0, None) => ("–".to_owned(), "**not covered**, and nobody knows why".to_owned()),
        (_, _) => (grouped(total), vehicles(tally, fault)),
    };
    format!("| {} | {} | {times} | {by} |", fault.id, fault.what)
}

/// The places that fire a fault, each with some of its tests.
fn vehicles(tally: &Tally, fault: &Fault) -> String {
    let mut places: BTreeMap<&str, (Vec<&str>, u64)> = BTreeMap::new();
    for (vehicle, times) in tally.of(fault.id) {
        let (place, test) = vehicle.split_once(' ').unwrap_or((vehicle, ""));
        let (tests, total) = places.entry(place).or_default();
        tests.extend((!test.is_empty()).then_some(test));
        *total += times;
    }
    let place = |(place, (tests, total)): (&str, (Vec<&str>, u64))| {
        let shown: Vec<String> = tests
            .iter()
            .take(NAMES_MAX)
            .map(|test| format!("`{test}`"))
            .collect();
        let more = match tests.len().saturating_sub(NAMES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let tests = if shown.is_empty() {
            String::new()
        } else {
            format!(": {}{more}", shown.join(", "))
        };
        format!("{place} ×{}{tests}", grouped(total))
    };
    places.into_iter().map(place).collect::<Vec<_>>().join("<br>")
}

/// Ids that the catalogue promises and nothing fired, and ids that something fired and the catalogue still excuses.
pub fn broken_promises(tally: &Tally) -> Vec<String> {
    let broken = |fault: &Fault| match (is_fired(tally, fault), fault.gap) {
        (true, None) | (false, Some(_)) => None,
        (false, None) => Some(format!("{} ({}) is fired by nothing", fault.id, fault.what)),
        (true, Some(_)) => Some(format!(
            "{} ({}) is fired: take its excuse out of the catalogue",
            fault.id, fault.what
        )),
    };
    CATALOGUE.iter().filter_map(broken).collect()
}

/// One line: how many are fired, and which are not.
pub fn summary(tally: &Tally) -> String {
    let missing: Vec<&str> = CATALOGUE
        .iter()
        .filter(|fault| !is_fired(tally, fault))
        .map(|fault| fault.id)
        .collect();
    let fired = CATALOGUE.len() - missing.len();
    let missing = if missing.is_empty() {
        String::new()
    } else {
        format!("; not covered: {}", missing.join(", "))
    };
    format!("{fired} of {} faults are fired{missing}", CATALOGUE.len())
}

fn is_fired(tally: &Tally, fault: &Fault) -> bool {
    tally.of(fault.id).next().is_some()
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;

    fn tally(text: &str) -> Tally {
        Tally::parse(text).unwrap()
    }

    #[test]
    fn a_row_names_places_some_tests_and_counts() {
        let tally = tally(
            "N1\ttests/x a::json\t1\nN1\ttests/x a::sled\t1\nN1\tsim\t1234567\nN1\ttests/x b\t1\nN1\ttests/x c\t2\n",
        );
        assert_eq!(
            row(&tally, find("N1").unwrap()),
            "| N1 | a node dies before it has looked at a PREPARE | 1,234,572 | sim ×1,234,567<br>tests/x ×5: \
             `a::json`, `a::sled`, `b` and 1 more |"
        );
    }

    #[test]
    fn the_page_has_a_row_for_every_fault() {
        let page = page(&tally("N1\ttests/x a\t1\n"));
        for fault in CATALOGUE {
            let row = format!("\n| {} | {} | ", fault.id, fault.what);
            assert_eq!(page.matches(&row).count(), 1, "{}", fault.id);
        }
        assert!(page.contains(&format!("**1 of {} faults are fired.**", CATALOGUE.len())));
        assert!(page.contains("| – | **not covered**"));
    }

    #[test]
    fn a_promise_is_broken_by_silence_and_an_excuse_by_a_shot() {
        let all: String = CATALOGUE
            .iter()
            .map(|fault| format!("{}\tx\t1\n", fault.id))
            .collect();
        let excused = CATALOGUE.iter().filter(|fault| fault.gap.is_some()).count();
        assert_eq!(broken_promises(&tally(&all)).len(), excused);
        assert_eq!(broken_promises(&tally("")).len(), CATALOGUE.len() - excused);
        assert!(summary(&tally("")).starts_with("0 of"));
        assert!(!summary(&tally(&all)).contains("not covered"));
    }
}
