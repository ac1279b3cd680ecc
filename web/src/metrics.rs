//! `GET /metrics`: counters of every process in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use client::{Error, Numbers};
use protocol::histogram::Histogram;

use crate::census;
use crate::problem::Problem;
use crate::state::AppState;

/// The kind of text, with the version of the format.
pub(crate) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper ends of the buckets, in microseconds, with the same in seconds.
const BUCKETS: [(u64, &str); 14] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
];

/// `GET /metrics`
pub(crate) async fn metrics(State(state): State<AppState>) -> Result<Response, Problem> {
    let asked = state.clone();
    // In turn with the calls, so that many who look cannot take all threads.
    let numbers = state
        .call(move |_| census::ask_all(&asked, client::Watch::numbers))
        .await?;
    Ok(([(CONTENT_TYPE, KIND)], render(&numbers)).into_response())
}

type Census = BTreeMap<String, Result<Numbers, Error>>;

fn render(census: &Census) -> String {
    let mut page = Page {
        text: String::new(),
        census,
    };
    page.family("up", "gauge", "Whether the process answers.");
    for (process, numbers) in census {
        let up = u64::from(numbers.is_ok());
        page.sample("up", &[("process", process)], &up.to_string());
    }
    page.each(
        "uptime_seconds",
        "gauge",
        "How long ago the process started.",
        |n| seconds(n.up_ms.saturating_mul(1000)),
    );
    page.count("committed_total", "Transactions that committed.", |n| n.committed);
    page.family(
        "aborted_total",
        "counter",
        "Transactions that aborted, by reason.",
    );
    for (process, numbers) in page.answered() {
        for (reason, count) in &numbers.aborted {
            let labels = [("process", process), ("reason", reason.as_str())];
            page.sample("aborted_total", &labels, &count.to_string());
        }
    }
    page.count(
        "unknown_total",
        "Clients that were told that the outcome is unknown.",
        |n| n.unknown,
    );
    page.level(
        "open_transactions",
        "Transactions that have not ended here.",
        |n| n.open,
    );
    page.level(
        "in_doubt_transactions",
        "Transactions that the node has promised and waits for the decision of.",
        |n| n.in_doubt,
    );
    page.each(
        "oldest_in_doubt_seconds",
        "gauge",
        "Since when the oldest transaction in doubt waits; 0 if there is none.",
        |n| seconds(n.oldest_in_doubt_ms.saturating_mul(1000)),
    );
    page.histogram("sync_seconds", "How long syncs took.", |n| &n.syncs);
    page.histogram(
        "decision_seconds",
        "From reading a submit to releasing its outcome, at a coordinator.",
        |n| &n.decisions,
    );
    page.count("store_records_total", "Records appended.", |n| n.work.records);
    page.count("store_bytes_total", "Bytes appended.", |n| n.work.bytes);
    page.count("store_checkpoints_total", "Checkpoints finished.", |n| {
        n.work.checkpoints
    });
    page.count("connections_accepted_total", "Connections accepted.", |n| {
        n.traffic.accepted
    });
    page.count("connections_refused_total", "Connections refused.", |n| {
        n.traffic.refused
    });
    page.count("frames_received_total", "Frames received.", |n| {
        n.traffic.frames_in
    });
    page.count("frames_sent_total", "Frames sent.", |n| n.traffic.frames_out);
    page.count("received_bytes_total", "Bytes received.", |n| n.traffic.bytes_in);
    page.count("sent_bytes_total", "Bytes sent.", |n| n.traffic.bytes_out);
    page.count("turns_total", "Turns of the event loop.", |n| n.traffic.turns);
    page.count("sights_total", "Events that watchers could see.", |n| n.sights);
    page.count(
        "sights_dropped_total",
        "Events that watchers lost because they read too slowly.",
        |n| n.dropped,
    );
    page.level(
        "sampling_every",
        "One transaction in so many is shown to watchers.",
        |n| n.every,
    );
    page.text
}

struct Page<'a> {
    text: String,
    census: &'a Census,
}

