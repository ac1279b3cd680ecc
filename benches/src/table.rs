//! A suite's results as lines under each other.

use crate::measure::{Audit, Measurement, ratio};
use crate::recovery::Recovery;
use crate::summary::grouped;

/// The head of the lines of [`load`].
pub const LOADS: &str = "STORE LOCKING   NODES COORD    ACCOUNTS CHOICE     CLIENTS x IN FLIGHT  COMMITS/S    p50 ms    p99 ms  \
                         ABORTS  DISK ms  CPU µs  NODE MiB  AUDIT";

/// The head of the lines of [`restart`].
pub const RESTARTS: &str =
    "STORE  ACCOUNTS/NODE  TRANSACTIONS   LOG MiB  FILES MiB  LISTENS s  TAKES PART s  AUDIT";

/// One load as a line.
pub fn load(measured: &Measurement) -> String {
    let setting = &measured.setting;
    let aborts = ratio(measured.outcomes.aborts(), 1) * 100.0 / ratio(measured.outcomes.all().max(1), 1);
    let disk = measured.calibration.map_or(0.0, |disk| disk.p50_ms);
    format!(
        "{:5} {:8} {:6} {:5} {:>11} {:10} {:>7} x {:<9}  {:>9} {:9.3} {:9.3}  {:4.1} %  {:7.3}  {:6.1}  {:8.0}  {}",
        setting.store,
        setting.locking,
        setting.nodes,
        setting.coordinators,
        grouped(ratio(setting.accounts, 1)),
        setting.dist,
        setting.clients,
        setting.in_flight * setting.batch,
        grouped(measured.per_second),
        measured.latency.p50_ms,
        measured.latency.p99_ms,
        aborts,
        disk,
        measured.cpu_us_per_txn(),
        measured.node_memory_mib(),
        word(&measured.audit)
    )
}

/// One restart as a line.
pub fn restart(recovery: &Recovery) -> String {
    format!(
        "{:5}  {:>13}  {:>12}  {:8.1}  {:9.1}  {:9.3}  {:12.3}  {}",
        recovery.store,
        grouped(ratio(recovery.accounts, 1)),
        grouped(ratio(recovery.txns, 1)),
        recovery.log_mib,
        recovery.files_mib,
        recovery.listens_s,
        recovery.takes_part_s,
        word(&recovery.audit)
    )
}

fn word(audit: &Audit) -> &'static str {
    match audit {
        Audit::Exact => "exact",
        Audit::Violated => "VIOLATED",
        Audit::Incomplete(_) => "incomplete",
    }
}
