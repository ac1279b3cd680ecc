//! Failpoint specifications: armed exactly if they read `name=action`, and then they act once, at their hit.
//!
//! Failpoints are one table for the whole process, so this target gives every name a prefix that no code under test
//! passes, and never passes a point that would kill or stop.

use engine::failpoint::{self, Fault};

use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "failpoint",
    holds: "a specification is taken exactly if it is well formed; the point acts once, at the hit it names",
    judge,
    seeds,
    memory: (64 << 10, 64),
    shows: &["kill", "stop", "sleep", "error", "torn", "malformed"],
    faults: &[],
};

const PREFIX: &str = "fuzz.";

/// Most hits to wait for.
const HITS_MAX: u32 = 1_000;

/// What a good specification says.
#[derive(Debug, PartialEq, Eq)]
enum Spec {
    Kill,
    Stop,
    Sleep,
    Fail(Fault),
}

fn judge(input: &[u8], seen: &mut Seen) {
    let text = format!("{PREFIX}{}", String::from_utf8_lossy(input));
    failpoint::enable();
    let expected = by_the_book(&text);
    match (failpoint::arm(&text), expected) {
        (Ok(()), Some((name, spec, hit))) => {
            assert!(
                failpoint::list().iter().any(|point| point == name),
                "{name:?} is armed"
            );
            act(name, &spec, hit);
            failpoint::disarm(name);
            assert!(!failpoint::list().iter().any(|point| point == name));
            seen.way(match spec {
                Spec::Kill => "kill",
                Spec::Stop => "stop",
                Spec::Sleep => "sleep",
                Spec::Fail(Fault::Torn(_)) => "torn",
                Spec::Fail(Fault::NoSpace | Fault::Broken) => "error",
            });
        }
        (Err(why), None) => {
            assert!(why.contains("is not a failpoint"), "{why}");
            assert!(!why.chars().any(char::is_control), "{why:?} goes to a terminal");
            seen.way("malformed");
        }
        (armed, expected) => panic!("{text:?} is {armed:?}, but {expected:?}"),
    }
}

/// A point that only fails can be passed until it acts.
fn act(name: &str, spec: &Spec, hit: u32) {
    let Spec::Fail(fault) = spec else {
        return;
    };
    if hit > HITS_MAX {
        return;
    }
    for _ in 1..hit {
        assert_eq!(failpoint::hit(name), None, "not yet");
    }
    assert_eq!(failpoint::hit(name), Some(*fault));
    assert_eq!(failpoint::hit(name), None, "only once");
}

/// `name=action[:argument][@hit]`.
fn by_the_book(text: &str) -> Option<(&str, Spec, u32)> {
    let equals = text.find('=')?;
    let (name, rest) = (&text[..equals], &text[equals + 1..]);
    let (action, hit) = match rest.find('@') {
        Some(at) => (&rest[..at], number(&rest[at + 1..])?),
        None => (rest, 1),
    };
    let hit = u32::try_from(hit).ok().filter(|&hit| hit > 0)?;
    let spec = match action {
        "kill" => Spec::Kill,
        "stop" => Spec::Stop,
        "error:enospc" => Spec::Fail(Fault::NoSpace),
        "error:eio" => Spec::Fail(Fault::Broken),
        _ => match (action.strip_prefix("sleep:"), action.strip_prefix("torn:")) {
            (Some(ms), _) => number(ms).map(|_| Spec::Sleep)?,
            (None, Some(len)) => Spec::Fail(Fault::Torn(usize::try_from(number(len)?).ok()?)),
            (None, None) => return None,
        },
    };
    Some((name, spec, hit))
}

/// Decimal digits that fit in 64 bits.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0_u64, |value, c| {
        value.checked_mul(10)?.checked_add(u64::from(c.to_digit(10)?))
    })
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let texts: &[(&str, &str)] = &[
        ("kill", "sync=kill"),
        ("stop", "appended.commit=stop@2"),
        ("sleep", "recv.prepare=sleep:250"),
        ("no-space", "append.prepare_ok=error:enospc@3"),
        ("broken", "sync=error:eio"),
        ("torn", "torn.commit=torn:17"),
        ("sign", "a=kill@+3"),
        ("sleep-sign", "a=sleep:+5"),
        ("hit-zero", "a=kill@0"),
        ("two-hits", "a=kill@1@2"),
        ("two-equals", "a=b=kill"),
        ("too-large", "a=torn:99999999999999999999"),
        ("control", "a\n=k\u{1b}ill"),
    ];
    texts
        .iter()
        .map(|&(name, text)| (name, text.as_bytes().to_vec()))
        .collect()
}
