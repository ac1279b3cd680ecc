//! Names of things: nodes, accounts, coordinators, stores, transactions, requests.
//!
//! Every name is parsed once, at the edge, and trusted afterwards: a value of one of these types is well formed by
//! construction, also when it arrives through serde.

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_128;

use crate::index::{self, Key};
use crate::text::Text;

/// Why a name was refused. The text says what a good one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    kind: &'static str,
    found: String,
    rule: &'static str,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}: {}", self.found, self.kind, self.rule)
    }
}

impl core::error::Error for BadName {}

fn bad_name(kind: &'static str, found: &str, rule: &'static str) -> BadName {
    BadName {
        kind,
        found: found.chars().take(80).collect(),
        rule,
    }
}

/// Serde for a type whose `as_str` and `FromStr` are inverse: a string in every format.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::id::deserialize_text(deserializer)
            }
        }
    };
}

/// Parses a string out of any serde format without allocating where the format can lend it.
pub(crate) fn deserialize_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(core::marker::PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a well-formed name")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(core::marker::PhantomData))
}

// ---------------------------------------------------------------------------------------------- nodes

/// Longest node id, in bytes.
pub const NODE_ID_LEN_MAX: usize = 16;

/// A node's name: `[A-Za-z0-9-]{1,16}`. Small enough to copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; NODE_ID_LEN_MAX]);

impl NodeId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("a node id is ASCII by construction")
    }

    /// The same as bytes, which nobody has to look at once more.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|&byte| byte == 0);
        &self.0[..len.unwrap_or(NODE_ID_LEN_MAX)]
    }

    /// The node of this name, if it is one.
    pub(crate) fn of_bytes(name: &[u8]) -> Option<NodeId> {
        let good = !name.is_empty()
            && name
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let mut bytes = [0; NODE_ID_LEN_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        good.then_some(NodeId(bytes))
    }
}

impl FromStr for NodeId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<NodeId, BadName> {
        NodeId::of_bytes(text.as_bytes()).ok_or_else(|| {
            bad_name(
                "a node id",
                text,
                "use 1 to 16 letters, digits or '-', such as N1",
            )
        })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

serde_as_text!(NodeId);

// ------------------------------------------------------------------------------------------- accounts

/// Longest account id, in bytes.
pub const ACCOUNT_ID_LEN_MAX: usize = 64;

/// An account's name within its node: `[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}`, or the one account `@world` that balances
/// deposits. Users can never name `@world`: [`AccountId::from_str`] refuses it, only records and messages carry it. It
/// sorts before all others, which sort by their bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountId(CompactString);

const WORLD: &str = "@world";

impl AccountId {
    /// The account that stands for the world outside: the only one whose balance may be negative.
    pub fn world() -> AccountId {
        AccountId(CompactString::const_new(WORLD))
    }

    /// Whether this is [`AccountId::world`].
    pub fn is_world(&self) -> bool {
        self.0 == WORLD
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses what our own records hold, where `@world` may stand.
    pub(crate) fn parse_ours(text: &str) -> Result<AccountId, BadName> {
        text.parse().map(|OurAccount(account)| account)
    }

    /// The account that our own messages name so, if it is one.
    pub(crate) fn of_our_bytes(name: &[u8]) -> Option<AccountId> {
        let good = is_account_name(name) || name == WORLD.as_bytes();
        good.then(|| CompactString::from_utf8(name).ok().map(AccountId))?
    }
}

fn is_account_name(name: &[u8]) -> bool {
    name.len() <= ACCOUNT_ID_LEN_MAX
        && name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b':' | b'-'))
}

