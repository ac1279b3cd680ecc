//! Who is there: the hello that opens every connection, and the other frames that belong to the connection itself.
//!
//! Both sides send a [`Hello`] at once, check the other's, and only then talk. Whoever cannot accept the other says
//! why in a [`Refused`], so that the far side can print it, and closes. A [`Control::Ping`] keeps a silent link
//! alive. All other frames are messages, of which this file knows nothing.
//!
//! ```text
//! ┌──────┬────────┬──────┬───────────────────────────────────────────────────────────────────┐
//! │ 0xff │ "2PNC" │ kind │ hello: lowest version u16 LE, highest version u16 LE, bincode      │
//! │      │        │ u8   │ refused: UTF-8 text                              ping: nothing    │
//! └──────┴────────┴──────┴───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! No message starts with 0xff: bincode begins neither an enum nor an integer of more than 8 bits with it. So the two
//! cannot be confused. The bytes up to the versions stay as they are for ever; what follows them is decoded only
//! when a common version exists.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{ClusterName, NodeId, StoreId};

/// The wire versions this program speaks.
pub const VERSIONS: Versions = Versions { min: 1, max: 1 };

/// Longest reason in a [`Refused`], in bytes; the rest is cut.
pub const REASON_LEN_MAX: usize = 1024;

const MARK: u8 = 0xff;
const MAGIC: [u8; 4] = *b"2PNC";
const KIND_HELLO: u8 = 0;
const KIND_REFUSED: u8 = 1;
const KIND_PING: u8 = 2;

/// A range of wire versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl Versions {
    /// The newest version that both ranges contain.
    pub fn common(self, other: Versions) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "wire version {}", self.min)
        } else {
            write!(f, "wire versions {} to {}", self.min, self.max)
        }
    }
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Asks for transfers.
    Client,
    /// Decides.
    Coordinator,
    /// Keeps accounts.
    Node,
    /// Looks on; see [`watch`](crate::message::watch).
    Watcher,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Client => "client",
            Role::Coordinator => "coordinator",
            Role::Node => "node",
            Role::Watcher => "watcher",
        })
    }
}

/// One process introducing itself, and whom it means to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The wire versions it speaks.
    pub versions: Versions,
    /// Its cluster; both sides must name the same.
    pub cluster: ClusterName,
    /// What it is.
    pub role: Role,
    /// Its store, 0 for clients and watchers.
    pub store: StoreId,
    /// Its name, if it is a node.
    pub name: Option<NodeId>,
    /// The node it means to reach; `None` if any process of an accepted role will do.
    pub expects: Option<NodeId>,
}

/// The part of a hello behind its versions.
#[derive(Serialize, Deserialize)]
struct Introduction {
    cluster: ClusterName,
    role: Role,
    store: StoreId,
    name: Option<NodeId>,
    expects: Option<NodeId>,
}

impl Hello {
    /// A client of `cluster`.
    pub fn client(cluster: ClusterName) -> Hello {
        Hello {
            versions: VERSIONS,
            cluster,
            role: Role::Client,
            store: StoreId(0),
            name: None,
            expects: None,
        }
    }

    /// Somebody who looks on in `cluster`.
    pub fn watcher(cluster: ClusterName) -> Hello {
        Hello {
            role: Role::Watcher,
            ..Hello::client(cluster)
        }
    }

    /// The coordinator whose log is `store`.
    pub fn coordinator(cluster: ClusterName, store: StoreId) -> Hello {
        Hello {
            versions: VERSIONS,
            cluster,
            role: Role::Coordinator,
            store,
            name: None,
            expects: None,
        }
    }

    /// The node `name` whose store is `store`.
    pub fn node(cluster: ClusterName, store: StoreId, name: NodeId) -> Hello {
        Hello {
            versions: VERSIONS,
            cluster,
            role: Role::Node,
            store,
            name: Some(name),
            expects: None,
        }
    }

