//! Explores every schedule of small worlds and says what it found. Ends with 1 if a rule is broken or if something was
//! not seen that has to be.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use model::{Limits, Report, Scenario, check, tell_last_words};

/// Explore every schedule of small worlds made of the real machines, with faults at every point
#[derive(Parser)]
#[command(name = "twopence-model")]
struct Args {
    /// Scenarios to check; all if none is named
    #[arg(value_name = "SCENARIO")]
    names: Vec<String>,
    /// Say what there is to check, and stop
    #[arg(long)]
    list: bool,
    /// Faults in one run at the most, instead of what the scenario says
    #[arg(long, value_name = "N")]
    faults: Option<u8>,
    /// Stop each scenario after about so many steps
    #[arg(long, value_name = "N")]
    states_max: Option<usize>,
    /// Stop each scenario after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let scenarios = match chosen(&args.names) {
        Ok(scenarios) => scenarios,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    if args.list {
        for scenario in scenarios {
            println!("{:8} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    tell_last_words();
    let limits = Limits {
        states_max: args.states_max,
        time_max: args.seconds.map(Duration::from_secs),
        threads: usize::try_from(args.threads).expect("at most 256"),
    };
    let mut good = true;
    let mut table = vec!["scenario  faults      states     unique  depth  fixpoint".to_owned()];
    for mut scenario in scenarios {
        if let Some(faults) = args.faults {
            scenario = scenario.with_faults(faults);
        }
        println!("{}: {}", scenario.name, scenario.about);
        println!("  bounds: {}", scenario.budget);
        let (name, faults) = (scenario.name, scenario.budget.faults);
        let report = check(scenario, limits);
        print(&report);
        table.push(format!(
            "{name:8} {faults:7} {:11} {:10} {:6}  {}",
            report.states,
            report.unique,
            report.depth,
            if report.fixpoint { "yes" } else { "stopped" },
        ));
        good &= report.is_good();
    }
    table.iter().for_each(|line| println!("{line}"));
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn chosen(names: &[String]) -> Result<Vec<Scenario>, String> {
    let all = Scenario::all();
    if names.is_empty() {
        return Ok(all);
    }
    let known: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
    let find = |name: &String| {
        let unknown = || format!("no scenario is called {name:?}; there are: {}", known.join(", "));
        Scenario::named(name).ok_or_else(unknown)
    };
    names.iter().map(find).collect()
}

fn print(report: &Report) {
    println!(
        "  {} states, {} unique, depth {}, {:.1} s: {}",
        report.states,
        report.unique,
        report.depth,
        report.time.as_secs_f64(),
        if report.fixpoint {
            "fixpoint, that is all there are"
        } else {
            "stopped before the fixpoint"
        },
    );
    for (name, verdict) in &report.properties {
        println!("  {verdict:8} {name}");
    }
    if let Some(violation) = &report.violation {
        println!("\nBROKEN: {}\n", violation.rule);
        for line in &violation.transcript {
            println!("{line}");
        }
    }
    println!();
}
