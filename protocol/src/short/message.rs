//! The usual messages, and what they are made of. Anything with a text for people in it, and what is said once in a while, is
//! for serde.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Short, put_text, short_enum, short_struct, take_text};
use crate::id::{AccountId, Birth, NodeId, Place, RequestId, StoreId, TxnId, TxnPoint};
use crate::leg::{BodyDigest, Leg, Operation, Order};
use crate::message::watch::{Told, WatchAsk};
use crate::message::{Answer, Ask, Call, Executed, FromNode, Home, Outcome, Prepare, Reply, ToNode, Vote};
use crate::money::Delta;
use crate::reason::{Decision, Holder, Reason, Refusal};

short_struct!(Call { id, ask });

short_enum!(Ask {
    0 Submit { request, repeated, order }
});

short_struct!(Reply { id, answer });

short_enum!(Answer {
    0 Outcome(outcome)
});

short_enum!(Outcome {
    0 Committed { txn }
    1 Aborted { txn, refusal }
});

short_enum!(ToNode {
    1 Prepare(prepare)
    2 Execute(prepare)
    3 Decide { txn, decision, bind, durable }
});

short_struct!(Prepare {
    txn,
    operations,
    opens,
    participants,
    birth,
    home
});

short_enum!(Decision {
    0 Commit
    1 Abort(reason)
});

short_enum!(FromNode {
    2 Vote { txn, vote, durable }
    3 Ack { txn, durable }
    5 Executed { txn, executed, durable }
});

short_enum!(Vote {
    0 Yes
    1 No(refusal)
});

short_enum!(Executed {
    0 Committed
    1 Refused(refusal)
});

/// What whoever watches says and hears.
impl Short for WatchAsk {}
impl Short for Told {}

// ------------------------------------------------------------------------------------- what they are made of

short_struct!(Home {
    request,
    digest,
    repeated
});
short_struct!(Refusal { reason, holder });
short_struct!(Holder { txn, held_s });
short_struct!(Operation { account, delta });
short_struct!(Leg { place, delta });
short_struct!(Place { node, account });
short_struct!(TxnId { coordinator, at });
short_struct!(TxnPoint { epoch, sequence });

/// A number under a name.
macro_rules! short_number {
    ($($type:ident)+) => {
        $(
            impl Short for $type {
                #[inline]
                fn put(&self, out: &mut Vec<u8>) -> bool {
                    self.0.put(out)
                }

                #[inline]
                fn take(bytes: &mut &[u8]) -> Option<$type> {
                    Short::take(bytes).map($type)
                }
            }
        )+
    };
}

short_number!(Birth BodyDigest RequestId StoreId);

impl Short for Delta {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.get().put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Delta> {
        i64::take(bytes)?.try_into().ok()
    }
}

impl Short for NodeId {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        put_text(self.as_bytes(), out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<NodeId> {
        NodeId::of_bytes(take_text(bytes)?)
    }
}

impl Short for AccountId {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.as_str().put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<AccountId> {
        AccountId::of_our_bytes(take_text(bytes)?)
    }
}

impl Short for Reason {
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.to_string().as_str().put(out)
    }

    fn take(bytes: &mut &[u8]) -> Option<Reason> {
        core::str::from_utf8(take_text(bytes)?).ok()?.parse().ok()
    }
}

impl Short for Order {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.legs().put(out) && self.opens().put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Order> {
        let legs = Vec::take(bytes)?;
        let opens = bool::take(bytes)?;
        Some(Order::of_parts(legs, opens))
    }
}