impl Ord for AccountId {
    /// By bytes alone `@` would stand between digits and letters.
    fn cmp(&self, other: &AccountId) -> Ordering {
        let users = (!self.is_world()).cmp(&!other.is_world());
        users.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for AccountId {
    fn partial_cmp(&self, other: &AccountId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for AccountId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<AccountId, BadName> {
        if !is_account_name(text.as_bytes()) {
            return Err(bad_name(
                "an account id",
                text,
                "use 1 to 64 letters, digits, '_', '.', ':' or '-', starting with a letter or digit",
            ));
        }
        Ok(AccountId(CompactString::from(text)))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An account as our own records and messages may name it: `@world` too, which no user may type.
struct OurAccount(AccountId);

impl FromStr for OurAccount {
    type Err = BadName;

    fn from_str(text: &str) -> Result<OurAccount, BadName> {
        if text == WORLD {
            Ok(OurAccount(AccountId::world()))
        } else {
            text.parse().map(OurAccount)
        }
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AccountId, D::Error> {
        deserialize_text(deserializer).map(|OurAccount(account)| account)
    }
}

/// An account and the node it lives on, written `N1/A`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The node that keeps the account.
    pub node: NodeId,
    /// The account on that node.
    pub account: AccountId,
}

impl Place {
    /// Parses what our own records hold, where `@world` may stand.
    pub(crate) fn parse_ours(text: &str) -> Result<Place, BadName> {
        let (node, account) = text
            .split_once('/')
            .ok_or_else(|| bad_name("a place", text, "write node/account"))?;
        Ok(Place {
            account: AccountId::parse_ours(account)?,
            node: node.parse()?,
        })
    }
}

impl FromStr for Place {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Place, BadName> {
        let (node, account) = text.split_once('/').ok_or_else(|| {
            bad_name(
                "an account with its node",
                text,
                "write node/account, such as N1/A",
            )
        })?;
        Ok(Place {
            node: node.parse()?,
            account: account.parse()?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.account)
    }
}

// ------------------------------------------------------------------------- coordinators and stores

/// Identity of one store: 64 random bits minted when the store is made. A node with an empty disk is a new store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u64);

/// Identity of a coordinator: the [`StoreId`] of its log (R11). A new log is a new coordinator.
pub type CoordinatorId = StoreId;

impl StoreId {
    pub(crate) fn text(self) -> Text<16> {
        let mut text = Text::new();
        text.push_hex(self.0);
        text
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StoreId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<StoreId, BadName> {
        match u64::from_str_radix(text, 16) {
            Ok(id) if text.len() <= 16 && is_plain_hex(text) => Ok(StoreId(id)),
            Ok(_) | Err(_) => Err(bad_name("a store id", text, "use up to 16 hexadecimal digits")),
        }
    }
}

fn is_plain_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl Serialize for StoreId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.text().as_str())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for StoreId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoreId, D::Error> {
        if deserializer.is_human_readable() {
            deserialize_text(deserializer)
        } else {
            u64::deserialize(deserializer).map(StoreId)
        }
    }
}

/// What one process calls itself while it lives: random at each start. Two processes that claim the same epoch of
/// the same coordinator differ here.
pub type Incarnation = u64;

/// A coordinator's durable start counter, first start 1.
pub type Epoch = u32;

// ----------------------------------------------------------------------------------------- transactions

/// A transaction's name: whose, from which epoch, and its place in that epoch (R11). Never reused.
/// Written `coordinator-epoch-sequence`, such as `9f3c2a71b0d4e655-1-7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnId {
    /// The coordinator that began it.
    pub coordinator: CoordinatorId,
    /// Where it stands among that coordinator's transactions.
    pub at: TxnPoint,
}

/// The transactions of one epoch are neighbours.
impl Key for TxnId {
    fn bucket(&self) -> u32 {
        let TxnPoint { epoch, sequence } = self.at;
        index::hash(&(self.coordinator, epoch)).wrapping_add(index::low(sequence))
    }
}

/// A point in one coordinator's sequence of transactions; low-water marks are such points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TxnPoint {
    /// The coordinator's epoch.
    pub epoch: Epoch,
    /// The number within the epoch, from 1.
    pub sequence: u64,
}

impl TxnId {
    /// The transaction `sequence` of `epoch` of `coordinator`.
    pub fn new(coordinator: CoordinatorId, epoch: Epoch, sequence: u64) -> TxnId {
        TxnId {
            coordinator,
            at: TxnPoint { epoch, sequence },
        }
    }
}

impl TxnId {
    pub(crate) fn text(self) -> Text<48> {
        let mut text = Text::new();
        text.push_hex(self.coordinator.0);
        text.push("-");
        text.push_decimal(self.at.epoch.into());
        text.push("-");
        text.push_decimal(self.at.sequence);
        text
    }
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TxnId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<TxnId, BadName> {
        let parse = || {
            let mut parts = text.split('-');
            let coordinator = parts.next()?.parse().ok()?;
            let epoch = plain_number(parts.next()?)?;
            let sequence = plain_number(parts.next()?)?;
            parts
                .next()
                .is_none()
                .then_some(TxnId::new(coordinator, epoch, sequence))
        };
        parse().ok_or_else(|| {
            bad_name(
                "a transaction id",
                text,
                "write coordinator-epoch-sequence, such as 9f3c-1-7",
            )
        })
    }
}

/// Parses decimal digits and nothing else; the standard parser takes a plus sign, too.
pub fn plain_number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

impl Serialize for TxnId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.text().as_str())
        } else {
            (self.coordinator, self.at).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for TxnId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TxnId, D::Error> {
        if deserializer.is_human_readable() {
            deserialize_text(deserializer)
        } else {
            <(CoordinatorId, TxnPoint)>::deserialize(deserializer)
                .map(|(coordinator, at)| TxnId { coordinator, at })
        }
    }
}

// --------------------------------------------------------------------------------------------- requests

/// A request's name, made by the client: 128 bits, 32 hexadecimal digits. Whatever is sent again under the same id
/// happens at most once.
///
/// An id that is a UUID of version 7 (RFC 9562) tells when it was made. That is the request's age, by which `--locking wait`
/// lets transactions wait for one another; see [`RequestId::again`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u128);

/// When a request was first made, in milliseconds since 1970 by the clock of the client that made it. Only an order: what
/// a wrong clock costs is fairness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Birth(pub u64);

impl Birth {
    /// Of a request that does not tell: it is younger than all that do.
    pub const UNKNOWN: Birth = Birth(u64::MAX);
}

impl RequestId {
    /// Bits of a UUID in front of which the time stands.
    const BEHIND_TIME: u32 = 80;
    /// Version 7 and the variant of RFC 9562, in their places.
    const SHAPE: u128 = 0x7 << 76 | 0b10 << 62;
    const SHAPE_MASK: u128 = 0xf << 76 | 0b11 << 62;

