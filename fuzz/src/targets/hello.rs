//! Hellos and the other control frames, of all versions: understood exactly, or refused with a text that is safe to print.
//!
//! An input is our own hello (some choices) and the other side's body: raw bytes, or built from choices.

use protocol::hello::{Control, Hello, REASON_LEN_MAX, Refused, Role, VERSIONS, Versions};
use protocol::id::{ClusterName, NodeId, StoreId};

use crate::choices::Choices;
use crate::seen::Seen;
use crate::target::Target;

pub(crate) const TARGET: Target = Target {
    name: "hello",
    holds: "a hello reads back byte by byte; two processes talk only if version, cluster, role and name fit; texts are printable",
    judge,
    seeds,
    memory: (4 << 20, 256),
    shows: &[
        "hello",
        "ping",
        "refused by them",
        "stranger",
        "no common version",
        "accepted",
        "wrong cluster",
        "wrong role",
        "not who was meant",
    ],
    faults: &["I11", "P16", "W11"],
};

fn judge(input: &[u8], seen: &mut Seen) {
    let mut choices = Choices::new(input);
    let raw = choices.flag();
    let ours = hello(&mut choices);
    let body = if raw {
        choices.rest().to_vec()
    } else {
        built(&mut choices)
    };
    assert_eq!(Control::is_control(&body), body.first() == Some(&0xff));
    match Control::decode(&body, &ours) {
        Ok(Control::Hello(theirs)) => {
            seen.way("hello");
            assert_eq!(
                Control::Hello(theirs.clone()).encode(),
                body,
                "a second encoding of {theirs:?}"
            );
            meet(&ours, &theirs, seen);
            meet(&theirs, &ours, seen);
        }
        Ok(Control::Ping) => {
            seen.way("ping");
            assert_eq!(body, b"\xff2PNC\x02");
        }
        Ok(Control::Refused(Refused(why))) => {
            seen.way("refused by them");
            assert!(body.starts_with(b"\xff2PNC\x01"));
            assert_printable(&why);
            assert!(
                why.chars().count() <= REASON_LEN_MAX,
                "{} characters",
                why.chars().count()
            );
        }
        Err(Refused(why)) => {
            assert_printable(&why);
            let versions = body
                .strip_prefix(b"\xff2PNC\x00")
                .and_then(|rest| rest.first_chunk());
            match versions {
                Some(&[a, b, c, d])
                    if !overlap(
                        ours.versions,
                        u16::from_le_bytes([a, b]),
                        u16::from_le_bytes([c, d]),
                    ) =>
                {
                    seen.way("no common version");
                    seen.fault("P16");
                    assert!(why.contains("no common wire version"), "{why}");
                }
                Some(_) | None => {
                    seen.way("stranger");
                    seen.fault("I11");
                }
            }
            // What is said to the other side reaches it.
            let said = Control::Refused(Refused(why)).encode();
            assert!(matches!(Control::decode(&said, &ours), Ok(Control::Refused(_))));
        }
    }
}

/// Whether `ours` and `theirs` may talk, in one direction, by the rules at the head of `protocol::hello`.
fn meet(ours: &Hello, theirs: &Hello, seen: &mut Seen) {
    for accepts in [
        &[Role::Client][..],
        &[Role::Coordinator],
        &[Role::Node],
        &[Role::Client, Role::Coordinator],
    ] {
        let fits = |expects: Option<NodeId>, name: Option<NodeId>| expects.is_none() || expects == name;
        let version = overlap(ours.versions, theirs.versions.min, theirs.versions.max);
        let cluster = ours.cluster == theirs.cluster;
        let role = accepts.contains(&theirs.role);
        let name = fits(ours.expects, theirs.name) && fits(theirs.expects, ours.name);
        match ours.check(theirs, accepts) {
            Ok(chosen) => {
                assert!(version && cluster && role && name, "{ours:?} talks to {theirs:?}");
                for versions in [ours.versions, theirs.versions] {
                    assert!(
                        (versions.min..=versions.max).contains(&chosen),
                        "version {chosen}"
                    );
                }
                seen.way("accepted");
                if ours.versions != theirs.versions {
                    seen.fault("P16");
                }
            }
            Err(Refused(why)) => {
                assert!(
                    !(version && cluster && role && name),
                    "{ours:?} refuses {theirs:?}: {why}"
                );
                assert_printable(&why);
                if version && !cluster {
                    seen.way("wrong cluster");
                } else if version && !role {
                    seen.way("wrong role");
                } else if version {
                    seen.way("not who was meant");
                    seen.fault("W11");
                }
            }
        }
    }
}

