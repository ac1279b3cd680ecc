//! What a process has used so far: processor time and memory, as Linux tells it in `/proc`.

use std::fs;
use std::time::Duration;

/// Processor time and memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in user and in kernel mode.
    pub cpu: Duration,
    /// The most memory it had since its start, or since [`forget_peak`], in bytes.
    pub memory_peak: u64,
    /// The memory it has now, in bytes.
    pub memory: u64,
}

impl Usage {
    /// What the process `pid` has used; `None` where the system does not say, or it is gone.
    pub fn of(pid: u32) -> Option<Usage> {
        let ticks = cpu_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let ms = ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1);
        Some(Usage {
            cpu: Duration::from_millis(ms),
            memory_peak: kilobytes(&status, "VmHWM:")? * 1024,
            memory: kilobytes(&status, "VmRSS:")? * 1024,
        })
    }
}

/// Lets the peak of a process's memory begin anew, so that it tells of a load and not of a start. Where the system does not
/// allow that, the peak stays what it was.
pub fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// `utime` and `stime`: the 14th and 15th field. The name before may contain anything, but ends with the last `)`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 120 30 0 0 20 0 1 0 100";
        assert_eq!(cpu_ticks(stat), Some(150));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_peak >= usage.memory && usage.memory > 0, "{usage:?}");
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
