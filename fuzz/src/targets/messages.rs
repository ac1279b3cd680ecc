//! Messages, per role: what a node may hear from a coordinator, a coordinator from a node and from a client, a client from
//! a coordinator.
//!
//! A body either decodes whole, and then it is the one encoding of its value, or it is refused. A length that it announces
//! makes room for no more than the longest body could fill; beyond that, memory follows its own length.

use std::fmt::{Debug, Display};

use protocol::codec;
use protocol::message::{Call, FromNode, Reply, ToNode};
use protocol::short::Short;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::samples;
use crate::seen::Seen;
use crate::target::{Target, peak_of};

const HOLDS: &str =
    "a body decodes whole and to the one value whose encoding it is, or not at all; memory has a limit";

/// Room for what a body announces: lists are nested three deep, and each may announce as much as a body can hold.
const ANNOUNCED: usize = 3 * protocol::frame::BODY_LEN_MAX;

/// What one byte of a body may cost once it has arrived. The smallest element of a list has three bytes, the largest takes
/// less than 400 in memory, and a list that grows is there twice for a moment.
const PER_BYTE: usize = 384;

pub(crate) const TO_NODE: Target = Target {
    name: "to-node",
    holds: HOLDS,
    judge: judge::<ToNode>,
    seeds: || bodies(samples::to_node()),
    memory: (8 << 20, 4096),
    shows: &[
        "refused", "join", "prepare", "execute", "commit", "abort", "query", "recall", "pending", "not-mine",
        "mark", "ask",
    ],
    faults: &["I11"],
};

pub(crate) const FROM_NODE: Target = Target {
    name: "from-node",
    holds: HOLDS,
    judge: judge::<FromNode>,
    seeds: || bodies(samples::from_node()),
    memory: (8 << 20, 4096),
    shows: &[
        "refused",
        "welcome",
        "refuse",
        "vote",
        "ack",
        "aborted",
        "executed",
        "inquiry",
        "unmatched",
        "mixed",
        "recalled",
        "answer",
    ],
    faults: &["I11"],
};

pub(crate) const CALL: Target = Target {
    name: "call",
    holds: HOLDS,
    judge: judge::<Call>,
    seeds: || bodies(samples::calls()),
    memory: (8 << 20, 4096),
    shows: &[
        "refused", "submit", "balance", "accounts", "audit", "status", "show", "list", "resolve", "adopt",
        "arm",
    ],
    faults: &["I11"],
};

pub(crate) const REPLY: Target = Target {
    name: "reply",
    holds: HOLDS,
    judge: judge::<Reply>,
    seeds: || bodies(samples::replies()),
    memory: (8 << 20, 4096),
    shows: &[
        "refused", "outcome", "balance", "accounts", "audit", "status", "txn", "list", "done", "failed",
    ],
    faults: &["I11"],
};

fn judge<T>(body: &[u8], seen: &mut Seen)
where
    T: Serialize + DeserializeOwned + Short + PartialEq + Debug + Display,
{
    let mut decoded = None;
    let used = peak_of(|| decoded = codec::decode::<T>(body).ok());
    let limit = u64::try_from(ANNOUNCED + PER_BYTE * body.len()).expect("memory fits in 64 bits");
    assert!(used <= limit, "decoding {} bytes held {used} bytes", body.len());
    let Some(value) = decoded else {
        agree::<T>(body);
        seen.fault("I11");
        return seen.way("refused");
    };
    assert_eq!(codec::encode(&value), body, "a second encoding of {value:?}");
    let mut appended = vec![0xaa];
    codec::encode_into(&value, &mut appended);
    assert_eq!(appended[1..], *body, "both ways to encode give the same bytes");
    appended.push(0);
    assert!(
        codec::decode::<T>(&appended[1..]).is_err(),
        "a byte behind the end of {value:?}"
    );
    assert!(
        codec::decode::<T>(&body[..body.len() - 1]).is_err(),
        "{value:?} without its last byte"
    );
    // As a frame of several: one after the other, and what follows the last is nothing.
    let several = [body, body].concat();
    let mut rest = several.as_slice();
    for _ in 0..2 {
        assert_eq!(codec::decode_next::<T>(&mut rest).as_ref(), Ok(&value));
    }
    assert!(rest.is_empty(), "{} bytes behind {value:?} twice", rest.len());
    seen.way(&reactor::kind(&value));
}

/// A body that is refused as a whole may begin with a good message. The short way finds the same one there as serde, whose
/// bytes are the first so many that decode.
fn agree<T>(body: &[u8])
where
    T: Serialize + DeserializeOwned + Short + PartialEq + Debug,
{
    let mut rest = body;
    if let Ok(value) = codec::decode_next::<T>(&mut rest) {
        let (used, behind) = body.split_at(body.len() - rest.len());
        assert!(!behind.is_empty(), "{value:?} is refused as a whole");
        assert_eq!(codec::decode::<T>(used).as_ref(), Ok(&value));
        assert_eq!(codec::encode(&value), used, "a second encoding of {value:?}");
    }
}

/// The values as bodies, and bodies that are none.
fn bodies<T: Serialize>(values: Vec<T>) -> Vec<(&'static str, Vec<u8>)> {
    let good: Vec<Vec<u8>> = values.iter().map(codec::encode).collect();
    let first = &good[0];
    let bad = vec![
        ("cut", first[..first.len() - 1].to_vec()),
        ("longer", [first, &[0][..]].concat()),
        ("empty", Vec::new()),
        (
            "number-of-another-kind",
            [&[251, first[0], 0], &first[1..]].concat(),
        ),
        (
            "announces-everything",
            vec![first[0], 253, 255, 255, 255, 255, 255, 255, 255, 255],
        ),
    ];
    good.into_iter().map(|body| ("value", body)).chain(bad).collect()
}
