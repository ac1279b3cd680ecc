//! Is `docs/faults.md` the page of this catalogue? What it counts is the business of the command that makes it.

use std::fs;
use std::path::Path;

use faults::CATALOGUE;

#[test]
fn the_page_in_the_docs_has_this_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let page = fs::read_to_string(path).expect("made by `cargo run --release -p twopence-faults -- table`");
    let rows: Vec<&str> = page.lines().filter(|line| line.contains(" | ")).collect();
    for fault in CATALOGUE {
        let begin = format!("| {} | {} | ", fault.id, fault.what);
        let row = rows.iter().find(|row| row.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("{} is not there: make the page anew", fault.id));
        let excused = fault
            .gap
            .is_some_and(|why| row.ends_with(&format!("**not covered**: {why} |")));
        assert_eq!(
            row.contains("**not covered**"),
            excused,
            "{row}: make the page anew"
        );
    }
    let ids = rows.iter().filter(|row| !row.starts_with("| id |"));
    assert_eq!(ids.count(), CATALOGUE.len(), "make the page anew");
}
