//! `twopence-sim`: runs seeds, and says what they came to.

use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use sim::campaign::{self, Plan, Sum};
use sim::run::{self, Tracing};
use sim::{mermaid, sweep};

/// Runs real coordinators, nodes and clients in a world that goes wrong, and checks that no money is lost or made.
#[derive(Debug, Parser)]
#[command(
    name = "twopence-sim",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  cargo run --release -p twopence-sim -- --seeds 2000
  cargo run --release -p twopence-sim -- --seed 23 --trace
  cargo run --release -p twopence-sim -- --seed 23 --mermaid --about c1-1-7 > story.mmd
  cargo run --release -p twopence-sim -- --sweep

A seed is one story, the same every time. Exit codes: 0 nothing is wrong, 2 usage, 8 an invariant is violated."
)]
struct Args {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with_all = ["seed", "sweep"])]
    seeds: u64,

    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with_all = ["seed", "sweep"])]
    from: u64,

    /// On how many threads; by default on every core
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Go on when a seed goes wrong
    #[arg(long)]
    keep_going: bool,

    /// Run this seed only
    #[arg(long, value_name = "S", conflicts_with = "sweep")]
    seed: Option<u64>,

    /// Tell the story of the seed, a line for each thing that happens
    #[arg(long, requires = "seed")]
    trace: bool,

    /// Tell it as a mermaid sequence diagram
    #[arg(long, requires = "seed")]
    mermaid: bool,

    /// Leave out all lines but those that contain this, such as a transaction's id
    #[arg(long, value_name = "TEXT", requires = "seed")]
    about: Option<String>,

    /// Instead of seeds: every disk operation and every message of some short stories as the one thing that goes wrong
    #[arg(long)]
    sweep: bool,

    /// With --sweep: also that many pairs of faults for each story
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sweep")]
    pairs: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tell_panics();
    let threads = args
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into))
        .max(1);
    let fine = if let Some(seed) = args.seed {
        one(seed, &args)
    } else if args.sweep {
        sweep_all(args.pairs, threads)
    } else {
        many(&args, threads)
    };
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(8)
    }
}

/// An assertion of the production code that fails is a finding: say how to see it again.
fn tell_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        if let Some(seed) = run::under_way() {
            eprintln!(
                "seed {seed} (version {}) is WRONG. To see it again:\n  {}",
                version(),
                repeat(seed)
            );
        }
        if cfg!(panic = "abort") {
            std::process::exit(8);
        }
    }));
}

fn one(seed: u64, args: &Args) -> bool {
    let tracing = if args.trace || args.mermaid {
        Tracing::Full
    } else {
        Tracing::Digest
    };
    let mut report = run::seed(seed, tracing);
    if let Some(about) = &args.about {
        report.lines.retain(|line| line.to_string().contains(about));
    }
    if args.mermaid {
        print!("{}", mermaid::diagram(&report.lines));
    } else {
        for line in &report.lines {
            println!("{line}");
        }
    }
    eprintln!(
        "seed {seed}: {} requests, {} committed, {} faults, {} messages, {} of virtual time{}",
        report.requests,
        report.committed,
        report.tally.deeds(),
        report.messages,
        seconds(Duration::from_micros(report.lasted)),
        report
            .digest
            .map(|digest| format!(", trace {digest:016x}"))
            .unwrap_or_default()
    );
    for text in &report.wrong {
        println!("WRONG {text}");
    }
    report.wrong.is_empty()
}

fn many(args: &Args, threads: usize) -> bool {
    let began = Instant::now();
    let progress = |done: u64| {
        if done.is_multiple_of(500) {
            eprintln!("{done} of {} seeds, {}", args.seeds, seconds(began.elapsed()));
        }
    };
    let plan = Plan {
        from: args.from,
        seeds: args.seeds,
        threads,
        stop_at_first: !args.keep_going,
    };
    let sum = campaign::run(plan, &progress);
    summary(args.from, &sum, began.elapsed(), threads);
    for wrong in &sum.wrong {
        println!("seed {} (version {}) is WRONG:", wrong.seed, version());
        for text in &wrong.texts {
            println!("  {text}");
        }
        println!("  to see it again: {}", repeat(wrong.seed));
    }
    for (id, times) in sum.tally.counts() {
        faults::fired_by("sim", id, times);
    }
    sum.wrong.is_empty()
}

fn summary(from: u64, sum: &Sum, took: Duration, threads: usize) {
    let seeds = sum.seeds.max(1);
    let per = |count: u64| f64_of(count) / f64_of(seeds);
    let verdict = if sum.wrong.is_empty() {
        "no violation".to_owned()
    } else {
        format!("{} WRONG", sum.wrong.len())
    };
    println!("{} seeds from {from}: {verdict}", sum.seeds);
    println!(
        "  time       {} on {threads} threads; {:.0} seeds per second of processor time",
        seconds(took),
        f64_of(sum.seeds) / sum.took.as_secs_f64().max(0.001)
    );
    println!(
        "  a seed     {:.0} requests, {:.0} % committed; {:.0} faults; {:.0} messages; {:.1} exact audits; {:.1} s of virtual time",
        per(sum.requests),
        100.0 * f64_of(sum.committed) / f64_of(sum.requests.max(1)),
        per(sum.tally.deeds()),
        per(sum.messages),
        per(sum.exact_audits),
        sum.lasted.as_secs_f64() / f64_of(seeds)
    );
    println!("  run twice  {} seeds: their traces were equal", sum.twice);
    println!("  healing    {} at the longest", seconds(sum.healing_max));
    let counts: Vec<String> = sum
        .tally
        .counts()
        .map(|(id, times)| format!("{id} {times}"))
        .collect();
    println!("  by id      {}", counts.join(", "));
}

fn sweep_all(pairs: u64, threads: usize) -> bool {
    let began = Instant::now();
    let mut fine = true;
    for story in sweep::STORIES {
        let swept = sweep::run(story, pairs, threads);
        println!(
            "{}: {} disk operations, {} messages, {} runs, {} WRONG; {}",
            story.name,
            swept.operations,
            swept.messages,
            swept.runs,
            swept.wrong.len(),
            seconds(began.elapsed())
        );
        for (what, texts) in &swept.wrong {
            println!("  {what} (version {}):", version());
            for text in texts {
                println!("    {text}");
            }
        }
        for (id, times) in swept.tally.counts() {
            faults::fired_by("sim sweep", id, times);
        }
        fine &= swept.wrong.is_empty();
    }
    fine
}

fn repeat(seed: u64) -> String {
    format!("cargo run --release -p twopence-sim -- --seed {seed} --trace")
}

/// The commit, where there is one to be asked for.
fn version() -> String {
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output();
    match described {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(_) | Err(_) => env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn f64_of(count: u64) -> f64 {
    // Good enough for people; exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let count = count as f64;
    count
}
