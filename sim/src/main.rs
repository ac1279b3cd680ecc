//! Runs seeds and says what they came to.
use sim::run::{self, Tracing};
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let from: u64 = args[1].parse().expect("from");
    let n: u64 = args[2].parse().expect("n");
    let trace = args.len() > 3;
    let began = Instant::now();
    let (mut req, mut com, mut deeds, mut bad, mut msgs) = (0, 0, 0, 0, 0);
    for seed in from..from + n {
        let report = run::seed(seed, if trace { Tracing::Full } else { Tracing::Off });
        for line in &report.lines {
            println!("{line}");
        }
        if std::env::var("V").is_ok() {
            println!(
                "seed {seed}: {} req {} com {} deeds {} msgs lasted {}s heal {}s audits {}",
                report.requests,
                report.committed,
                report.tally.deeds(),
                report.messages,
                report.lasted / 1000000,
                report.healing as f64 / 1e6,
                report.exact_audits
            );
        }
        req += report.requests;
        com += report.committed;
        deeds += report.tally.deeds();
        msgs += report.messages;
        if !report.wrong.is_empty() {
            bad += 1;
            println!("seed {seed}: {:#?}", report.wrong);
        }
    }
    println!(
        "{n} seeds in {:?}: {req} requests {com} committed {deeds} deeds {msgs} messages {bad} bad",
        began.elapsed()
    );
}
