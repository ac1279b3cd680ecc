//! The short way through the format of messages is the same format: what it writes is what serde writes, and whatever it
//! reads is what serde reads there.

use std::fmt::Debug;

use protocol::codec;
use protocol::id::{AccountId, Birth, NodeId, Place, RequestId, StoreId, TxnId};
use protocol::leg::{BodyDigest, LEGS_MAX, Leg, Operation, Order};
use protocol::message::{
    Answer, Ask, Call, Executed, FromNode, Home, Knowledge, Outcome, Prepare, Reply, ToNode, Vote,
};
use protocol::money::{AMOUNT_MAX, Delta};
use protocol::reason::{Decision, Holder, Reason, Refusal};
use protocol::short::Short;
use serde::Serialize;
use serde::de::DeserializeOwned;

trait Message: Short + Serialize + DeserializeOwned + PartialEq + Debug {}

impl<T: Short + Serialize + DeserializeOwned + PartialEq + Debug> Message for T {}

/// Whether the short way leads somewhere, which must be where serde comes to.
fn takes<T: Message>(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Some(value) = T::take(&mut rest) else {
        return false;
    };
    let used = bytes.strip_suffix(rest).expect("it takes from the front");
    assert_eq!(codec::decode::<T>(used).as_ref(), Ok(&value));
    assert_eq!(codec::encode(&value), used);
    true
}

fn goes_the_short_way<T: Message>(value: &T) {
    let bytes = codec::encode(value);
    let mut written = vec![9];
    assert!(value.put(&mut written), "{value:?} has no short form");
    assert_eq!(written[1..], bytes, "{value:?}");
    let followed = [&bytes[..], &[0]].concat();
    let mut rest = followed.as_slice();
    assert_eq!(T::take(&mut rest).as_ref(), Some(value));
    assert_eq!(rest, [0]);
}

/// What is nearly the message goes where serde goes, if anywhere.
fn strays_with_serde<T: Message>(value: &T) {
    let bytes = codec::encode(value);
    for end in 0..bytes.len() {
        assert!(!takes::<T>(&bytes[..end]), "{end} bytes of {value:?}");
    }
    let mut changed = [&bytes[..], &[0]].concat();
    for at in 0..bytes.len() {
        for byte in 0..=u8::MAX {
            changed[at] = byte;
            takes::<T>(&changed);
        }
        changed[at] = bytes[at];
    }
}

fn goes_the_long_way<T: Message>(value: &T) {
    let bytes = codec::encode(value);
    assert!(!value.put(&mut Vec::new()), "{value:?}");
    assert!(!takes::<T>(&bytes), "{value:?}");
    let mut written = vec![9];
    codec::encode_into(value, &mut written);
    assert_eq!(written[1..], bytes);
    assert_eq!(codec::decode_next::<T>(&mut bytes.as_slice()).as_ref(), Ok(value));
}

/// xorshift64*: small, seeded, the same everywhere.
struct Chance(u64);