impl<'a> Page<'a> {
    fn answered(&self) -> impl Iterator<Item = (&'a str, &'a Numbers)> + use<'a> {
        let all = self.census.iter();
        all.filter_map(|(process, numbers)| Some((process.as_str(), numbers.as_ref().ok()?)))
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(&format!("# HELP twopence_{name} {help}"));
        self.line(&format!("# TYPE twopence_{name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        self.line(&format!("twopence_{name}{{{}}} {value}", labels.join(",")));
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a string takes all");
    }

    fn each(&mut self, name: &str, kind: &str, help: &str, value: impl Fn(&Numbers) -> String) {
        self.family(name, kind, help);
        for (process, numbers) in self.answered() {
            self.sample(name, &[("process", process)], &value(numbers));
        }
    }

    fn count(&mut self, name: &str, help: &str, value: impl Fn(&Numbers) -> u64) {
        self.each(name, "counter", help, |numbers| value(numbers).to_string());
    }

    fn level(&mut self, name: &str, help: &str, value: impl Fn(&Numbers) -> u64) {
        self.each(name, "gauge", help, |numbers| value(numbers).to_string());
    }

    fn histogram(&mut self, name: &str, help: &str, value: impl Fn(&Numbers) -> &Histogram) {
        self.family(name, "histogram", help);
        for (process, numbers) in self.answered() {
            let histogram = value(numbers);
            let bucket = format!("{name}_bucket");
            for (upper_us, upper) in BUCKETS {
                // What straddles an end counts as longer.
                let below = histogram
                    .cumulative()
                    .take_while(|(us, _)| *us <= upper_us)
                    .last();
                let below = below.map_or(0, |(_, below)| below).to_string();
                self.sample(&bucket, &[("process", process), ("le", upper)], &below);
            }
            let count = histogram.count().to_string();
            self.sample(&bucket, &[("process", process), ("le", "+Inf")], &count);
            let sum = seconds(histogram.sum_us());
            self.sample(&format!("{name}_sum"), &[("process", process)], &sum);
            self.sample(&format!("{name}_count"), &[("process", process)], &count);
        }
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// As the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A sample: its name, its labels as they are written, its value.
    fn sample(line: &str) -> (&str, &str, f64) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        let labels = labels.strip_suffix('}').unwrap();
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        assert!(word(name), "{line}");
        for label in labels.split("\",") {
            let (label, value) = label.split_once("=\"").unwrap();
            assert!(
                word(label) && !value.trim_end_matches('"').contains('"'),
                "{line}"
            );
        }
        (name, labels, value.parse().unwrap())
    }

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let mut numbers = Numbers {
            up_ms: 12_345,
            committed: 7,
            aborted: vec![
                ("insufficient_funds".to_owned(), 2),
                ("lock_contention".to_owned(), 1),
            ],
            oldest_in_doubt_ms: 1500,
            in_doubt: 1,
            ..Numbers::default()
        };
        for us in [90, 400, 400, 3_000, 99_000_000] {
            numbers.syncs.add(us);
        }
        let census = Census::from([
            ("coordinator".to_owned(), Ok(numbers)),
            ("N1".to_owned(), Err(Error::NoAnswer("gone".to_owned()))),
        ]);
        let text = render(&census);
        let (mut families, mut series, mut kind) = (BTreeSet::new(), BTreeSet::new(), ("", ""));
        let mut buckets = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                kind = rest.split_once(' ').unwrap();
                assert!(families.insert(kind.0), "{line}: a second time");
                assert!(["gauge", "counter", "histogram"].contains(&kind.1), "{line}");
                assert_eq!(kind.1 == "counter", kind.0.ends_with("_total"), "{line}");
            } else if !line.starts_with("# HELP twopence_") {
                let (name, labels, value) = sample(line);
                let of_family = name.strip_prefix(kind.0).unwrap();
                assert!(kind.1 == "histogram" || of_family.is_empty(), "{line}");
                assert!(series.insert((name, labels)), "{line}: a second time");
                assert!(value >= 0.0);
                if name == "twopence_sync_seconds_bucket" {
                    buckets.push(value);
                }
            }
        }
        assert!(buckets.is_sorted(), "{buckets:?}");
        assert_eq!((buckets[0], buckets.last()), (1.0, Some(&5.0)));
        for line in [
            "twopence_up{process=\"N1\"} 0",
            "twopence_up{process=\"coordinator\"} 1",
            "twopence_committed_total{process=\"coordinator\"} 7",
            "twopence_aborted_total{process=\"coordinator\",reason=\"lock_contention\"} 1",
            "twopence_oldest_in_doubt_seconds{process=\"coordinator\"} 1.500000",
            "twopence_sync_seconds_count{process=\"coordinator\"} 5",
            "twopence_sync_seconds_sum{process=\"coordinator\"} 99.003890",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing:\n{text}"
            );
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