    /// The same, said to somebody who should be the node `expects`.
    #[must_use]
    pub fn expecting(mut self, expects: NodeId) -> Hello {
        self.expects = Some(expects);
        self
    }

    /// Whether a process that says `self` may talk with one that says `theirs` and whose role should be one of
    /// `accepts`. Returns the wire version to use.
    ///
    /// # Errors
    /// What to tell the other side.
    pub fn check(&self, theirs: &Hello, accepts: &[Role]) -> Result<u16, Refused> {
        let version = self.common_version(theirs.versions)?;
        if self.cluster != theirs.cluster {
            return Err(Refused(format!(
                "{self} belongs to cluster {}, not to {}: check --cluster and the address",
                self.cluster, theirs.cluster
            )));
        }
        if !accepts.contains(&theirs.role) {
            return Err(Refused(match (self.role, theirs.role) {
                (Role::Node, Role::Client) => {
                    format!("this is {self}: clients talk to the coordinator")
                }
                (ours, _) => format!("this is {self}: a {} does not talk to a {ours} here", theirs.role),
            }));
        }
        if theirs.expects.is_some_and(|expected| self.name != Some(expected)) {
            let expected = theirs.expects.expect("just looked");
            return Err(Refused(format!(
                "this is {self}, not node {expected}: check the addresses in --nodes"
            )));
        }
        if self.expects.is_some_and(|expected| theirs.name != Some(expected)) {
            let expected = self.expects.expect("just looked");
            return Err(Refused(format!(
                "{self} wants to talk to node {expected}, but this is {theirs}: check the addresses in --nodes"
            )));
        }
        Ok(version)
    }

    fn common_version(&self, theirs: Versions) -> Result<u16, Refused> {
        self.versions.common(theirs).ok_or_else(|| {
            Refused(format!(
                "no common wire version: {self} speaks {}, the other side {theirs}; upgrade the older one",
                self.versions
            ))
        })
    }
}

/// Names the process: `node N1`, `coordinator 9f3c`, `client`.
impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.role, self.name) {
            (Role::Node, Some(name)) => write!(f, "node {name}"),
            (Role::Node, None) => f.write_str("a node without a name"),
            (Role::Coordinator, _) => write!(f, "coordinator {}", self.store),
            (Role::Client, _) => f.write_str("a client"),
            (Role::Watcher, _) => f.write_str("a watcher"),
        }
    }
}

/// Why one side will not talk to the other. The text is meant for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Refused {}

/// A frame that belongs to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The first frame each way.
    Hello(Hello),
    /// The last frame: the sender closes.
    Refused(Refused),
    /// Nothing to say, still here. Never answered.
    Ping,
}