impl Chance {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() >> 33).unwrap() % bound
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Of any length, and often where the length changes.
    fn number(&mut self) -> u64 {
        const EDGES: [u64; 5] = [251, 1 << 8, 1 << 16, 1 << 32, 0];
        if self.coin() {
            let edge = EDGES[self.below(EDGES.len())];
            edge.wrapping_add(u64::try_from(self.below(3)).unwrap())
                .wrapping_sub(1)
        } else {
            self.bits() >> self.below(64)
        }
    }

    fn name(&mut self, more: &[u8], len_max: usize) -> String {
        let most = if self.coin() { 10 } else { len_max };
        let len = 1 + self.below(most);
        let plain: Vec<u8> = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z').collect();
        let all = [&plain[..], more].concat();
        let letter = |at| {
            let letters = if at == 0 { &plain } else { &all };
            char::from(letters[self.below(letters.len())])
        };
        (0..len).map(letter).collect()
    }

    fn node(&mut self) -> NodeId {
        self.name(b"-", 16).parse().unwrap()
    }

    fn account(&mut self) -> AccountId {
        if self.below(8) == 0 {
            AccountId::world()
        } else {
            self.name(b"_.:-", 64).parse().unwrap()
        }
    }

    fn delta(&mut self) -> Delta {
        let size = i64::try_from(self.number() % AMOUNT_MAX.unsigned_abs()).unwrap() + 1;
        Delta::try_from(if self.coin() { size } else { -size }).unwrap()
    }

    fn txn(&mut self) -> TxnId {
        let epoch = self.number() >> 32;
        TxnId::new(
            StoreId(self.number()),
            u32::try_from(epoch).unwrap(),
            self.number(),
        )
    }

    fn request(&mut self) -> RequestId {
        let high = if self.coin() { self.number() } else { 0 };
        RequestId(u128::from(high) << 64 | u128::from(self.number()))
    }

    fn order(&mut self, legs: usize) -> Order {
        let legs: Vec<Leg> = (0..legs)
            .map(|_| Leg {
                place: Place {
                    node: self.node(),
                    account: self.account(),
                },
                delta: self.delta(),
            })
            .collect();
        codec::decode(&codec::encode(&(legs, self.coin()))).expect("its shape is that of an order")
    }

    fn home(&mut self) -> Home {
        Home {
            request: self.request(),
            digest: BodyDigest(self.number()),
            repeated: self.coin(),
        }
    }

    fn prepare(&mut self) -> Prepare {
        let (operations, participants) = (self.below(4), self.below(4));
        Prepare {
            txn: self.txn(),
            operations: (0..operations)
                .map(|_| Operation {
                    account: self.account(),
                    delta: self.delta(),
                })
                .collect(),
            opens: self.coin(),
            participants: (0..participants).map(|_| self.node()).collect(),
            birth: Birth(self.number()),
            home: self.coin().then(|| self.home()),
        }
    }

    fn reason(&mut self) -> Reason {
        match self.below(4) {
            0 => Reason::LockContention(self.account()),
            1 => Reason::InsufficientFunds(self.account()),
            2 => Reason::Unreachable(self.node()),
            _ => Reason::Stale,
        }
    }

    fn refusal(&mut self) -> Refusal {
        Refusal {
            reason: self.reason(),
            holder: self.coin().then(|| Holder {
                txn: self.txn(),
                held_s: self.number(),
            }),
        }
    }

    fn call(&mut self) -> Call {
        let legs = self.below(6);
        Call {
            id: self.number(),
            ask: Ask::Submit {
                request: self.request(),
                repeated: self.coin(),
                order: self.order(legs),
            },
        }
    }

    fn reply(&mut self) -> Reply {
        let outcome = if self.coin() {
            Outcome::Committed { txn: self.txn() }
        } else {
            Outcome::Aborted {
                txn: self.coin().then(|| self.txn()),
                refusal: self.refusal(),
            }
        };
        Reply {
            id: self.number(),
            answer: Answer::Outcome(outcome),
        }
    }

    fn said_to_node(&mut self) -> ToNode {
        match self.below(4) {
            0 | 1 => ToNode::Prepare(self.prepare()),
            2 => ToNode::Execute(self.prepare()),
            _ => ToNode::Decide {
                txn: self.txn(),
                decision: if self.coin() {
                    Decision::Commit
                } else {
                    Decision::Abort(self.reason())
                },
                bind: self.coin().then(|| self.home()),
                durable: self.number(),
            },
        }
    }

    fn said_by_node(&mut self) -> FromNode {
        let (txn, durable) = (self.txn(), self.number());
        match self.below(5) {
            0 => FromNode::Ack { txn, durable },
            1 => FromNode::Vote {
                txn,
                vote: Vote::Yes,
                durable,
            },
            2 => FromNode::Vote {
                txn,
                vote: Vote::No(self.refusal()),
                durable,
            },
            3 => FromNode::Executed {
                txn,
                executed: Executed::Committed,
                durable,
            },
            _ => FromNode::Executed {
                txn,
                executed: Executed::Refused(self.refusal()),
                durable,
            },
        }
    }
}

#[test]
fn the_usual_messages_go_the_short_way_and_serde_agrees() {
    let mut chance = Chance(7);
    for _ in 0..500 {
        goes_the_short_way(&chance.call());
        goes_the_short_way(&chance.reply());
        goes_the_short_way(&chance.said_to_node());
        goes_the_short_way(&chance.said_by_node());
    }
}

