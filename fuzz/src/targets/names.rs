//! Everything that people and files call things by: nodes, accounts, places, clusters, stores, transactions, requests,
//! amounts, legs, reasons, addresses.
//!
//! Each parser takes exactly its grammar, which is written down here once more, character by character, without the
//! parsers' own helpers. What is taken prints as something that is read as the same; serde takes what the parser takes.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use protocol::codec;
use protocol::id::{AccountId, ClusterName, NodeId, Place, RequestId, StoreId, TxnId};
use protocol::leg::{BadOrder, Leg};
use protocol::message::Reference;
use protocol::money::{Amount, BadAmount, Delta};
use protocol::reason::Reason;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::{Address, Host, NodeList};
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "names",
    holds: "each parser takes exactly its grammar; what it takes prints and reads back, in serde's formats too",
    judge,
    seeds,
    memory: (64 << 10, 256),
    shows: &[
        "node",
        "account",
        "place",
        "cluster",
        "store",
        "txn",
        "request",
        "amount",
        "delta",
        "leg",
        "reference",
        "reason",
        "address",
        "node list",
        "nothing",
    ],
    faults: &["I1", "I10"],
};

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn judge(input: &[u8], seen: &mut Seen) {
    let text = &*String::from_utf8_lossy(input);
    let mut ways: Vec<&str> = Vec::new();
    let mut way = |name, taken: bool| {
        if taken {
            ways.push(name)
        }
    };
    way(
        "node",
        same::<NodeId>(text, is_node(text)) && as_text::<NodeId>(text),
    );
    way(
        "account",
        same::<AccountId>(text, is_account(text)) && as_text::<AccountId>(text),
    );
    way("place", same::<Place>(text, is_place(text)));
    way(
        "cluster",
        same::<ClusterName>(text, is_made_of(text, "_.-", 32)) && as_text::<ClusterName>(text),
    );
    way("store", equal::<StoreId>(text, is_store(text)));
    way("txn", equal::<TxnId>(text, is_txn(text)));
    way("request", equal::<RequestId>(text, is_request(text)));
    let dashes = text.matches('-').count();
    way(
        "reference",
        equal::<Reference>(
            text,
            if dashes == 2 {
                is_txn(text)
            } else {
                is_request(text)
            },
        ),
    );
    way("reason", same::<Reason>(text, is_reason(text)));
    way("address", equal::<Address>(text, is_address(text)));
    equal::<Host>(text, is_host(text));
    way("node list", node_list(text));
    way("amount", amount(text, seen));
    way("delta", delta(text, seen));
    way("leg", leg(text));
    if ways.is_empty() {
        ways.push("nothing");
        seen.fault("I10");
    }
    ways.iter().for_each(|way| seen.way(way));
}

/// The parser takes `text` exactly if it is `good`, and then prints it as it was.
fn same<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str, good: bool) -> bool {
    let taken = equal::<T>(text, good);
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text, "{value:?} is another name");
    }
    taken
}

/// The parser takes `text` exactly if it is `good`, and what it prints then means the same.
fn equal<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str, good: bool) -> bool {
    match text.parse::<T>() {
        Ok(value) => {
            assert!(good, "{text:?} is taken as {value:?}");
            let again = value
                .to_string()
                .parse::<T>()
                .expect("what is printed can be read");
            assert_eq!(again, value, "read, printed and read again");
        }
        Err(why) => assert!(!good, "{text:?} is refused: {why:?}"),
    }
    good
}

/// A name of ours in a file or a message is taken exactly as on the command line, but for `@world`.
fn as_text<T: FromStr<Err: Debug> + Serialize + DeserializeOwned + Debug + PartialEq>(text: &str) -> bool {
    let parsed = text.parse::<T>().ok();
    let json = serde_json::to_string(text).expect("text is JSON");
    assert_eq!(serde_json::from_str::<T>(&json).ok(), parsed, "{text:?} in JSON");
    let body = codec::encode(&text);
    assert_eq!(codec::decode::<T>(&body).ok(), parsed, "{text:?} in a message");
    true
}

/// Letters, digits and `more`, 1 to `len_max` of them.
fn is_made_of(text: &str, more: &str, len_max: usize) -> bool {
    let count = text.chars().count();
    let fits = |c| ALNUM.contains(c) || more.contains(c);
    (1..=len_max).contains(&count) && text.chars().all(fits)
}

fn is_node(text: &str) -> bool {
    is_made_of(text, "-", 16)
}

fn is_account(text: &str) -> bool {
    is_made_of(text, "_.:-", 64) && !text.starts_with(['_', '.', ':', '-'])
}