impl Control {
    /// The frame body that says this.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::from([MARK]);
        body.extend_from_slice(&MAGIC);
        match self {
            Control::Hello(hello) => {
                body.push(KIND_HELLO);
                body.extend_from_slice(&hello.versions.min.to_le_bytes());
                body.extend_from_slice(&hello.versions.max.to_le_bytes());
                body.extend_from_slice(&codec::encode(&Introduction {
                    cluster: hello.cluster.clone(),
                    role: hello.role,
                    store: hello.store,
                    name: hello.name,
                    expects: hello.expects,
                }));
            }
            Control::Refused(Refused(reason)) => {
                body.push(KIND_REFUSED);
                body.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(REASON_LEN_MAX)]);
            }
            Control::Ping => body.push(KIND_PING),
        }
        body
    }

    /// Whether `body` is meant as a control frame; all others are messages.
    pub fn is_control(body: &[u8]) -> bool {
        body.first() == Some(&MARK)
    }

    /// Decodes a control frame on behalf of a process that says `ours`, whose versions decide how the rest of a
    /// hello is to be read.
    ///
    /// # Errors
    /// What to tell the other side: it isn't a Twopence process, speaks no common version, or is broken.
    pub fn decode(body: &[u8], ours: &Hello) -> Result<Control, Refused> {
        let stranger =
            || Refused("this is a Twopence port, and the peer does not speak its protocol".to_owned());
        let bad = |text: &str| Refused(format!("bad control frame: {text}"));
        let rest = body.strip_prefix(&[MARK]).ok_or_else(stranger)?;
        let rest = rest.strip_prefix(&MAGIC).ok_or_else(stranger)?;
        match rest.split_first() {
            Some((&KIND_HELLO, rest)) => {
                let Some((&[min_low, min_high, max_low, max_high], rest)) = rest.split_first_chunk() else {
                    return Err(bad("a hello without versions"));
                };
                let versions = Versions {
                    min: u16::from_le_bytes([min_low, min_high]),
                    max: u16::from_le_bytes([max_low, max_high]),
                };
                ours.common_version(versions)?;
                let who: Introduction = codec::decode(rest).map_err(|error| bad(&format!("{error}")))?;
                Ok(Control::Hello(Hello {
                    versions,
                    cluster: who.cluster,
                    role: who.role,
                    store: who.store,
                    name: who.name,
                    expects: who.expects,
                }))
            }
            Some((&KIND_REFUSED, reason)) => {
                let reason = &reason[..reason.len().min(REASON_LEN_MAX)];
                Ok(Control::Refused(Refused(printable(reason))))
            }
            Some((&KIND_PING, [])) => Ok(Control::Ping),
            Some((&KIND_PING, _)) => Err(bad("a ping with a body")),
            Some((kind, _)) => Err(bad(&format!("unknown kind {kind}"))),
            None => Err(bad("no kind")),
        }
    }
}

