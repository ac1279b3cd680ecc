//! Values as bytes: bincode, in one place so that it can be replaced. Golden bytes pin the format.
//!
//! Decoding is bounded (a length prefix can never make it allocate more than the limit), total (every byte must be
//! consumed) and strict (a value has one encoding), none of which bincode alone guarantees.
//!
//! [`encode`] and [`decode`] leave everything to serde. [`encode_into`] and [`decode_next`], which a busy cluster calls for
//! each message, first try the short way ([`Short`]); the bytes are the same, and tests hold both against each other.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::BODY_LEN_MAX;
use crate::short::Short;

/// A body that is not what its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBody(String);

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode: {}", self.0)
    }
}

impl core::error::Error for BadBody {}

fn config() -> Configuration<LittleEndian, Varint, Limit<BODY_LEN_MAX>> {
    bincode::config::standard().with_limit::<BODY_LEN_MAX>()
}

/// Encodes `value`.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let encoded = bincode::serde::encode_to_vec(value, config());
    encoded.expect("our own types encode, and senders keep them below the frame limit")
}

/// Appends the encoded `value` to `bytes`, reusing their space.
pub fn encode_into<T: Serialize + Short>(value: &T, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    if !value.put(bytes) {
        bytes.truncate(start);
        append(value, bytes);
    }
}

/// The same for what is no message.
pub fn append<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    let encoded = bincode::serde::encode_into_writer(value, Append(bytes), config());
    encoded.expect("our own types encode, and senders keep them below the frame limit");
}

/// Appends `value`, encoded so that the bytes sort as its numbers do. Longer than [`encode`], and not meant to be decoded.
pub fn encode_sorted_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    let config = config().with_big_endian().with_fixed_int_encoding();
    let encoded = bincode::serde::encode_into_writer(value, Append(bytes), config);
    encoded.expect("our own types encode, and senders keep them below the frame limit");
}

struct Append<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Append<'_> {
    fn write(&mut self, part: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(part);
        Ok(())
    }
}

/// Decodes exactly one value out of all of `bytes`.
///
/// # Errors
/// If the bytes are not such a value, or more than one, or not the ones that [`encode`] gives for it.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    let mut rest = bytes;
    let value = decode_long(&mut rest)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(BadBody(alloc::format!(
            "{} bytes after the end of the value",
            rest.len()
        )))
    }
}

/// Decodes the value that `bytes` begin with, and leaves what follows it in `bytes`.
///
/// # Errors
/// If the bytes do not begin with such a value, or not with the bytes that [`encode`] gives for it.
pub fn decode_next<T: Serialize + DeserializeOwned + Short>(bytes: &mut &[u8]) -> Result<T, BadBody> {
    let mut rest = *bytes;
    if let Some(value) = T::take(&mut rest) {
        *bytes = rest;
        return Ok(value);
    }
    decode_long(bytes)
}

fn decode_long<T: Serialize + DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, BadBody> {
    match bincode::serde::decode_from_slice(bytes, config()) {
        // Only numbers can be written in more than one way, and each other way is longer.
        Ok((value, consumed)) if encoded_len(&value) == consumed => {
            *bytes = &bytes[consumed..];
            Ok(value)
        }
        Ok(_) => Err(BadBody("a number is longer than it must be".to_string())),
        Err(error) => Err(BadBody(error.to_string())),
    }
}

/// How many bytes [`encode`] would give.
fn encoded_len<T: Serialize>(value: &T) -> usize {
    struct Count<'a>(&'a mut usize);

    impl bincode::enc::write::Writer for Count<'_> {
        fn write(&mut self, part: &[u8]) -> Result<(), bincode::error::EncodeError> {
            *self.0 += part.len();
            Ok(())
        }
    }

    let mut len = 0;
    let counted = bincode::serde::encode_into_writer(value, Count(&mut len), config());
    counted.expect("what was decoded encodes");
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_longer_than_it_must_be_is_refused() {
        for (short, long) in [
            (&[5][..], &[251, 5, 0][..]),
            (&[5], &[252, 5, 0, 0, 0]),
            (&[251, 0, 1], &[253, 0, 1, 0, 0, 0, 0, 0, 0]),
        ] {
            let value: u64 = decode(short).unwrap();
            assert_eq!(encode(&value), short);
            assert!(decode::<u64>(long).is_err(), "{long:?}");
        }
        assert!(
            decode::<String>(&[251, 1, 0, b'a']).is_err(),
            "nor may a length be"
        );
    }

    #[test]
    fn sorted_bytes_sort_as_the_numbers_in_them() {
        let numbers = [0_u64, 1, 250, 251, 255, 256, 65_535, 65_536, 1 << 40, u64::MAX];
        let pairs: Vec<(u32, u64)> = (0..300).flat_map(|high| numbers.map(|low| (high, low))).collect();
        let sorted = |pair: &(u32, u64)| {
            let mut bytes = Vec::new();
            encode_sorted_into(pair, &mut bytes);
            bytes
        };
        assert!(pairs.iter().map(sorted).is_sorted());
    }

    #[test]
    fn values_behind_each_other_come_out_one_by_one() {
        let bytes = [encode(&7_u64), encode(&"word"), encode(&300_u64)].concat();
        let mut rest = bytes.as_slice();
        assert_eq!(decode_next::<u64>(&mut rest), Ok(7));
        assert_eq!(decode_next::<String>(&mut rest).as_deref(), Ok("word"));
        let torn = &mut &rest[..rest.len() - 1];
        assert!(decode_next::<u64>(torn).is_err());
        assert_eq!(torn.len(), rest.len() - 1, "what cannot be decoded stays");
        assert_eq!(decode_next::<u64>(&mut rest), Ok(300));
        assert!(rest.is_empty());
    }

    #[test]
    fn an_announced_length_allocates_at_most_the_limit() {
        assert!(decode::<String>(&[253, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
        assert!(decode::<Vec<u64>>(&[252, 255, 255, 255, 255]).is_err());
    }
}
