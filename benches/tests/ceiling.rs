//! The comparison with the mock, as somebody starts it, for a moment.

use std::process::Command;

/// The program looks for `twopence` beside it, which a test of the whole workspace builds.
#[test]
fn every_figure_is_found_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ceiling"))
        .args(["--rounds", "1", "--seconds", "1", "--warmup", "0", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<&str> = table.lines().filter(|line| line.contains(", ")).skip(2).collect();
    assert_eq!(rows.len(), 16, "{table}");
    for row in rows {
        let figures = row.split_whitespace().rev().take(3);
        let figures: Vec<f64> = figures
            .map(|figure| figure.replace(',', "").parse().unwrap())
            .collect();
        assert!(figures.iter().all(|figure| *figure > 0.0), "{row}");
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 0, "it takes its files with it");
}
