//! What a request asks for: legs `(node, account, delta)`, sorted, merged and balanced.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::{Array, SmallVec};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::id::{ACCOUNT_ID_LEN_MAX, AccountId, NODE_ID_LEN_MAX, NodeId, Place, deserialize_text, hex};
use crate::money::{Amount, BadAmount, Delta};
use crate::planted;
use crate::text::Text;

/// Most legs one transaction may have.
pub const LEGS_MAX: usize = 256;

/// The nodes that take part in a transaction. Mostly there are two, which need no memory of their own.
pub type Nodes = SmallVec<[NodeId; 2]>;

/// What one node has to do in a transaction. Mostly it is one thing.
pub type Operations = SmallVec<[Operation; 1]>;

/// Reads a short list element by element. smallvec's own way first reserves room for as many as are announced, and
/// whoever announces them may not mean it.
pub(crate) fn few<'de, D, A>(deserializer: D) -> Result<SmallVec<A>, D::Error>
where
    D: Deserializer<'de>,
    A: Array,
    A::Item: Deserialize<'de>,
{
    struct Few<A>(PhantomData<A>);

    impl<'de, A: Array> Visitor<'de> for Few<A>
    where
        A::Item: Deserialize<'de>,
    {
        type Value = SmallVec<A>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<SmallVec<A>, S::Error> {
            let mut list = SmallVec::new();
            while let Some(element) = elements.next_element()? {
                list.push(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}

/// One account's part of a transaction, written `N1/A:-30`, in logs too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// The account and its node.
    pub place: Place,
    /// What the account gains or loses.
    pub delta: Delta,
}

impl FromStr for Leg {
    type Err = BadOrder;

    /// Splits at the last `:`, since account ids may contain one.
    fn from_str(text: &str) -> Result<Leg, BadOrder> {
        let (place, delta) = text.rsplit_once(':').ok_or(BadOrder::LegSyntax)?;
        let place = place.parse().map_err(|_| BadOrder::LegSyntax)?;
        Ok(Leg {
            place,
            delta: delta.parse()?,
        })
    }
}

impl Serialize for Leg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.text().as_str())
        } else {
            (&self.place, self.delta).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Leg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Leg, D::Error> {
        struct Ours(Leg);

        impl FromStr for Ours {
            type Err = String;

            fn from_str(text: &str) -> Result<Ours, String> {
                Leg::parse_ours(text).map(Ours)
            }
        }

        if deserializer.is_human_readable() {
            deserialize_text(deserializer).map(|Ours(leg)| leg)
        } else {
            <(Place, Delta)>::deserialize(deserializer).map(|(place, delta)| Leg { place, delta })
        }
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// Node, slash, account, colon, sign and 19 digits.
const LEG_LEN_MAX: usize = NODE_ID_LEN_MAX + 1 + ACCOUNT_ID_LEN_MAX + 1 + 1 + 19;

impl Leg {
    /// Parses what our own records hold, where `@world` may stand.
    pub(crate) fn parse_ours(text: &str) -> Result<Leg, String> {
        let (place, delta) = text
            .rsplit_once(':')
            .ok_or_else(|| BadOrder::LegSyntax.to_string())?;
        let place = Place::parse_ours(place).map_err(|bad| bad.to_string())?;
        let delta = delta.parse().map_err(|bad: BadAmount| bad.to_string())?;
        Ok(Leg { place, delta })
    }

    pub(crate) fn text(&self) -> Text<LEG_LEN_MAX> {
        let delta = self.delta.get();
        let mut text = Text::new();
        text.push(self.place.node.as_str());
        text.push("/");
        text.push(self.place.account.as_str());
        text.push(if delta < 0 { ":-" } else { ":+" });
        text.push_decimal(delta.unsigned_abs());
        text
    }
}

/// One account's part of a transaction as its own node sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The account on the node that reads this.
    pub account: AccountId,
    /// What the account gains or loses.
    pub delta: Delta,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.account, self.delta)
    }
}

/// Why a set of legs is no transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadOrder {
    /// A leg that does not read `node/account:delta`.
    LegSyntax,
    /// A bad amount.
    Amount(BadAmount),
    /// Nothing to do.
    NoLegs,
    /// More than [`LEGS_MAX`] legs.
    TooManyLegs,
    /// Debits and credits differ by this much.
    Unbalanced(i128),
    /// The legs on this account cancel out; a transfer from an account to itself is the usual cause.
    SameAccount(Place),
    /// Users cannot move the balancing account's money.
    World,
}