fn is_place(text: &str) -> bool {
    match text.find('/') {
        Some(at) => is_node(&text[..at]) && is_account(&text[at + 1..]),
        None => false,
    }
}

fn is_store(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.chars().all(|c| "0123456789abcdef".contains(c))
}

fn is_txn(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [store, epoch, sequence] = parts[..] else {
        return false;
    };
    is_store(store) && is_number(epoch, u32::MAX.into()) && is_number(sequence, u64::MAX.into())
}

/// Decimal digits and nothing else, up to `max`.
fn is_number(text: &str, max: u128) -> bool {
    digits(text).is_some_and(|value| value <= max)
}

/// What decimal digits say; `u128::MAX` for everything beyond.
fn digits(text: &str) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0_u128, |value, c| {
        let digit = u128::from(c.to_digit(10)?);
        Some(value.saturating_mul(10).saturating_add(digit))
    })
}

/// Up to 32 hexadecimal digits, or a UUID with its dashes where a UUID has them.
fn is_request(text: &str) -> bool {
    let hex = |part: &str| part.chars().all(|c| "0123456789abcdefABCDEF".contains(c));
    let lens: Vec<usize> = text.split('-').map(str::len).collect();
    let shape = match lens[..] {
        [len] => (1..=32).contains(&len),
        _ => lens == [8, 4, 4, 4, 12],
    };
    shape && text.split('-').all(hex)
}

fn is_reason(text: &str) -> bool {
    let ours = |name: &str| is_account(name) || name == "@world";
    let about_accounts = [
        "insufficient_funds_on_",
        "lock_contention_on_",
        "unknown_account_",
        "credit_overflow_on_",
    ];
    let about_nodes = [
        "unknown_node_",
        "cannot_reach_",
        "no_vote_in_time_from_",
        "quarantined_",
        "disk_full_on_",
    ];
    let alone = [
        "coordinator_disk_full",
        "audit_in_progress",
        "stale_prepare",
        "coordinator_restarted",
        "presumed_abort",
        "duplicate_attempt",
        "operator_decision",
    ];
    let named = |prefixes: &[&str], good: &dyn Fn(&str) -> bool| {
        prefixes
            .iter()
            .any(|prefix| text.strip_prefix(prefix).is_some_and(good))
    };
    named(&about_accounts, &ours) || named(&about_nodes, &is_node) || alone.contains(&text)
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|ipv6| ipv6.parse::<std::net::Ipv6Addr>().is_ok()),
        None => is_made_of(text, "._-", usize::MAX),
    }
}

fn is_address(text: &str) -> bool {
    match text.rfind(':') {
        Some(at) => is_host(&text[..at]) && text[at + 1..] != *"0" && is_port(&text[at + 1..]),
        None => false,
    }
}

fn is_port(text: &str) -> bool {
    digits(text).is_some_and(|port| (1..=65_535).contains(&port))
}

/// Names and addresses, none of them twice.
fn node_list(text: &str) -> bool {
    let mut seen: Vec<(&str, String, u128)> = Vec::new();
    let mut good = true;
    for item in text.split(',') {
        let at = item.find(':').unwrap_or(item.len());
        let (node, address) = (&item[..at], item.get(at + 1..).unwrap_or(""));
        good &= is_node(node) && is_address(address);
        if !good {
            break;
        }
        let colon = address.rfind(':').expect("an address has one");
        let port = digits(&address[colon + 1..]).expect("an address ends with one");
        let host = address[..colon].to_owned();
        good &= !seen
            .iter()
            .any(|(other, at, on)| *other == node || (*at == host && *on == port));
        seen.push((node, host, port));
    }
    match text.parse::<NodeList>() {
        Ok(list) => {
            assert!(good, "{text:?} is taken");
            let names: Vec<String> = list.iter().map(|(node, _)| node.to_string()).collect();
            assert!(names.iter().eq(seen.iter().map(|(node, ..)| *node)), "{names:?}");
        }
        Err(why) => assert!(!good, "{text:?} is refused: {why}"),
    }
    good
}

/// Sign and size of whole minor units.
fn whole(text: &str) -> Option<(bool, u128)> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    digits(rest).map(|size| (negative, size))
}

const LARGEST: u128 = 1_000_000_000_000_000_000;

