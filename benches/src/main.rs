//! Measures the two figures of the README: one transfer's latency beside the disk's own sync, interleaved, and what
//! 64 clients get compared with one.

use std::process::ExitCode;
use std::time::Duration;

use benches::calibrate::Calibration;
use benches::quantile::{ms, percentile};
use benches::{load, place};
use clap::Parser;
use engine::StoreKind;

/// Measure a cluster of three real nodes on this machine. Run `cargo build --release` first.
#[derive(Parser)]
struct Args {
    /// Durability backend
    #[arg(long, default_value = "json")]
    store: StoreKind,
    /// Transfers to measure one after another
    #[arg(long, default_value_t = 2000)]
    transfers: usize,
    /// Clients of the group commit measurement
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Seconds for each load
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where to measure; a directory on the disk in question
    #[arg(long, default_value = "target")]
    dir: std::path::PathBuf,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let dir = tempfile::tempdir_in(&args.dir).map_err(text)?;
    let cluster = place::start(dir.path().join("data"), args.store)?;
    let mut client = cluster.client();
    place::fund(&mut client, args.clients)?;

    let mut calibration = Calibration::new(dir.path()).map_err(text)?;
    let (mut syncs, mut transfers) = (Vec::new(), Vec::new());
    for round in 0..args.transfers + args.transfers / 10 {
        let sync = calibration.sync_once().map_err(text)?;
        let (transfer, committed) = load::transfer_once(&mut client, 0)?;
        if committed && round >= args.transfers / 10 {
            syncs.push(sync);
            transfers.push(transfer);
        }
    }
    let (sync, transfer) = (percentile(&mut syncs, 50), percentile(&mut transfers, 50));
    println!(
        "store {}, {} transfers one after another, interleaved with the calibration",
        args.store,
        transfers.len()
    );
    println!(
        "  S, 128 bytes appended and fdatasync  p50 {}  p99 {}",
        ms(sync),
        ms(percentile(&mut syncs, 99))
    );
    println!(
        "  transfer                             p50 {}  p99 {}",
        ms(transfer),
        ms(percentile(&mut transfers, 99))
    );
    println!(
        "  transfer - 2·S                       p50 {}",
        ms(transfer.saturating_sub(sync * 2))
    );

    let config = cluster.client_config();
    let time = Duration::from_secs(args.seconds);
    let mut ratios = Vec::new();
    println!(
        "closed loop, {} s each, 1 client and {} clients in turn",
        args.seconds, args.clients
    );
    for _ in 0..3 {
        let mut one = load::run(&config, 1, time)?;
        let mut many = load::run(&config, args.clients, time)?;
        let ratio = many.per_second / one.per_second;
        println!(
            "  1 client {:.0}/s (p50 {})   {} clients {:.0}/s (p50 {}, {} not committed)   ratio {ratio:.1}",
            one.per_second,
            ms(percentile(&mut one.times, 50)),
            args.clients,
            many.per_second,
            ms(percentile(&mut many.times, 50)),
            many.others,
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median ratio {:.1}", ratios[1]);
    let audit = client.audit().map_err(|error| error.to_string())?;
    println!(
        "audit: {} ({} brought in, {} in accounts)",
        audit.verdict, audit.brought_in, audit.in_accounts
    );
    Ok(())
}