impl From<BadAmount> for BadOrder {
    fn from(bad: BadAmount) -> BadOrder {
        BadOrder::Amount(bad)
    }
}

impl fmt::Display for BadOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadOrder::LegSyntax => f.write_str("a leg is written node/account:delta, such as N1/A:-30"),
            BadOrder::Amount(bad) => bad.fmt(f),
            BadOrder::NoLegs => f.write_str("a transaction needs at least one debit and one credit"),
            BadOrder::TooManyLegs => write!(f, "a transaction has at most {LEGS_MAX} legs"),
            BadOrder::Unbalanced(by) => {
                write!(
                    f,
                    "debits and credits must cancel out, but the legs add up to {by:+}"
                )
            }
            BadOrder::SameAccount(place) => {
                write!(
                    f,
                    "the legs on {place} cancel out: money must move between different accounts"
                )
            }
            BadOrder::World => f.write_str("@world only balances deposits: use deposit to bring money in"),
        }
    }
}

impl core::error::Error for BadOrder {}

/// A balanced set of legs, one per account, sorted by (node, account): what a request does if it commits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Parts")]
pub struct Order {
    legs: Vec<Leg>,
    opens: bool,
    /// Of the legs; asked for again and again.
    #[serde(skip)]
    digest: BodyDigest,
}

/// An order as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    legs: Vec<Leg>,
    opens: bool,
}

impl From<Parts> for Order {
    fn from(Parts { legs, opens }: Parts) -> Order {
        let digest = digest(&legs, opens);
        Order { legs, opens, digest }
    }
}

impl Order {
    /// An order as it was written.
    pub(crate) fn of_parts(legs: Vec<Leg>, opens: bool) -> Order {
        Parts { legs, opens }.into()
    }

    /// Merges legs per account (R19), sorts them and checks that nothing is created or lost.
    ///
    /// # Errors
    /// Says what is wrong with the legs; no order with that fault can be built.
    pub fn new(legs: &[Leg]) -> Result<Order, BadOrder> {
        if legs.iter().any(|leg| leg.place.account.is_world()) {
            return Err(BadOrder::World);
        }
        let (legs, opens) = (merge(legs)?, false);
        Ok(Parts { legs, opens }.into())
    }

    /// A transfer of `amount` between two accounts.
    ///
    /// # Errors
    /// If both are the same account.
    pub fn transfer(from: Place, to: Place, amount: Amount) -> Result<Order, BadOrder> {
        Order::new(&[
            Leg {
                place: from,
                delta: amount.debit(),
            },
            Leg {
                place: to,
                delta: amount.credit(),
            },
        ])
    }

    /// Money coming in from outside: opens the account if need be, balanced against its node's `@world`.
    pub fn deposit(to: Place, amount: Amount) -> Order {
        let world = Place {
            node: to.node,
            account: AccountId::world(),
        };
        let legs = [
            Leg {
                place: world,
                delta: amount.debit(),
            },
            Leg {
                place: to,
                delta: amount.credit(),
            },
        ];
        let legs = merge(&legs).expect("a deposit balances by construction");
        Parts { legs, opens: true }.into()
    }

    /// Checks what came from outside as if it had been built here: a decoded order may be anything.
    ///
    /// # Errors
    /// As [`Order::new`].
    pub fn validated(self) -> Result<Order, BadOrder> {
        if !self.opens {
            return if self.is_canonical() {
                Ok(self)
            } else {
                Order::new(&self.legs)
            };
        }
        match self.legs.as_slice() {
            [world, to]
                if world.place.account.is_world()
                    && !to.place.account.is_world()
                    && world.place.node == to.place.node =>
            {
                let amount = Amount::try_from(to.delta.get())?;
                let order = Order::deposit(to.place.clone(), amount);
                if order == self {
                    Ok(order)
                } else {
                    Err(BadOrder::World)
                }
            }
            _ => Err(BadOrder::World),
        }
    }

    /// Whether [`Order::new`] would give these very legs back.
    fn is_canonical(&self) -> bool {
        let total: i128 = self.legs.iter().map(|leg| i128::from(leg.delta.get())).sum();
        (1..=LEGS_MAX).contains(&self.legs.len())
            && total == 0
            && self.legs.is_sorted_by(|one, next| one.place < next.place)
            && !self.legs.iter().any(|leg| leg.place.account.is_world())
    }

    /// The legs, sorted by (node, account), one per account.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Whether a credited account is opened if it does not exist (deposits only).
    pub fn opens(&self) -> bool {
        self.opens
    }

