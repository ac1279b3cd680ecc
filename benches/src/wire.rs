//! Requests as bytes, written straight from account numbers.
//!
//! The load generator shares two cores with everything that it measures, so it builds no orders and allocates
//! nothing. What is written here is what [`protocol`]'s own types would be; a test holds the bytes of both against each
//! other.

use client::{NodeId, RequestId};
use protocol::frame::{self, BODY_LEN_MAX};
use protocol::short::Short;

use crate::names::{Name, Nodes};
use crate::workload::Part;

/// Most bytes that a leg takes, and a call without its legs.
const LEG_LEN_MAX: usize = 64;
const CALL_LEN_MAX: usize = 64;

/// `Call { id, ask: Ask::Submit { request, repeated: false, order } }`.
struct Call<'a> {
    id: u64,
    request: RequestId,
    legs: Legs<'a>,
}

impl Short for Call<'_> {
    fn put(&self, out: &mut Vec<u8>) -> bool {
        let (submit, repeated, opens) = (0_u32, false, false);
        (self.id, submit).put(out) && (self.request, repeated).put(out) && (&self.legs, opens).put(out)
    }
}

/// Sorted parts.
struct Legs<'a>(&'a Nodes, &'a [Part]);

impl Short for Legs<'_> {
    fn put(&self, out: &mut Vec<u8>) -> bool {
        let legs = self.1.iter().map(|part| Leg(self.0.of(part.account), part));
        self.1.len().put(out) && legs.into_iter().all(|leg| leg.put(out))
    }
}

struct Leg<'a>(&'a NodeId, &'a Part);

impl Short for Leg<'_> {
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.0.put(out) && Name::of(self.1.account).as_str().put(out) && self.1.delta.put(out)
    }
}

/// Writes requests as frames.
#[derive(Debug)]
pub struct Encoder {
    nodes: Nodes,
    /// Of the next request.
    request: u128,
    /// Reused: the frame's body.
    body: Vec<u8>,
}

impl Encoder {
    /// Requests to accounts on `nodes`, under ids that count up from `first`.
    pub fn new(nodes: Nodes, first: RequestId) -> Encoder {
        Encoder {
            nodes,
            request: first.0,
            body: Vec::new(),
        }
    }

    /// Adds a call to the frame that is being filled: a transaction of `parts`, which are put in order. A frame that is full goes to `out`.
    pub fn add(&mut self, call: u64, parts: &mut [Part], out: &mut Vec<u8>) {
        self.sort(parts);
        if self.body.len() + parts.len() * LEG_LEN_MAX + CALL_LEN_MAX > BODY_LEN_MAX {
            self.seal(out);
        }
        let call = Call {
            id: call,
            request: self.next_request(),
            legs: Legs(&self.nodes, parts),
        };
        assert!(
            call.put(&mut self.body),
            "every part of a request has a short form"
        );
    }

    /// Appends the frame to `out`, if it holds anything, and begins another.
    pub fn seal(&mut self, out: &mut Vec<u8>) {
        if !self.body.is_empty() {
            frame::write(&self.body, out);
            self.body.clear();
        }
    }

    /// Names are as long as each other, so the order of numbers is that of names.
    fn sort(&self, parts: &mut [Part]) {
        parts.sort_unstable_by_key(|part| (self.nodes.of(part.account), part.account));
    }

    fn next_request(&mut self) -> RequestId {
        self.request = self.request.wrapping_add(1);
        RequestId(self.request)
    }
}

#[cfg(test)]
mod tests {
    use client::{Leg as TrueLeg, Order as TrueOrder};
    use protocol::money::Delta;
    use protocol::{codec, message};

    use super::*;

    fn nodes(count: u16) -> Nodes {
        Nodes::new(
            (1..=count)
                .map(|number| format!("N{number}").parse().unwrap())
                .collect(),
        )
    }

    fn order(nodes: &Nodes, parts: &[Part]) -> TrueOrder {
        let leg = |part: &Part| TrueLeg {
            place: nodes.place(part.account),
            delta: Delta::try_from(part.delta).unwrap(),
        };
        TrueOrder::new(&parts.iter().map(leg).collect::<Vec<TrueLeg>>()).unwrap()
    }

    #[test]
    fn a_request_has_the_bytes_that_the_protocol_gives_it() {
        let nodes = nodes(12);
        for (call, accounts) in [
            (1, vec![3, 4]),
            (250, vec![99_999_999, 1]),
            (251, vec![9, 10, 11, 1, 0, 13, 25]),
            (70_000, vec![1, 13]),
        ] {
            let mut parts: Vec<Part> = accounts
                .iter()
                .map(|&account| Part { account, delta: 1 })
                .collect();
            parts[0].delta = 1 - i64::try_from(parts.len()).unwrap();
            let expected = message::Call {
                id: call,
                ask: message::Ask::Submit {
                    request: RequestId(500),
                    repeated: false,
                    order: order(&nodes, &parts),
                },
            };
            let mut encoder = Encoder::new(nodes.clone(), RequestId(499));
            let mut frame = Vec::new();
            encoder.add(call, &mut parts, &mut frame);
            encoder.seal(&mut frame);
            let body = frame::read(&frame).unwrap().unwrap();
            assert_eq!(body, codec::encode(&expected));
        }
    }

    #[test]
    fn every_request_has_an_id_of_its_own() {
        let mut encoder = Encoder::new(nodes(2), RequestId(u128::MAX - 1));
        let ids: Vec<RequestId> = (0..4).map(|_| encoder.next_request()).collect();
        assert_eq!(
            ids,
            [RequestId(u128::MAX), RequestId(0), RequestId(1), RequestId(2)]
        );
    }
}
