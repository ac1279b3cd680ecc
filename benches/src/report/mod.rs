//! A page that shows what was measured: one HTML file that needs nothing else, in light and dark.

mod svg;

use std::fmt::Write;

use crate::measure::{Measurement, ratio};
use crate::suite::{Measured, Results, Sweep};

use svg::{Axis, Scale, Series, escaped, lines, short};

/// Most distributions in one plot.
const DISTRIBUTIONS_MAX: usize = 6;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fcfcfa;--fg:#1d2228;--dim:#68707a;--grid:#dfe2e4;--s0:#2563a8;--s1:#c2571a;--s2:#2f855a;--s3:#8b3f96;--s4:#a16207;--s5:#0e7490}
@media (prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e6e8ea;--dim:#98a1ab;--grid:#2c3238;--s0:#6cabf0;--s1:#f0975c;--s2:#6fcf97;--s3:#cf8ddb;--s4:#e3b341;--s5:#5fc9dd}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.2rem}
p.note{color:var(--dim)}
svg{width:100%;max-width:760px;height:auto;display:block}
svg text{fill:var(--dim);font-size:12px}
.mid{text-anchor:middle}.end{text-anchor:end}
.grid{stroke:var(--grid);fill:none}.line{fill:none;stroke-width:2}
.legend span{margin-right:1.4em;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.4em}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .7rem;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}
td:first-child,th:first-child{text-align:left}
";

/// The page.
pub fn html(results: &Results, version: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>Twopence bench</title>\n<style>\n{STYLE}</style>\n\
         <h1>Twopence {}: how fast</h1>\n",
        escaped(version)
    );
    page.push_str(&calibration(results));
    for (title, plot) in [
        ("Throughput against clients", by_clients(results)),
        ("Latency of a commit", distributions(results)),
        ("Throughput with a hot account", by_hot_share(results)),
        ("Throughput against nodes", by_nodes(results)),
        (
            "Restart after kill -9 against the length of the log",
            by_log(results),
        ),
    ] {
        if let Some(plot) = plot {
            let _ = writeln!(page, "<h2>{title}</h2>\n{plot}");
        }
    }
    page.push_str(&loads(results));
    page.push_str(&restarts(results));
    page.push_str("</html>\n");
    page
}

/// What the disk took meanwhile.
fn calibration(results: &Results) -> String {
    let mut syncs: Vec<f64> = of(results, None)
        .filter_map(|measured| Some(measured.calibration?.p50_ms))
        .collect();
    syncs.sort_by(f64::total_cmp);
    match (syncs.first(), syncs.get(syncs.len() / 2), syncs.last()) {
        (Some(least), Some(median), Some(most)) => format!(
            "<p class=\"note\">The disk in the same runs, 128 bytes written in a filled file and synced: p50 {median:.3} ms \
             (from {least:.3} to {most:.3} ms over the runs). Every commit was durable before it was answered, and every \
             run ended with an audit.</p>\n"
        ),
        _ => String::new(),
    }
}

fn of(results: &Results, sweep: Option<Sweep>) -> impl Iterator<Item = &Measurement> {
    let wanted = move |measured: &&Measured| sweep.is_none_or(|sweep| measured.sweep == sweep);
    results
        .measurements
        .iter()
        .filter(wanted)
        .map(|measured| &measured.measurement)
}

/// Points of a sweep, those of one name together.
fn series<'a>(
    measurements: impl Iterator<Item = &'a Measurement>,
    name: impl Fn(&Measurement) -> String,
    point: impl Fn(&Measurement) -> (f64, f64),
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for measured in measurements {
        let name = name(measured);
        let found = all.iter_mut().find(|series| series.name == name);
        match found {
            Some(series) => series.points.push(point(measured)),
            None => all.push(Series {
                name,
                points: vec![point(measured)],
            }),
        }
    }
    all
}

fn plot(x: Axis<'_>, y: Axis<'_>, series: &[Series], dots: bool) -> Option<String> {
    let any = series.iter().any(|series| series.points.len() > 1);
    any.then(|| lines(x, y, series, dots))
}

const PER_SECOND: Axis<'_> = Axis {
    label: "commits a second",
    scale: Scale::Linear,
};

fn by_clients(results: &Results) -> Option<String> {
    let x = Axis {
        label: "clients, one transfer each in flight",
        scale: Scale::Log,
    };
    let series = series(
        of(results, Some(Sweep::Clients)),
        |measured| measured.setting.store.clone(),
        |measured| (count(measured.setting.clients), measured.per_second),
    );
    plot(x, PER_SECOND, &series, true)
}

fn by_hot_share(results: &Results) -> Option<String> {
    let x = Axis {
        label: "share of the transfers that touch one account, in %",
        scale: Scale::Linear,
    };
    let share = |measured: &Measurement| {
        let text = measured.setting.dist.strip_prefix("hot:").unwrap_or("0");
        text.parse::<f64>().unwrap_or(0.0) * 100.0
    };
    let series = series(
        of(results, Some(Sweep::Hot)),
        |measured| measured.setting.locking.clone(),
        |measured| (share(measured), measured.per_second),
    );
    plot(x, PER_SECOND, &series, true)
}

fn by_nodes(results: &Results) -> Option<String> {
    let x = Axis {
        label: "nodes, all on this machine",
        scale: Scale::Linear,
    };
    let series = series(
        of(results, Some(Sweep::Nodes)),
        |measured| measured.setting.store.clone(),
        |measured| (count(measured.setting.nodes), measured.per_second),
    );
    plot(x, PER_SECOND, &series, true)
}