    /// The nodes that take part, sorted.
    pub fn participants(&self) -> Nodes {
        let mut nodes = Nodes::new();
        for leg in &self.legs {
            if nodes.last() != Some(&leg.place.node) {
                nodes.push(leg.place.node);
            }
        }
        nodes
    }

    /// What one node has to do.
    pub fn operations(&self, node: NodeId) -> Operations {
        let of_node = self.legs.iter().filter(|leg| leg.place.node == node);
        of_node
            .map(|leg| Operation {
                account: leg.place.account.clone(),
                delta: leg.delta,
            })
            .collect()
    }

    /// The node that remembers the request id: that of the smallest (node, account) debit leg.
    pub fn home(&self) -> NodeId {
        let debit = self.legs.iter().find(|leg| leg.delta.is_debit());
        debit.expect("a balanced order has a debit").place.node
    }

    /// What the home compares a repeated request with: XXH3 over the canonical legs.
    pub fn digest(&self) -> BodyDigest {
        self.digest
    }
}

/// Most legs whose bytes are gathered before they are hashed: a stream of small pieces costs more than all of them.
const LEGS_GATHERED_MAX: usize = 4;

fn digest(legs: &[Leg], opens: bool) -> BodyDigest {
    BodyDigest(if legs.len() <= LEGS_GATHERED_MAX {
        let mut bytes = SmallVec::<[u8; 512]>::new();
        body(legs, opens, |piece| bytes.extend_from_slice(piece));
        xxh3_64(&bytes)
    } else {
        let mut hash = Xxh3::new();
        body(legs, opens, |piece| hash.update(piece));
        hash.digest()
    })
}

/// What is hashed, piece by piece.
fn body(legs: &[Leg], opens: bool, mut hash: impl FnMut(&[u8])) {
    hash(&[u8::from(opens)]);
    for leg in legs {
        hash(leg.place.node.as_bytes());
        hash(b"/");
        hash(leg.place.account.as_str().as_bytes());
        hash(b"\0");
        hash(&leg.delta.get().to_le_bytes());
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, leg) in self.legs.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{leg}")?;
        }
        Ok(())
    }
}

/// Digest of a request's canonical legs: tells a repeated request from a reused id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyDigest(#[serde(with = "hex")] pub u64);

