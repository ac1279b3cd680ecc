//! How a request's entry is written: short as JSON, with named parts for everything else.

use alloc::boxed::Box;
use core::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};

use super::requests::{Progress, RequestEntry};
use crate::fold::Seq;
use crate::id::TxnId;
use crate::leg::BodyDigest;
use crate::reason::Reason;

/// An entry with named parts: what stores of rows hold, and state files of format 1.
#[derive(Serialize, Deserialize)]
#[serde(remote = "RequestEntry", deny_unknown_fields)]
struct Named {
    digest: BodyDigest,
    txn: TxnId,
    progress: Progress,
}

impl Serialize for RequestEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return Named::serialize(self, serializer);
        }
        let ended = self.progress.ended();
        let reason = match &self.progress {
            Progress::Aborted(_, reason) => Some(reason),
            Progress::Open | Progress::Committed(_) => None,
        };
        let len = 2 + usize::from(ended.is_some()) + usize::from(reason.is_some());
        let mut parts = serializer.serialize_tuple(len)?;
        parts.serialize_element(&self.digest)?;
        parts.serialize_element(&self.txn)?;
        if let Some(seq) = ended {
            parts.serialize_element(&seq)?;
        }
        if let Some(reason) = reason {
            parts.serialize_element(reason)?;
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for RequestEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RequestEntry, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(EntryVisitor)
        } else {
            Named::deserialize(deserializer)
        }
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = RequestEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest, a transaction, and how far it has come")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<RequestEntry, A::Error> {
        let missing = |n| de::Error::invalid_length(n, &self);
        let digest = parts.next_element()?.ok_or_else(|| missing(0))?;
        let txn = parts.next_element()?.ok_or_else(|| missing(1))?;
        let progress = match parts.next_element::<Seq>()? {
            None => Progress::Open,
            Some(seq) => match parts.next_element::<Box<Reason>>()? {
                None => Progress::Committed(seq),
                Some(reason) => Progress::Aborted(seq, reason),
            },
        };
        Ok(RequestEntry {
            digest,
            txn,
            progress,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, parts: A) -> Result<RequestEntry, A::Error> {
        Named::deserialize(MapAccessDeserializer::new(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::id::{RequestId, StoreId};
    use crate::participant::NodeEntry;

    fn entry(progress: Progress) -> NodeEntry {
        let entry = RequestEntry {
            digest: BodyDigest(0xab),
            txn: TxnId::new(StoreId(0xc), 1, 2),
            progress,
        };
        NodeEntry::Request(RequestId(5), entry)
    }

    /// How far it has come, with the rest of its short form, that of format 1, and what stands in a row.
    fn forms() -> [(Progress, &'static str, &'static str, &'static [u8]); 3] {
        let aborted = Progress::Aborted(7, Box::new(Reason::Stale));
        let stale = b"\x03\x05\xab\x0c\x01\x02\x02\x07\x0dstale_prepare";
        [
            (Progress::Open, "", "\"open\"", b"\x03\x05\xab\x0c\x01\x02\x00"),
            (
                Progress::Committed(300),
                ",300",
                r#"{"committed":300}"#,
                b"\x03\x05\xab\x0c\x01\x02\x01\xfb\x2c\x01",
            ),
            (
                aborted,
                r#",7,"stale_prepare""#,
                r#"{"aborted":[7,"stale_prepare"]}"#,
                stale,
            ),
        ]
    }

    #[test]
    fn an_entry_is_short_as_json_and_read_in_its_older_form_too() {
        let id = "00000000000000000000000000000005";
        for (progress, rest, older, _) in forms() {
            let entry = entry(progress);
            let short = alloc::format!(r#"{{"request":["{id}",["ab","c-1-2"{rest}]]}}"#);
            assert_eq!(serde_json::to_string(&entry).unwrap(), short);
            let older = alloc::format!(
                r#"{{"request":["{id}",{{"digest":"ab","txn":"c-1-2","progress":{older}}}]}}"#
            );
            for text in [short, older] {
                assert_eq!(serde_json::from_str::<NodeEntry>(&text).unwrap(), entry, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let read = serde_json::from_str::<RequestEntry>;
        for text in [
            "[]",
            r#"["ab"]"#,
            r#"["ab","c-1-2",null]"#,
            r#"["ab","c-1-2",-1]"#,
            r#"["ab","c-1-2",7,null]"#,
            r#"["ab","c-1-2",7,"stale_prepare",8]"#,
            r#"["ab","c-1-2","stale_prepare"]"#,
            r#"{"digest":"ab","txn":"c-1-2"}"#,
            r#"{"digest":"ab","txn":"c-1-2","progress":"open","more":1}"#,
            "7",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rows_keep_their_bytes() {
        for (progress, _, _, bytes) in forms() {
            let entry = entry(progress);
            assert_eq!(codec::encode(&entry), bytes);
            assert_eq!(codec::decode::<NodeEntry>(bytes), Ok(entry));
        }
    }
}
