//! The wire format, byte by byte: a change here is a new wire version.

use std::fmt::Write;

use protocol::codec;
use protocol::frame::{self, Growing};
use protocol::id::{RequestId, StoreId, TxnId};
use protocol::leg::{BodyDigest, Order};
use protocol::message::{
    Answer, Ask, Call, Executed, FromNode, Home, Knowledge, Outcome, Prepare, Reply, ToNode, Vote,
};
use protocol::reason::{Decision, Holder, Reason, Refusal};
use protocol::short::Short;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::transcripts::{BIRTH, compare};

fn line<T>(table: &mut String, value: &T)
where
    T: Serialize + DeserializeOwned + Short + PartialEq + std::fmt::Display + std::fmt::Debug,
{
    let bytes = codec::encode(value);
    assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(value));
    let mut appended = vec![7];
    codec::encode_into(value, &mut appended);
    assert_eq!(appended[1..], bytes, "both ways to encode give the same bytes");
    appended.push(0);
    assert!(
        codec::decode::<T>(&appended[1..]).is_err(),
        "a byte behind the end is refused"
    );
    for end in 0..bytes.len() {
        assert!(
            codec::decode::<T>(&bytes[..end]).is_err(),
            "{end} of {} bytes are refused",
            bytes.len()
        );
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(table, "{value}\n    {hex}").unwrap();
}

#[test]
fn messages_have_the_bytes_they_always_had() {
    let txn = TxnId::new(StoreId(0x9f3c), 2, 300);
    let order = Order::new(&["N1/A:-30".parse().unwrap(), "N2/B:+30".parse().unwrap()]).unwrap();
    let home = Home {
        request: RequestId(1 << 100),
        digest: BodyDigest(0xabcd),
        repeated: true,
    };
    let prepare = Prepare {
        txn,
        operations: order.operations("N1".parse().unwrap()),
        opens: false,
        participants: order.participants(),
        birth: BIRTH,
        home: Some(home),
    };
    let mut table = String::new();
    for message in [
        ToNode::Join {
            epoch: 2,
            incarnation: 9,
            durable: 1000,
            history: vec![(1, 8), (2, 9)],
            proved: Some((StoreId(5), 70)),
        },
        ToNode::Prepare(prepare.clone()),
        ToNode::Execute(prepare),
        ToNode::Decide {
            txn,
            decision: Decision::Commit,
            bind: None,
            durable: 8,
        },
        ToNode::Decide {
            txn,
            decision: Decision::Abort(Reason::Stale),
            bind: Some(home),
            durable: 0,
        },
        ToNode::Query { txn, home },
        ToNode::Pending { txn },
    ] {
        line(&mut table, &message);
    }
    let refusal = Reason::LockContention("B".parse().unwrap());
    for message in [
        FromNode::Welcome {
            store: StoreId(5),
            durable: 71,
            quarantine: None,
        },
        FromNode::Vote {
            txn,
            vote: Vote::Yes,
            durable: 72,
        },
        FromNode::Vote {
            txn,
            vote: Vote::No(refusal.clone().into()),
            durable: 72,
        },
        FromNode::Vote {
            txn,
            vote: Vote::No(Refusal {
                holder: Some(Holder { txn, held_s: 42 }),
                ..refusal.clone().into()
            }),
            durable: 72,
        },
        FromNode::Vote {
            txn,
            vote: Vote::Duplicate(Knowledge::Committed(txn)),
            durable: 72,
        },
        FromNode::Ack { txn, durable: 73 },
        FromNode::Executed {
            txn,
            executed: Executed::Committed,
            durable: 74,
        },
        FromNode::Inquiry { txn },
    ] {
        line(&mut table, &message);
    }
    line(
        &mut table,
        &Call {
            id: 1,
            ask: Ask::Submit {
                request: RequestId(1),
                repeated: false,
                order,
            },
        },
    );
    line(
        &mut table,
        &Reply {
            id: 1,
            answer: Answer::Outcome(Outcome::Committed { txn }),
        },
    );
    let aborted = Outcome::Aborted {
        txn: Some(txn),
        refusal: refusal.into(),
    };
    line(
        &mut table,
        &Reply {
            id: 2,
            answer: Answer::Outcome(aborted),
        },
    );
    compare("bytes_on_the_wire", &table);
}

/// A batch: its messages one behind the other in one frame.
#[test]
fn several_messages_in_a_frame_have_the_bytes_they_always_had() {
    let transfer = |from: &str, to: &str| {
        let amount = "10".parse().unwrap();
        Order::transfer(from.parse().unwrap(), to.parse().unwrap(), amount).unwrap()
    };
    let calls = [
        Call {
            id: 250,
            ask: Ask::Submit {
                request: RequestId(u128::MAX),
                repeated: false,
                order: transfer("N1/A", "N2/B"),
            },
        },
        Call {
            id: 251,
            ask: Ask::Submit {
                request: RequestId(2),
                repeated: true,
                order: transfer("N3/C", "N1/A"),
            },
        },
        Call {
            id: 65_536,
            ask: Ask::Status,
        },
    ];
    let outcomes = [
        Outcome::Committed {
            txn: TxnId::new(StoreId(0x9f3c), 2, 300),
        },
        Outcome::Reused,
        Outcome::Unknown {
            why: "cannot reach N1".to_owned(),
        },
    ];
    let replies: Vec<Reply> = (249_u64..)
        .zip(outcomes)
        .map(|(id, outcome)| Reply {
            id,
            answer: Answer::Outcome(outcome),
        })
        .collect();
    let mut table = String::new();
    frame_of(&mut table, &calls);
    frame_of(&mut table, &replies);
    compare("bytes_of_a_batch", &table);
}

fn frame_of<T>(table: &mut String, messages: &[T])
where
    T: Serialize + DeserializeOwned + Short + PartialEq + std::fmt::Display + std::fmt::Debug,
{
    let mut bytes = Vec::new();
    let frame = Growing::begin(&mut bytes);
    for message in messages {
        codec::encode_into(message, &mut bytes);
        writeln!(table, "{message}").unwrap();
    }
    frame.seal(&mut bytes);
    let mut rest = frame::read(&bytes).unwrap().unwrap();
    for message in messages {
        assert_eq!(codec::decode_next::<T>(&mut rest).as_ref(), Ok(message));
    }
    assert!(rest.is_empty());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(table, "    {hex}").unwrap();
}

#[test]
fn a_length_that_promises_more_than_there_is_allocates_nothing() {
    // A vector of 2^60 operations in ten bytes.
    let mut bytes = vec![1, 0xfc, 0, 0, 0, 0];
    bytes.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 16]);
    assert!(codec::decode::<ToNode>(&bytes).is_err());
    let text = [&[0xfd][..], &u64::MAX.to_le_bytes()].concat();
    assert!(codec::decode::<String>(&text).is_err());
}