fn overlap(ours: Versions, min: u16, max: u16) -> bool {
    ours.min.max(min) <= ours.max.min(max)
}

fn assert_printable(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?} goes to a terminal");
}

fn hello(choices: &mut Choices<'_>) -> Hello {
    let name = |choices: &mut Choices<'_>| -> Option<NodeId> {
        let name = choices.pick(&["", "N1", "N2", "abcdefghijklmnop"]);
        name.parse().ok()
    };
    let cluster: ClusterName = choices.pick(&["local", "test"]).parse().expect("good names");
    let role = *choices.pick(&[Role::Client, Role::Coordinator, Role::Node, Role::Watcher]);
    let versions = *choices.pick(&[
        VERSIONS,
        VERSIONS,
        Versions { min: 1, max: 3 },
        Versions { min: 0, max: 1 },
        Versions { min: 2, max: 2 },
        Versions { min: 1, max: 0 },
        Versions {
            min: 0,
            max: u16::MAX,
        },
    ]);
    Hello {
        versions,
        cluster,
        role,
        store: StoreId(choices.number()),
        name: name(choices),
        expects: name(choices),
    }
}

/// A control frame as some version of this program would send it, perhaps damaged.
fn built(choices: &mut Choices<'_>) -> Vec<u8> {
    let control = match choices.below(4) {
        0 | 1 => Control::Hello(hello(choices)),
        2 => Control::Ping,
        _ => {
            let len = choices.below(64);
            let text = String::from_utf8_lossy(choices.slice(len)).repeat(1 + choices.below(40));
            Control::Refused(Refused(text))
        }
    };
    let mut body = control.encode();
    // A later version may say more, and a bad line may change what is said.
    body.extend_from_slice(choices.slice(8));
    if !choices.is_over() {
        let bit = choices.below(body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
    }
    body
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let with = |ours: &[u8], theirs: &[u8]| [ours, theirs].concat();
    // Cluster, role, versions, store, name, expects.
    let node: &[u8] = &[0, 2, 0, 1, 1, 0];
    let coordinator: &[u8] = &[0, 1, 0, 2, 0, 0];
    let meaning_n1: &[u8] = &[0, 1, 0, 2, 0, 1];
    let meaning_n2: &[u8] = &[0, 1, 0, 2, 0, 2];
    let client: &[u8] = &[0, 0, 0, 0, 0, 0];
    let (raw, as_hello): (&[u8], &[u8]) = (&[1], &[0]);
    let built = |ours: &[u8], theirs: &[u8]| [&[0], ours, as_hello, theirs].concat();
    vec![
        ("node-hears-coordinator", built(node, meaning_n1)),
        ("node-hears-wrong-coordinator", built(node, meaning_n2)),
        ("coordinator-hears-client", built(coordinator, client)),
        ("client-hears-node", built(client, node)),
        ("other-cluster", built(node, &[1, 1, 0, 2, 0, 1])),
        ("newer-and-older", built(node, &[0, 1, 2, 2, 0, 1])),
        ("only-newer", built(node, &[0, 1, 4, 2, 0, 1, 1, 2, 3, 4])),
        ("versions-backwards", built(node, &[0, 1, 5, 2, 0, 1])),
        ("every-version", built(&[0, 2, 6, 1, 1, 0], &[0, 1, 6, 2, 0, 1])),
        (
            "flipped",
            built(node, &[0, 1, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0]),
        ),
        ("ping", [&[0], node, &[2]].concat()),
        (
            "refusal",
            [&[0], node, &[3, 5], &b"no\n\x1b[1m"[..], &[39]].concat(),
        ),
        ("raw-http", with(&[raw, node].concat(), b"GET / HTTP/1.1")),
        (
            "raw-hello",
            with(
                &[raw, node].concat(),
                b"\xff2PNC\x00\x01\x00\x01\x00\x05local\x01\xfb\x3c\x9f\x00\x01\x02N1",
            ),
        ),
        ("raw-unknown-kind", with(&[raw, node].concat(), b"\xff2PNC\x09")),
        (
            "raw-number-longer-than-needed",
            with(
                &[raw, node].concat(),
                b"\xff2PNC\x00\x01\x00\x01\x00\x05local\x01\xfb\x3c\x00\x00\x01\x02N1",
            ),
        ),
    ]
}