    /// An id that tells when it was made: a UUID of version 7, of whose other bits `random` gives as many as there are.
    pub fn born(birth: Birth, random: u128) -> RequestId {
        let time = u128::from(birth.0) << RequestId::BEHIND_TIME;
        let rest = random & ((1 << RequestId::BEHIND_TIME) - 1) & !RequestId::SHAPE_MASK;
        RequestId(time | RequestId::SHAPE | rest)
    }

    /// When it was made, as far as it tells.
    pub fn birth(self) -> Birth {
        let tells = self.0 & RequestId::SHAPE_MASK == RequestId::SHAPE;
        let time = u64::try_from(self.0 >> RequestId::BEHIND_TIME).expect("48 bits are left");
        if tells { Birth(time) } else { Birth::UNKNOWN }
    }

    /// Another id of the same age: for a new attempt at what has aborted under this one. An attempt that is as old as the
    /// first comes to be the oldest of all, in the end, and then everybody makes room for it.
    pub fn again(self, random: u128) -> RequestId {
        match self.birth() {
            Birth::UNKNOWN => RequestId(random),
            birth => RequestId::born(birth, random),
        }
    }

    /// The id of one line of a named batch: XXH3 with 128 bits over the batch's name, a line break, and the line's
    /// number in decimal digits. It never changes, so that a batch can be sent again; and it tells no age,
    /// but for one in 64 that seems to, and a wrong one.
    pub fn of_line(batch: &str, line: u64) -> RequestId {
        RequestId(xxh3_128(alloc::format!("{batch}\n{line}").as_bytes()))
    }

