//! `--report`: everything that was seen, as a Markdown file that can be handed in.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use engine::StoreKind;
use time::OffsetDateTime;
use time::macros::format_description;

use super::evidence::Evidence;

/// The first line of every report, by which one is told from a file of somebody else.
const HEADING: &str = "# What the demos of Twopence showed";

/// Log lines of one file that are shown at most.
const LINES_MAX: usize = 40;

/// One demo.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) passed: bool,
    /// Its last line.
    pub(super) verdict: String,
    pub(super) took: Duration,
    /// What it said.
    pub(super) words: Vec<String>,
    pub(super) evidence: Option<Evidence>,
}

/// A report being written.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    sections: Vec<Section>,
}

impl Report {
    /// A report that will be in `path`.
    ///
    /// # Errors
    /// If something else than a report is there, or nothing can be written there: a sentence that says so.
    pub(super) fn begin(path: &Path) -> Result<Report, String> {
        match fs::read_to_string(path) {
            Ok(text) if text.is_empty() || text.starts_with(HEADING) => {}
            Ok(_) => {
                return Err(format!(
                    "{} is not a report of earlier demos, and is left as it is: choose another --report file.",
                    path.display()
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(format!("Cannot write {}: {error}.", path.display())),
        }
        let report = Report {
            path: path.to_owned(),
            sections: Vec::new(),
        };
        // Better now than after a minute of demos.
        report.save(&format!("{HEADING}\n\nThey did not come to their end.\n"))?;
        Ok(report)
    }

    /// Adds a demo.
    pub(super) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Writes the file and returns its name.
    ///
    /// # Errors
    /// A sentence that says why it can't be written.
    pub(super) fn write(self, store: StoreKind) -> Result<PathBuf, String> {
        self.save(&self.text(store, SystemTime::now()))?;
        Ok(self.path)
    }

    fn save(&self, text: &str) -> Result<(), String> {
        fs::write(&self.path, text).map_err(|error| format!("Cannot write {}: {error}.", self.path.display()))
    }

    fn text(&self, store: StoreKind, now: SystemTime) -> String {
        let passed = self.sections.iter().filter(|section| section.passed).count();
        let date = OffsetDateTime::from(now)
            .format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"))
            .expect("a date can be written");
        let mut text = String::new();
        let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all");
        line(HEADING);
        line("");
        line(&format!(
            "{passed} of {} demos passed on {store} stores, {date}, Twopence {}. Every process in them is a real one, \
             every kill is a SIGKILL, and this file holds what was printed and what was in the files afterwards.",
            self.sections.len(),
            env!("CARGO_PKG_VERSION"),
        ));
        line("");
        line("| demo | | took |");
        line("|---|---|---|");
        for section in &self.sections {
            let mark = if section.passed { "passed" } else { "**failed**" };
            line(&format!(
                "| `{}` | {mark} | {:.1} s |",
                section.name,
                section.took.as_secs_f64()
            ));
        }
        for section in &self.sections {
            line(&section.text());
        }
        text
    }
}

impl Section {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes all");
        line(&format!("\n## `twopence demo {}`\n", self.name));
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        line(&block(&[&words[..], &[&self.verdict]].concat(), usize::MAX));
        let Some(evidence) = &self.evidence else {
            line("\nIt ran on a cluster that went on afterwards, so its files were not looked at.");
            return text.trim_end().to_owned();
        };
        for (name, lines) in &evidence.words {
            line(&format!("\nWhat {name} said in its last life:\n"));
            line(&block(&borrowed(lines), LINES_MAX));
        }
        for (file, lines) in evidence.logs.iter().filter(|(_, lines)| !lines.is_empty()) {
            line(&format!("\n`{file}`, without the deposits that set the stage:\n"));
            line(&block(&borrowed(lines), LINES_MAX));
        }
        line("\n`twopence verify` on the stopped stores, with arithmetic of its own:\n");
        line(&block(&evidence.verified.lines().collect::<Vec<_>>(), usize::MAX));
        text.trim_end().to_owned()
    }
}

fn borrowed(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// Lines in a fence that none of them can end; the oldest are left out beyond `most`.
fn block(lines: &[&str], most: usize) -> String {
    let left_out = lines.len().saturating_sub(most);
    let note = match left_out {
        0 => String::new(),
        _ => format!("({left_out} earlier lines)\n"),
    };
    let longest = lines
        .iter()
        .flat_map(|line| line.split(|c| c != '`'))
        .map(str::len)
        .max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{fence}text\n{note}{}\n{fence}", lines[left_out..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(passed: bool) -> Section {
        Section {
            name: "conflict".to_owned(),
            passed,
            verdict: "PASS conflict".to_owned(),
            took: Duration::from_millis(1540),
            words: vec!["Both want B.".to_owned()],
            evidence: Some(Evidence {
                words: vec![("coordinator".to_owned(), vec!["Found 1".to_owned()])],
                logs: vec![("node_N2_log.jsonl".to_owned(), vec!["{}".to_owned(); 50])],
                verified: "sound".to_owned(),
            }),
        }
    }

    #[test]
    fn a_report_holds_the_words_the_logs_and_the_check() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("RESULTS.md");
        let mut report = Report::begin(&path).unwrap();
        report.add(section(true));
        report.add(section(false));
        let text = report.text(StoreKind::Json, SystemTime::UNIX_EPOCH);
        assert!(text.starts_with(HEADING), "{text}");
        assert!(
            text.contains("1 of 2 demos passed on json stores, 1970-01-01 00:00 UTC"),
            "{text}"
        );
        assert!(text.contains("| `conflict` | **failed** | 1.5 s |"), "{text}");
        assert!(
            text.contains("```text\nBoth want B.\nPASS conflict\n```"),
            "{text}"
        );
        assert!(text.contains("(10 earlier lines)\n{}"), "{text}");
        assert!(
            text.contains("said in its last life:\n\n```text\nFound 1\n```"),
            "{text}"
        );
        assert!(text.ends_with("```text\nsound\n```\n"), "{text}");
    }

    #[test]
    fn an_older_report_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("RESULTS.md");
        let report = Report::begin(&path).unwrap();
        report.write(StoreKind::Sled).unwrap();
        Report::begin(&path).expect("it is one of ours");
        fs::write(&path, "# My thesis\n").unwrap();
        let why = Report::begin(&path).unwrap_err();
        assert!(why.contains("is left as it is"), "{why}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# My thesis\n");
        assert!(Report::begin(dir.path()).is_err(), "a folder is no report");
    }

    #[test]
    fn no_line_can_end_its_block() {
        let shown = block(&["a ```` b"], 9);
        assert!(
            shown.starts_with("`````text\n") && shown.ends_with("\n`````"),
            "{shown}"
        );
    }
}
