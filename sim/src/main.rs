//! `twopence-sim`: runs seeds, and says what they came to.

use std::fmt::Display;
use std::io::{self, Write};
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
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with_all = ["seed", "sweep"],
        value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,

    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with_all = ["seed", "sweep"],
        value_parser = clap::value_parser!(u64).range(..1 << 62))]
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

    /// Tell it as a mermaid sequence diagram; long ones need --about to be drawn
    #[arg(long, requires = "seed", conflicts_with = "trace")]
    mermaid: bool,

    /// Leave out all lines but those that have this word, such as a transaction's id; with --trace or --mermaid
    #[arg(long, value_name = "TEXT", requires = "seed")]
    about: Option<String>,

    /// Instead of seeds: every disk operation and every message of some short stories as the one thing that goes wrong
    #[arg(long)]
    sweep: bool,

    /// With --sweep: also that many pairs of faults for each story
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sweep",
        value_parser = clap::value_parser!(u64).range(..1 << 32))]
    pairs: u64,

    /// With --sweep: only this plot of this story, told in full; what went wrong names it so
    #[arg(long, value_name = "STORY:PLOT", requires = "sweep", value_parser = plot)]
    plot: Option<(usize, usize)>,
}

fn plot(text: &str) -> Result<(usize, usize), String> {
    let bad = || {
        format!(
            "a plot is written STORY:PLOT, such as 1:23; there are {} stories",
            sweep::STORIES.len()
        )
    };
    let (story, plot) = text.split_once(':').ok_or_else(bad)?;
    let (story, plot) = (
        story.parse().map_err(|_| bad())?,
        plot.parse().map_err(|_| bad())?,
    );
    if (1..=sweep::STORIES.len()).contains(&story) {
        Ok((story, plot))
    } else {
        Err(bad())
    }
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
    } else if let Some((story, plot)) = args.plot {
        one_plot(&sweep::STORIES[story - 1], plot, args.pairs)
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
        if let Some(arguments) = run::under_way() {
            eprintln!(
                "WRONG (version {}). To see it again:\n  {}",
                version(),
                repeat(&arguments)
            );
            if cfg!(panic = "abort") {
                std::process::exit(8);
            }
        }
    }));
}

/// Prints a line. A reader that has gone away, such as `head`, has seen enough.
fn say(line: &dyn Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn one(seed: u64, args: &Args) -> bool {
    let tracing = if args.trace || args.mermaid {
        Tracing::Full
    } else {
        Tracing::Digest
    };
    let mut report = run::seed(seed, tracing);
    if let Some(about) = &args.about {
        report.lines.retain(|line| has_word(&line.to_string(), about));
    }
    if args.mermaid {
        say(&mermaid::diagram(&report.lines).trim_end());
    } else {
        for line in &report.lines {
            say(line);
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
        say(&format!("WRONG {text}"));
    }
    report.wrong.is_empty()
}

/// Whether `text` has `word`, and not only as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

fn one_plot(story: &sweep::Story, plot: usize, pairs: u64) -> bool {
    let Some(report) = sweep::one(story, plot, pairs) else {
        eprintln!("{} has no plot {plot} with {pairs} pairs", story.name);
        std::process::exit(2);
    };
    for line in &report.lines {
        say(line);
    }
    for text in &report.wrong {
        say(&format!("WRONG {text}"));
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
        println!(
            "  to see it again: {}",
            repeat(&format!("--seed {} --trace", wrong.seed))
        );
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
    println!(
        "  run twice  {} seeds; the traces of {} differ",
        sum.twice, sum.differed
    );
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
        for (plot, what, texts) in &swept.wrong {
            println!("  {what} (version {}):", version());
            for text in texts {
                println!("    {text}");
            }
            println!("    to see it again: {}", repeat(&story.repeat(*plot, pairs)));
        }
        for (id, times) in swept.tally.counts() {
            faults::fired_by("sim sweep", id, times);
        }
        fine &= swept.wrong.is_empty();
    }
    fine
}

fn repeat(arguments: &str) -> String {
    format!("cargo run --release -p twopence-sim -- {arguments}")
}

/// The commit, where there is one to be asked for.
fn version() -> String {
    let described = Command::new("git")
        .args([
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "describe",
            "--always",
            "--dirty",
        ])
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
