//! The stores' own words, read from the files of a stopped cluster and not through the program: they agree with each
//! other, and hold what clients were told and nothing else.

use std::path::Path;

use client::Outcome;
use verify::{Claims, Images, Told, Word};

use crate::bank::Sent;

/// Checks the data directory of a cluster that has come to rest; `sent` is every request it has ever got.
pub(crate) fn check(dir: &Path, sent: &[Sent]) {
    let told = |sent: &Sent| Told {
        request: sent.request,
        order: sent.order.clone(),
        word: match sent.outcome {
            Outcome::Committed { txn } => Word::Committed(txn),
            Outcome::Aborted { txn, .. } => Word::Aborted { txn, is_final: false },
            Outcome::Unknown { .. } | Outcome::Reused | Outcome::Rejected { .. } => Word::Unknown,
        },
    };
    let claims = Claims {
        told: sent.iter().map(told).collect(),
        complete: true,
        settled: true,
    };
    let images = Images::read(&[dir]).unwrap();
    assert!(images.refused.is_empty(), "{:?}", images.refused);
    let report = verify::check(&images, &claims);
    assert!(report.violations.is_empty(), "{report}");
}