fn by_log(results: &Results) -> Option<String> {
    let x = Axis {
        label: "MiB of the node's files when it was killed",
        scale: Scale::Linear,
    };
    let y = Axis {
        label: "seconds until it took part again",
        scale: Scale::Linear,
    };
    let mut all: Vec<Series> = Vec::new();
    for recovery in &results.recoveries {
        let point = (recovery.files_mib, recovery.takes_part_s);
        match all.iter_mut().find(|series| series.name == recovery.store) {
            Some(series) => series.points.push(point),
            None => all.push(Series {
                name: recovery.store.clone(),
                points: vec![point],
            }),
        }
    }
    for series in &mut all {
        series.points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    plot(x, y, &all, true)
}

/// How latencies are distributed: the first measurements as they were asked for, else those with many clients.
fn distributions(results: &Results) -> Option<String> {
    let x = Axis {
        label: "milliseconds",
        scale: Scale::Log,
    };
    let y = Axis {
        label: "% of the commits",
        scale: Scale::Linear,
    };
    let drawn = [Sweep::Single, Sweep::Clients, Sweep::Accounts]
        .into_iter()
        .find_map(|sweep| {
            let all: Vec<&Measurement> = of(results, Some(sweep)).collect();
            (!all.is_empty()).then_some(all)
        })?;
    let drawn = drawn.into_iter().filter(|measured| !measured.bars.is_empty());
    let series: Vec<Series> = drawn
        .take(DISTRIBUTIONS_MAX)
        .map(|measured| {
            let all = ratio(measured.latency.count.max(1), 1);
            let point = |bar: &crate::latency::Bar| (bar.upto_ms, ratio(bar.count, 1) * 100.0 / all);
            let setting = &measured.setting;
            Series {
                name: format!(
                    "{}, {}, {} × {} in flight",
                    setting.store,
                    setting.locking,
                    setting.clients,
                    setting.in_flight * setting.batch
                ),
                points: measured.bars.iter().map(point).collect(),
            }
        })
        .collect();
    plot(x, y, &series, false)
}

/// Every load in one table.
fn loads(results: &Results) -> String {
    if results.measurements.is_empty() {
        return String::new();
    }
    let mut table = String::from("<h2>All loads</h2>\n<div class=\"wide\"><table>\n");
    row(
        &mut table,
        "th",
        &[
            "store",
            "locking",
            "nodes",
            "coordinators",
            "accounts",
            "choice",
            "clients",
            "in flight",
            "batch",
            "commits/s",
            "p50 ms",
            "p99 ms",
            "aborts",
            "disk p50 ms",
            "CPU µs",
            "node MiB",
            "audit",
        ]
        .map(str::to_owned),
    );
    for measured in of(results, None) {
        let setting = &measured.setting;
        let audit = format!("{:?}", measured.audit).to_lowercase();
        row(
            &mut table,
            "td",
            &[
                setting.store.clone(),
                setting.locking.clone(),
                setting.nodes.to_string(),
                setting.coordinators.to_string(),
                short(ratio(setting.accounts, 1)),
                setting.dist.clone(),
                setting.clients.to_string(),
                setting.in_flight.to_string(),
                setting.batch.to_string(),
                crate::summary::grouped(measured.per_second),
                format!("{:.3}", measured.latency.p50_ms),
                format!("{:.3}", measured.latency.p99_ms),
                measured.outcomes.aborts().to_string(),
                measured
                    .calibration
                    .map_or_else(|| "-".to_owned(), |disk| format!("{:.3}", disk.p50_ms)),
                format!("{:.1}", measured.cpu_us_per_txn()),
                format!("{:.0}", measured.node_memory_mib()),
                escaped(&audit),
            ],
        );
    }
    table.push_str("</table></div>\n");
    table
}

fn restarts(results: &Results) -> String {
    if results.recoveries.is_empty() {
        return String::new();
    }
    let mut table =
        String::from("<h2>All restarts after kill -9 under load</h2>\n<div class=\"wide\"><table>\n");
    row(
        &mut table,
        "th",
        &[
            "store",
            "accounts",
            "transactions",
            "log MiB",
            "files MiB",
            "listens s",
            "takes part s",
        ]
        .map(str::to_owned),
    );
    for recovery in &results.recoveries {
        row(
            &mut table,
            "td",
            &[
                recovery.store.clone(),
                short(ratio(recovery.accounts, 1)),
                short(ratio(recovery.txns, 1)),
                format!("{:.1}", recovery.log_mib),
                format!("{:.1}", recovery.files_mib),
                format!("{:.3}", recovery.listens_s),
                format!("{:.3}", recovery.takes_part_s),
            ],
        );
    }
    table.push_str("</table></div>\n");
    table
}

fn row(table: &mut String, tag: &str, cells: &[String]) {
    table.push_str("<tr>");
    for cell in cells {
        let _ = write!(table, "<{tag}>{}</{tag}>", escaped(cell));
    }
    table.push_str("</tr>\n");
}

fn count(number: usize) -> f64 {
    ratio(u64::try_from(number).unwrap_or(u64::MAX), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_nothing_is_a_page_and_asks_nobody_for_anything() {
        let page = html(&Results::default(), "0.1.0");
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(!page.contains("http"), "{page}");
        assert!(!page.contains("<svg"), "{page}");
    }
}
