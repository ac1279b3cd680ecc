//! Values as bytes: bincode, in one place so that it can be replaced. Golden bytes pin the format.
//!
//! Decoding is bounded (a length prefix can never make it allocate more than the limit) and total (every byte must
//! be consumed), which bincode alone guarantees neither of.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::BODY_LEN_MAX;

/// A body that is not what its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBody(String);

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode: {}", self.0)
    }
}

impl core::error::Error for BadBody {}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BODY_LEN_MAX>()
}

/// Encodes `value`.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let encoded = bincode::serde::encode_to_vec(value, config());
    encoded.expect("our own types encode, and senders keep them below the frame limit")
}

/// Appends the encoded `value` to `bytes`, reusing their space.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    struct Append<'a>(&'a mut Vec<u8>);

    impl bincode::enc::write::Writer for Append<'_> {
        fn write(&mut self, part: &[u8]) -> Result<(), bincode::error::EncodeError> {
            self.0.extend_from_slice(part);
            Ok(())
        }
    }

    let encoded = bincode::serde::encode_into_writer(value, Append(bytes), config());
    encoded.expect("our own types encode, and senders keep them below the frame limit");
}

/// Decodes exactly one value out of all of `bytes`.
///
/// # Errors
/// If the bytes are not such a value, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    match bincode::serde::decode_from_slice(bytes, config()) {
        Ok((value, consumed)) if consumed == bytes.len() => Ok(value),
        Ok((_, consumed)) => Err(BadBody(alloc::format!(
            "{} bytes after the end of the value",
            bytes.len() - consumed
        ))),
        Err(error) => Err(BadBody(error.to_string())),
    }
}