fn amount(text: &str, seen: &mut Seen) -> bool {
    let expected = match whole(text) {
        None => Err(BadAmount::NotAnInteger),
        Some((_, 0) | (true, _)) => Err(BadAmount::NotPositive),
        Some((false, size)) if size > LARGEST => Err(BadAmount::TooLarge),
        Some((false, size)) => Ok(i64::try_from(size).expect("below the limit")),
    };
    assert_eq!(
        text.parse::<Amount>().map(Amount::get),
        expected,
        "{text:?} as an amount"
    );
    if matches!(expected, Err(BadAmount::NotPositive | BadAmount::TooLarge)) {
        seen.fault("I1");
    }
    if let Ok(value) = text.parse::<Amount>() {
        assert_eq!(value.to_string().parse(), Ok(value));
    }
    expected.is_ok()
}

fn expected_delta(text: &str) -> Result<i64, BadAmount> {
    match whole(text) {
        None => Err(BadAmount::NotAnInteger),
        Some((_, 0)) => Err(BadAmount::NotPositive),
        Some((_, size)) if size > LARGEST => Err(BadAmount::TooLarge),
        Some((negative, size)) => {
            let size = i64::try_from(size).expect("below the limit");
            Ok(if negative { -size } else { size })
        }
    }
}

fn delta(text: &str, seen: &mut Seen) -> bool {
    let expected = expected_delta(text);
    assert_eq!(
        text.parse::<Delta>().map(Delta::get),
        expected,
        "{text:?} as a delta"
    );
    if matches!(expected, Err(BadAmount::NotPositive | BadAmount::TooLarge)) {
        seen.fault("I1");
    }
    if let Ok(value) = text.parse::<Delta>() {
        assert_eq!(value.to_string().parse(), Ok(value));
    }
    expected.is_ok()
}

fn leg(text: &str) -> bool {
    let expected = match text.rfind(':').filter(|&at| is_place(&text[..at])) {
        None => Err(BadOrder::LegSyntax),
        Some(at) => expected_delta(&text[at + 1..]).map_err(BadOrder::Amount),
    };
    match (text.parse::<Leg>(), &expected) {
        (Ok(leg), Ok(delta)) => {
            assert_eq!(leg.delta.get(), *delta);
            assert_eq!(leg.to_string().parse(), Ok(leg));
        }
        (Err(found), Err(expected)) => assert_eq!(found, *expected, "{text:?} as a leg"),
        (found, expected) => panic!("{text:?} as a leg is {found:?}, not {expected:?}"),
    }
    expected.is_ok()
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let texts: &[(&str, &str)] = &[
        ("node", "N1"),
        ("node-longest", "abcdefghijklmno-"),
        ("account", "a:b.c_d-E9"),
        (
            "account-longest",
            "0123456789012345678901234567890123456789012345678901234567890123",
        ),
        ("account-world", "@world"),
        ("account-meta", "_meta"),
        ("account-lookalike", "N1/\u{0410}"),
        ("place", "N1/A"),
        ("path", "../N1/A"),
        ("newline", "N1/A\n"),
        ("nul", "N1\0"),
        ("leg", "N1/a:b:-30"),
        ("leg-largest", "N1/A:+1000000000000000000"),
        ("leg-too-large", "N1/A:-1000000000000000001"),
        (
            "leg-far-too-large",
            "N1/A:-99999999999999999999999999999999999999999",
        ),
        ("leg-zero", "N1/A:-0"),
        ("amount", "10"),
        ("amount-plus", "+010"),
        ("amount-float", "1e3"),
        ("store", "9f3c2a71b0d4e655"),
        ("store-too-long", "00000000000000009"),
        ("txn", "9f3c-1-18446744073709551615"),
        ("txn-signs", "9f3c-+1-+7"),
        ("request", "0190163d8694739baea5966c26f8ad91"),
        ("request-uuid", "0190163D-8694-739B-AEA5-966C26F8AD91"),
        ("request-other-dashes", "0190-163d8694739baea5966c26f8ad91-"),
        ("reason", "lock_contention_on_a_on_b:1"),
        ("reason-world", "credit_overflow_on_@world"),
        ("reason-node", "no_vote_in_time_from_N1"),
        ("reason-alone", "presumed_abort"),
        ("address", "127.0.0.1:5000"),
        ("address-ipv6", "[::1]:6001"),
        ("address-sign", "host:+80"),
        ("address-zero", "host:0"),
        ("nodes", "N1:127.0.0.1:6001,N2:[::1]:6002,N3:c.example:1"),
        ("nodes-twice", "N1:h:80,N2:h:080"),
        ("empty", ""),
    ];
    texts
        .iter()
        .map(|&(name, text)| (name, text.as_bytes().to_vec()))
        .collect()
}
