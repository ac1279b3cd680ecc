//! Runs fuzz targets without coverage, on any toolchain.
//!
//! ```text
//! twopence-fuzz list                                   every target and what it holds the code to
//! twopence-fuzz run TARGET|all [--seconds N] [--seed S]  mutate the corpus; N seconds for each target (10)
//! twopence-fuzz try TARGET FILE…                       judge single inputs and tell their stories
//! twopence-fuzz seeds                                  write the targets' own seeds into the corpus
//! ```

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use fuzz::driver::{self, Proof, Until};
use fuzz::{ALL, Seen, Target, corpus};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["list"] => list(),
        ["run", target, ref options @ ..] => run(target, options),
        ["try", target, ref files @ ..] => try_files(target, files),
        ["seeds"] => seeds(),
        _ => Err(
            "usage: twopence-fuzz list | run TARGET|all [--seconds N] [--seed S] | try TARGET FILE… | seeds"
                .to_owned(),
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), String> {
    for target in &ALL {
        println!("{:12} {}", target.name, target.holds);
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Target, String> {
    fuzz::find(name).ok_or_else(|| format!("there is no target {name}; `twopence-fuzz list` names them"))
}

fn run(name: &str, options: &[&str]) -> Result<(), String> {
    let (mut seconds, mut seed) = (10, 1);
    for option in options.chunks(2) {
        let number = option.get(1).and_then(|number| number.parse().ok());
        match (option[0], number) {
            ("--seconds", Some(number)) => seconds = number,
            ("--seed", Some(number)) => seed = number,
            _ => {
                return Err(format!(
                    "{} needs a number, and only --seconds and --seed are known",
                    option[0]
                ));
            }
        }
    }
    let targets = match name {
        "all" => ALL.iter().collect(),
        _ => vec![find(name)?],
    };
    let mut found = Vec::new();
    for target in targets {
        let inputs = corpus::read(target)
            .map_err(|error| format!("cannot read the corpus of {}: {error}", target.name))?;
        let mut seen = Seen::new();
        let until = Until::Elapsed(Duration::from_secs(seconds));
        let explored = driver::replay(target, &inputs, &mut seen)
            .and_then(|()| driver::explore(target, &inputs, seed, until, &mut seen));
        match explored {
            Ok(count) => println!(
                "{:12} {count} mutations of {} inputs held",
                target.name,
                inputs.len()
            ),
            Err(proof) => {
                keep(target, &proof)?;
                found.push(target.name);
            }
        }
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("wrong: {}", found.join(", ")))
    }
}

/// Writes a find, made small, where it can be tried again.
fn keep(target: &Target, proof: &Proof) -> Result<(), String> {
    let small = driver::shrink(target, &proof.input);
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "found", target.name]
        .iter()
        .collect();
    let path = folder.join(format!(
        "wrong-{:x}",
        small.iter().fold(7_u64, |hash, &byte| {
            hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
        })
    ));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, &small))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    println!(
        "{:12} {}: {} bytes, as {}",
        target.name,
        proof.origin,
        small.len(),
        path.display()
    );
    Ok(())
}

fn try_files(name: &str, files: &[&str]) -> Result<(), String> {
    let target = find(name)?;
    for file in files {
        let input = fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
        let mut seen = Seen::telling();
        target.run(&input, &mut seen);
        let ways: Vec<&str> = seen.ways().map(|(way, _)| way).collect();
        println!("{file} holds: {}", ways.join(", "));
    }
    Ok(())
}

fn seeds() -> Result<(), String> {
    for target in &ALL {
        let count = corpus::write_seeds(target).map_err(|error| format!("{}: {error}", target.name))?;
        println!("{:12} {count} seeds", target.name);
    }
    Ok(())
}
