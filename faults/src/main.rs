//! `twopence-faults table`: runs the tests, counts the faults they fire, and writes `docs/faults.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use faults::{TALLY_VARIABLE, Tally, table};

const USAGE: &str = "\
twopence-faults table [--check] [--from FILE] [--sim SEEDS] [-- WORDS FOR cargo test]

Runs all tests, and the simulator if asked to, counting the faults that they fire, and writes docs/faults.md.

  --check      write nothing; fail if a fault is not fired that the catalogue has no excuse for
  --from FILE  run nothing: take what earlier runs with TWOPENCE_FAULTS=FILE have counted
  --sim SEEDS  run that many seeds of the simulator, too, and its sweep";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    check: bool,
    from: Option<PathBuf>,
    seeds: Option<String>,
    test_words: Vec<String>,
}

fn main() -> ExitCode {
    let Some(options) = parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    if words.next()? != "table" {
        return None;
    }
    while let Some(word) = words.next() {
        match word.as_str() {
            "--check" => options.check = true,
            "--from" => options.from = Some(words.next()?.into()),
            "--sim" => options.seeds = Some(words.next()?),
            "--" => {
                options.test_words = words.collect();
                return Some(options);
            }
            _ => return None,
        }
    }
    Some(options)
}

fn run(options: &Options) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a folder of the workspace");
    let counted = match &options.from {
        Some(file) => file.clone(),
        None => count(root, options)?,
    };
    let tally = Tally::read(&counted).map_err(|error| format!("{}: {error}", counted.display()))?;
    println!("{}", table::summary(&tally));
    let broken = table::broken_promises(&tally);
    if !options.check {
        let page = root.join("docs/faults.md");
        let written =
            fs::create_dir_all(root.join("docs")).and_then(|()| fs::write(&page, table::page(&tally)));
        written.map_err(|error| format!("cannot write {}: {error}", page.display()))?;
        println!("Written to {}", page.display());
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n"))
    }
}

/// Runs tests and simulator. Returns the file with their tally.
fn count(root: &Path, options: &Options) -> Result<PathBuf, String> {
    let this = env::current_exe().map_err(|error| format!("where am I: {error}"))?;
    let tally = this.with_file_name("faults.tally");
    match fs::remove_file(&tally) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", tally.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let mut test = vec!["test", "--workspace"];
    test.extend(options.test_words.iter().map(String::as_str));
    cargo(root, &tally, &test)?;
    if let Some(seeds) = &options.seeds {
        let simulator = ["run", "--release", "-p", "twopence-sim", "--"];
        cargo(root, &tally, &[&simulator[..], &["--seeds", seeds]].concat())?;
        cargo(root, &tally, &[&simulator[..], &["--sweep"]].concat())?;
    }
    Ok(tally)
}

fn cargo(root: &Path, tally: &Path, words: &[&str]) -> Result<(), String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(words).current_dir(root).env(TALLY_VARIABLE, tally);
    let line = format!("cargo {}", words.join(" "));
    println!("{line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line}: {status}; what failed proves nothing")),
        Err(error) => Err(format!("{line}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_or_refused() {
        let parsed = |line: &str| parse(line.split(' ').map(str::to_owned));
        assert_eq!(parsed("table"), Some(Options::default()));
        let all = Options {
            check: true,
            from: Some("a".into()),
            seeds: Some("9".to_owned()),
            test_words: vec!["--test".to_owned(), "crash".to_owned()],
        };
        assert_eq!(
            parsed("table --check --from a --sim 9 -- --test crash"),
            Some(all)
        );
        for wrong in ["", "chair", "table --from", "table --check now"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