#[test]
fn what_is_nearly_a_usual_message_means_what_serde_says() {
    let mut chance = Chance(11);
    for _ in 0..6 {
        strays_with_serde(&chance.call());
        strays_with_serde(&chance.reply());
        strays_with_serde(&chance.said_to_node());
        strays_with_serde(&chance.said_by_node());
    }
}

#[test]
fn unusual_messages_go_the_long_way() {
    let mut chance = Chance(8);
    let id = 3;
    goes_the_long_way(&Call { id, ask: Ask::Audit });
    let answer = Answer::Outcome(Outcome::Reused);
    goes_the_long_way(&Reply { id, answer });
    let answer = Answer::Failed("no".to_owned());
    goes_the_long_way(&Reply { id, answer });
    let txn = chance.txn();
    goes_the_long_way(&ToNode::Pending { txn });
    goes_the_long_way(&FromNode::Vote {
        txn,
        vote: Vote::Duplicate(Knowledge::Open(txn)),
        durable: 1,
    });
}

#[test]
fn a_list_that_no_transaction_has_goes_the_long_way() {
    let mut chance = Chance(9);
    let mut call = |legs| Call {
        id: 1,
        ask: Ask::Submit {
            request: chance.request(),
            repeated: false,
            order: chance.order(legs),
        },
    };
    let longest = call(LEGS_MAX);
    assert!(longest.put(&mut Vec::new()) && takes::<Call>(&codec::encode(&longest)));
    goes_the_long_way(&call(LEGS_MAX + 1));
    // 2^60 of them.
    let promised = [1, 0, 1, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16];
    assert!(!takes::<Call>(&promised));
}

#[test]
fn a_number_that_is_longer_than_it_must_be_is_refused() {
    let mut chance = Chance(10);
    for _ in 0..200 {
        let number = chance.number();
        goes_the_short_way(&number);
        strays_with_serde(&number);
        goes_the_short_way(&u128::from(number));
        goes_the_short_way(&number.cast_signed());
        if let Ok(number) = u32::try_from(number) {
            goes_the_short_way(&number);
        }
        goes_the_short_way(&chance.request().0);
    }
    let five = |first: u8, len: usize| {
        let zeros = vec![0; len - 1];
        [&[first, 5][..], &zeros].concat()
    };
    let answer = Answer::Outcome(Outcome::Committed { txn: chance.txn() });
    let good = codec::encode(&Reply { id: 5, answer });
    for long in [five(251, 2), five(252, 4), five(253, 8), five(254, 16)] {
        assert!(!takes::<u64>(&long) && !takes::<u128>(&long) && !takes::<i64>(&long));
        let bad = [&long, &good[1..]].concat();
        assert!(!takes::<Reply>(&bad));
        assert!(codec::decode_next::<Reply>(&mut bad.as_slice()).is_err());
    }
}

#[test]
fn a_delta_is_taken_if_it_is_one() {
    for delta in [
        0,
        1,
        -1,
        AMOUNT_MAX,
        -AMOUNT_MAX,
        AMOUNT_MAX + 1,
        -AMOUNT_MAX - 1,
        i64::MAX,
        i64::MIN,
    ] {
        let is_one = Delta::try_from(delta).is_ok();
        assert_eq!(takes::<Delta>(&codec::encode(&delta)), is_one, "{delta}");
    }
}

#[test]
fn a_name_is_taken_if_it_is_one() {
    for len in [1, 2, 5, 6, 15, 16, 17, 63, 64, 65] {
        for at in [0, len / 2, len - 1] {
            for byte in 0..=u8::MAX {
                let mut name = vec![b'a'; len];
                name[at] = byte;
                is_taken_if_it_is_one(&name);
            }
        }
    }
    for name in ["", "@world", "@World", "@worlds", "a_.:-9", "\u{e9}", "N1", "-"] {
        is_taken_if_it_is_one(name.as_bytes());
    }
}

fn is_taken_if_it_is_one(name: &[u8]) {
    let text = str::from_utf8(name).unwrap_or(" ");
    let bytes = [&[u8::try_from(name.len()).unwrap()], name].concat();
    let (node, account) = (text.parse::<NodeId>().is_ok(), text.parse::<AccountId>().is_ok());
    assert_eq!(takes::<NodeId>(&bytes), node, "{text:?}");
    assert_eq!(
        takes::<AccountId>(&bytes),
        account || text == "@world",
        "{text:?}"
    );
}