/// What a stranger wrote, safe to print in a log.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    fn local() -> ClusterName {
        "local".parse().unwrap()
    }

    fn node(name: &str) -> Hello {
        Hello::node(local(), StoreId(0x11), name.parse().unwrap())
    }

    fn coordinator() -> Hello {
        Hello::coordinator(local(), StoreId(0x9f3c))
    }

    fn refusal(ours: &Hello, theirs: &Hello, accepts: &[Role]) -> String {
        ours.check(theirs, accepts).unwrap_err().to_string()
    }

    #[test]
    fn the_bytes_of_every_control_frame_are_pinned() {
        let hello = coordinator().expecting("N1".parse().unwrap());
        let golden = b"\xff2PNC\x00\x01\x00\x01\x00\x05local\x01\xfb\x3c\x9f\x00\x01\x02N1";
        assert_eq!(Control::Hello(hello).encode(), golden);
        assert_eq!(
            Control::Hello(node("N1")).encode(),
            b"\xff2PNC\x00\x01\x00\x01\x00\x05local\x02\x11\x01\x02N1\x00"
        );
        assert_eq!(
            Control::Hello(Hello::client(local())).encode(),
            b"\xff2PNC\x00\x01\x00\x01\x00\x05local\x00\x00\x00\x00"
        );
        assert_eq!(
            Control::Hello(Hello::watcher(local())).encode(),
            b"\xff2PNC\x00\x01\x00\x01\x00\x05local\x03\x00\x00\x00"
        );
        assert_eq!(
            Control::Refused(Refused("no".to_owned())).encode(),
            b"\xff2PNC\x01no"
        );
        assert_eq!(Control::Ping.encode(), b"\xff2PNC\x02");
    }

    #[test]
    fn every_control_frame_reads_back_and_no_cut_one_does() {
        for control in [
            Control::Hello(coordinator().expecting("N1".parse().unwrap())),
            Control::Hello(node("N-2")),
            Control::Hello(Hello::client(local())),
            Control::Refused(Refused("busy".to_owned())),
            Control::Ping,
        ] {
            let body = control.encode();
            assert!(Control::is_control(&body));
            assert_eq!(Control::decode(&body, &node("N1")), Ok(control.clone()));
            if matches!(control, Control::Hello(_)) {
                for end in 0..body.len() {
                    assert!(Control::decode(&body[..end], &node("N1")).is_err(), "{end} bytes");
                }
                let longer = [&body[..], b"x"].concat();
                assert!(Control::decode(&longer, &node("N1")).is_err());
            }
        }
    }

    #[test]
    fn strangers_and_unknown_kinds_are_refused() {
        for body in [
            &b"GET / HTTP/1.1"[..],
            b"\xff2PND\x00",
            b"\xff2PNC",
            b"\xff2PNC\x09",
            b"\xff2PNC\x02x",
            b"",
        ] {
            assert!(Control::decode(body, &coordinator()).is_err(), "{body:?}");
        }
        assert!(!Control::is_control(b"GET"));
    }

    #[test]
    fn versions_meet_at_the_newest_common_one_or_both_are_named() {
        let range = |min, max| Versions { min, max };
        assert_eq!(range(1, 3).common(range(2, 9)), Some(3));
        assert_eq!(range(1, 1).common(range(1, 1)), Some(1));
        assert_eq!(range(1, 1).common(range(2, 3)), None);
        let newer = Hello {
            versions: range(2, 3),
            ..node("N1")
        };
        // The rest of a hello from the future may be anything.
        let mut body = Control::Hello(newer).encode();
        body.extend_from_slice(b"from the future");
        faults::fired("P16");
        assert_eq!(
            Control::decode(&body, &coordinator()).unwrap_err().to_string(),
            "no common wire version: coordinator 9f3c speaks wire version 1, the other side wire versions 2 to 3; \
             upgrade the older one"
        );
    }

    #[test]
    fn the_right_processes_find_each_other() {
        let n1 = node("N1");
        let meant = coordinator().expecting("N1".parse().unwrap());
        assert_eq!(n1.check(&meant, &[Role::Coordinator]), Ok(1));
        assert_eq!(meant.check(&n1, &[Role::Node]), Ok(1));
        let client = Hello::client(local());
        assert_eq!(coordinator().check(&client, &[Role::Client]), Ok(1));
        assert_eq!(client.check(&coordinator(), &[Role::Coordinator]), Ok(1));
    }

    #[test]
    fn each_mismatch_says_what_is_wrong() {
        let n1 = node("N1");
        let client = Hello::client(local());
        assert_eq!(
            refusal(&n1, &client, &[Role::Coordinator]),
            "this is node N1: clients talk to the coordinator"
        );
        let other = Hello::coordinator("test".parse().unwrap(), StoreId(1));
        assert_eq!(
            refusal(&n1, &other, &[Role::Coordinator]),
            "node N1 belongs to cluster local, not to test: check --cluster and the address"
        );
        let meant = coordinator().expecting("N2".parse().unwrap());
        assert_eq!(
            refusal(&n1, &meant, &[Role::Coordinator]),
            "this is node N1, not node N2: check the addresses in --nodes"
        );
        assert_eq!(
            refusal(&meant, &n1, &[Role::Node]),
            "coordinator 9f3c wants to talk to node N2, but this is node N1: check the addresses in --nodes"
        );
        assert_eq!(
            refusal(&coordinator(), &n1, &[Role::Client]),
            "this is coordinator 9f3c: a node does not talk to a coordinator here"
        );
    }

    #[test]
    fn a_reason_is_cut_to_its_limit_and_harmless_to_print() {
        let long = Refused("é".repeat(REASON_LEN_MAX));
        let Ok(Control::Refused(read)) = Control::decode(&Control::Refused(long).encode(), &node("N1"))
        else {
            panic!("a refusal reads back");
        };
        assert_eq!(read.0, "é".repeat(REASON_LEN_MAX / 2));
        let mut nasty = Control::Refused(Refused(String::new())).encode();
        nasty.extend(vec![b'\n', 0x1b, 0xf0, b'a']);
        let Ok(Control::Refused(read)) = Control::decode(&nasty, &node("N1")) else {
            panic!("a refusal reads back");
        };
        assert_eq!(read.0, "  \u{fffd}a");
    }
}