    /// The id of a key that a program chose as it liked, such as an order number. A UUID or 32 hexadecimal digits stand
    /// for themselves; XXH3 with 128 bits makes an id of anything else, also of shorter digits: `7` and `07` are two keys.
    pub fn of_key(key: &str) -> RequestId {
        match key.parse() {
            Ok(id) if key.len() >= 32 => id,
            Ok(_) | Err(_) => RequestId(xxh3_128(alloc::format!("key\n{key}").as_bytes())),
        }
    }

    /// Its bits, as two numbers: the higher ones first.
    pub(crate) fn halves(self) -> [u64; 2] {
        let low = self.0 & u128::from(u64::MAX);
        [self.0 >> 64, low].map(|half| u64::try_from(half).expect("half of the bits"))
    }

    pub(crate) fn text(self) -> Text<32> {
        let mut text = Text::new();
        self.halves().into_iter().for_each(|half| text.push_all_hex(half));
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = BadName;

    /// Accepts 1 to 32 hexadecimal digits, of either case, and a UUID with its dashes.
    fn from_str(text: &str) -> Result<RequestId, BadName> {
        if text.len() == 32
            && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            && let Ok(id) = u128::from_str_radix(text, 16)
        {
            return Ok(RequestId(id)); // As we write it ourselves.
        }
        let digits: String = text.split('-').collect();
        let uuid = digits.len() == 32 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let good = (uuid || digits.len() == text.len())
            && (1..=32).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(&digits, 16) {
            Ok(id) if good => Ok(RequestId(id)),
            Ok(_) | Err(_) => Err(bad_name(
                "a request id",
                text,
                "use 1 to 32 hexadecimal digits (a UUID is fine)",
            )),
        }
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.text().as_str())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RequestId, D::Error> {
        if deserializer.is_human_readable() {
            deserialize_text(deserializer)
        } else {
            u128::deserialize(deserializer).map(RequestId)
        }
    }
}

/// The cluster's name, checked in every hello: `[A-Za-z0-9_.-]{1,32}`, by default `local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(CompactString);

impl ClusterName {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<ClusterName, BadName> {
        let good = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if good {
            Ok(ClusterName(CompactString::from(text)))
        } else {
            Err(bad_name(
                "a cluster name",
                text,
                "use 1 to 32 letters, digits, '_', '.' or '-'",
            ))
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

serde_as_text!(ClusterName);

/// Serde for 64 random bits: hexadecimal where people read, since many readers of JSON round large numbers.
pub(crate) mod hex {
    use super::{Deserialize, Deserializer, Serialize, Serializer, StoreId};

    pub(crate) fn serialize<S: Serializer>(bits: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        StoreId(*bits).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        StoreId::deserialize(deserializer).map(|StoreId(bits)| bits)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn keys_that_differ_stand_for_different_requests() {
        let uuid = "0197c3a0-8a5e-7e0f-a1b2-c3d4e5f60718";
        let plain = uuid.replace('-', "");
        assert_eq!(RequestId::of_key(uuid), uuid.parse().unwrap());
        assert_eq!(RequestId::of_key(&plain), uuid.parse().unwrap());
        let keys = ["7", "07", "a", "A", "order 7", "order 7 ", &plain[1..]];
        let ids: alloc::collections::BTreeSet<_> = keys.iter().map(|key| RequestId::of_key(key)).collect();
        assert_eq!(ids.len(), keys.len());
        // Programs send a key again after they were updated.
        assert_eq!(
            RequestId::of_key("order 7").to_string(),
            "c4a6ec05a4c9ace4fe4d0ba6405fb73a"
        );
    }

    #[test]
    fn names_outside_the_whitelist_are_refused() {
        for bad in [
            "",
            "N_1",
            "N1/",
            "../N1",
            "N\u{0430}1",
            "N1\n",
            "abcdefghijklmnopq",
            "N 1",
            "N\0",
        ] {
            faults::fired("I10");
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?} must not be a node id");
        }
        for bad in [
            "",
            "@world",
            "_meta",
            ".a",
            "a/b",
            "a\n",
            "\u{0430}",
            "a\0",
            &"a".repeat(65),
        ] {
            faults::fired("I10");
            assert!(
                bad.parse::<AccountId>().is_err(),
                "{bad:?} must not be an account id"
            );
        }
        assert_eq!("a:b.c_d-E9".parse::<AccountId>().unwrap().as_str(), "a:b.c_d-E9");
        assert!("a".repeat(64).parse::<AccountId>().is_ok());
    }

    #[test]
    fn a_request_keeps_its_age_however_often_it_is_tried() {
        // The example of RFC 9562.
        let id: RequestId = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F".parse().unwrap();
        assert_eq!(id.birth(), Birth(0x017f_22e2_79b0));
        assert_eq!(RequestId::born(id.birth(), id.0), id);
        for random in [0, 1, u128::MAX] {
            let again = id.again(random);
            assert_ne!(again, id);
            assert_eq!(again.birth(), id.birth());
        }
        // Version 4, and a number.
        for plain in ["919108f7-52d1-4320-9bac-f847db4148a8", "77"] {
            let plain: RequestId = plain.parse().unwrap();
            assert_eq!(plain.birth(), Birth::UNKNOWN);
            assert_eq!(plain.again(78), RequestId(78));
        }
        let latest = RequestId::born(Birth(u64::MAX), 5);
        assert!(
            latest.birth() < Birth::UNKNOWN,
            "whoever tells is older than who does not"
        );
    }

    #[test]
    fn every_id_reads_back_from_its_own_text() {
        let txn = TxnId::new(StoreId(0x9f3c), 4, 17);
        assert_eq!(txn.to_string(), "9f3c-4-17");
        assert_eq!(txn.to_string().parse(), Ok(txn));
        assert_eq!(
            RequestId::of_line("may", 7).to_string(),
            "613453e5679780ba368ad27dab1b52e9",
            "lines keep their ids for ever"
        );
        assert_ne!(RequestId::of_line("may", 17), RequestId::of_line("may1", 7));
        let request = RequestId(0xabc);
        assert_eq!(request.to_string().parse(), Ok(request));
        assert_eq!(
            "0190163D-8694-739B-AEA5-966C26F8AD91".parse(),
            Ok(RequestId(0x0190_163d_8694_739b_aea5_966c_26f8_ad91))
        );
        assert_eq!("N1/a:b".parse::<Place>().unwrap().to_string(), "N1/a:b");
        for bad in [
            "",
            "1-2",
            "1-2-3-4",
            "x-1-1",
            "1-+1-1",
            "1-1-+1",
            "1--1",
            "1-4294967296-1",
        ] {
            assert!(
                bad.parse::<TxnId>().is_err(),
                "{bad:?} must not be a transaction id"
            );
        }
        for bad in ["", "+1", "9F3C", "00000000000000001", "1\n"] {
            assert!(bad.parse::<StoreId>().is_err(), "{bad:?} must not be a store id");
        }
        for bad in [
            "",
            "-",
            "-1",
            "1-2",
            "0190163d-8694-739b-aea5966c26f8ad91",
            "0190163d8694739baea5966c26f8ad91-",
            "0190163d8694739baea5966c26f8ad910",
            "+190163d",
        ] {
            assert!(
                bad.parse::<RequestId>().is_err(),
                "{bad:?} must not be a request id"
            );
        }
    }
}