fn merge(legs: &[Leg]) -> Result<Vec<Leg>, BadOrder> {
    if legs.is_empty() {
        return Err(BadOrder::NoLegs);
    }
    if legs.len() > LEGS_MAX {
        return Err(BadOrder::TooManyLegs);
    }
    let mut merged: BTreeMap<&Place, i128> = BTreeMap::new();
    for leg in legs {
        *merged.entry(&leg.place).or_default() += i128::from(leg.delta.get());
    }
    let total: i128 = merged.values().sum();
    if total != 0 {
        return Err(BadOrder::Unbalanced(total));
    }
    if planted!(LegsNotMerged) {
        let mut unmerged = legs.to_vec();
        unmerged.sort();
        return Ok(unmerged);
    }
    let leg = |(place, sum): (&Place, i128)| {
        if sum == 0 {
            return Err(BadOrder::SameAccount(place.clone()));
        }
        let sum = i64::try_from(sum).map_err(|_| BadAmount::TooLarge)?;
        Ok(Leg {
            place: place.clone(),
            delta: Delta::try_from(sum)?,
        })
    };
    merged.into_iter().map(leg).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::id::{StoreId, TxnId};
    use crate::message::Prepare;

    fn order(legs: &[&str]) -> Result<Order, BadOrder> {
        let legs: Result<Vec<Leg>, BadOrder> = legs.iter().map(|leg| leg.parse()).collect();
        Order::new(&legs?)
    }

    #[test]
    fn legs_are_merged_per_account_and_sorted() {
        let order = order(&["N2/B:+10", "N1/A:-30", "N1/A:-30", "N3/C:+50"]).unwrap();
        assert_eq!(order.to_string(), "N1/A:-60 N2/B:+10 N3/C:+50");
        assert_eq!(order.participants().len(), 3);
        assert_eq!(order.home().as_str(), "N1");
    }

    #[test]
    fn orders_that_create_move_or_lose_nothing_are_refused() {
        assert_eq!(order(&[]), Err(BadOrder::NoLegs));
        assert_eq!(order(&["N1/A:-30", "N2/B:+29"]), Err(BadOrder::Unbalanced(-1)));
        faults::fired("I4");
        assert_eq!(
            order(&["N1/A:-30", "N1/A:+30"]),
            Err(BadOrder::SameAccount("N1/A".parse().unwrap()))
        );
        faults::fired("I1");
        assert_eq!(
            order(&["N1/A:0", "N2/B:+0"]),
            Err(BadOrder::Amount(BadAmount::NotPositive))
        );
        assert_eq!(order(&["N1/@world:-5", "N2/B:+5"]), Err(BadOrder::LegSyntax));
        let huge = ["N1/A:-1000000000000000000"; 11];
        assert!(matches!(order(&huge), Err(BadOrder::Unbalanced(_))));
    }

    #[test]
    fn what_was_decoded_is_taken_as_it_is_only_if_it_could_have_been_built() {
        let good = order(&["N1/A:-30", "N2/B:+10", "N2/C:+20"]).unwrap();
        assert_eq!(good.clone().validated(), Ok(good.clone()));
        let raw = |legs: &[&str]| {
            let legs = legs.iter().map(|leg| leg.parse().unwrap()).collect();
            Order::from(Parts { legs, opens: false }).validated()
        };
        assert_eq!(raw(&["N2/C:+20", "N1/A:-30", "N2/B:+10"]), Ok(good.clone()));
        assert_eq!(raw(&["N1/A:-20", "N1/A:-10", "N2/B:+10", "N2/C:+20"]), Ok(good));
        assert_eq!(raw(&["N1/A:-30", "N2/B:+10"]), Err(BadOrder::Unbalanced(-20)));
        assert_eq!(raw(&[]), Err(BadOrder::NoLegs));
        let mut world = order(&["N1/A:-30", "N2/B:+30"]).unwrap();
        world.legs[0].place.account = AccountId::world();
        assert_eq!(world.validated(), Err(BadOrder::World));
    }

    #[test]
    fn a_leg_splits_at_its_last_colon() {
        let leg: Leg = "N1/a:b:-3".parse().unwrap();
        assert_eq!((leg.place.account.as_str(), leg.delta.get()), ("a:b", -3));
    }

    #[test]
    fn a_decoded_deposit_must_be_one_that_could_have_been_built() {
        let good = Order::deposit("N1/A".parse().unwrap(), Amount::try_from(5).unwrap());
        assert_eq!(good.clone().validated(), Ok(good.clone()));
        let mut reversed = good.clone();
        reversed.legs[0].delta = Delta::try_from(5).unwrap();
        reversed.legs[1].delta = Delta::try_from(-5).unwrap();
        assert!(reversed.validated().is_err(), "a deposit cannot take money out");
        let mut plain = good;
        plain.opens = false;
        assert_eq!(plain.validated(), Err(BadOrder::World));
    }

    #[test]
    fn any_account_can_be_deposited_in() {
        for to in ["N1/0", "N1/9x", "N1/A", "N1/a", "N1/Z-1"] {
            let deposit = Order::deposit(to.parse().unwrap(), Amount::try_from(5).unwrap());
            assert!(deposit.legs[0].place.account.is_world(), "{deposit}");
            assert_eq!(deposit.clone().validated(), Ok(deposit));
        }
    }

    #[test]
    fn the_digest_sees_the_canonical_body_only() {
        let one = order(&["N1/A:-30", "N2/B:+30"]).unwrap();
        let same = order(&["N2/B:+30", "N1/A:-10", "N1/A:-20"]).unwrap();
        let other = order(&["N1/A:-31", "N2/B:+31"]).unwrap();
        assert_eq!(one.digest(), same.digest());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn the_digest_is_the_same_whether_its_bytes_are_gathered_or_not() {
        let long = |letter: char| alloc::format!("{}/{}", "n".repeat(16), letter.to_string().repeat(64));
        for count in 0..8 {
            let letters = ('a'..).take(count);
            let legs: Vec<Leg> = letters
                .map(|letter| alloc::format!("{}:-30", long(letter)).parse().unwrap())
                .collect();
            for opens in [false, true] {
                let mut stream = Xxh3::new();
                body(&legs, opens, |piece| stream.update(piece));
                assert_eq!(digest(&legs, opens), BodyDigest(stream.digest()), "{count} legs");
            }
        }
    }

    #[test]
    fn a_list_that_is_shorter_than_announced_is_refused_before_room_is_made_for_it() {
        let txn = TxnId::new(StoreId(12), 1, 1);
        let bytes = codec::encode(&(txn, u64::MAX));
        let ended = codec::decode::<(TxnId, Vec<Operation>)>(&bytes).unwrap_err();
        assert_eq!(codec::decode::<Prepare>(&bytes), Err(ended));
    }
}
