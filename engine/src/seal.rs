//! Files that prove they are whole: a JSON object whose last member is the CRC-32 of every byte before its digits.
//!
//! What follows the digits is fixed, so that no byte of the file is without protection.

use std::io;

use protocol::planted;
pub(crate) use protocol::text::hex;

use crate::disk::{Disk, DiskFile};

/// Last member of a sealed object, up to the digits.
pub(crate) const MEMBER: &[u8] = b"\"checksum\":\"";

/// Why a file is not whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It doesn't end as a sealed file does.
    Unsealed,
    /// The checksum is another one.
    Checksum {
        /// As the file says.
        expected: u32,
        /// As its bytes say.
        found: u32,
    },
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Unsealed => f.write_str("its end, which holds the checksum, is missing"),
            Broken::Checksum { expected, found } => {
                write!(
                    f,
                    "checksum mismatch (expected {expected:08x}, found {found:08x})"
                )
            }
        }
    }
}

/// Closes an object whose other members, with a comma behind them, are in `text`.
pub(crate) fn seal(text: &mut Vec<u8>, suffix: &[u8]) {
    text.extend_from_slice(MEMBER);
    let crc = crc32fast::hash(text);
    text.extend_from_slice(&hex(crc));
    text.extend_from_slice(suffix);
}

/// Checks the seal of `text`.
///
/// # Errors
/// What is broken.
pub(crate) fn check(text: &[u8], suffix: &[u8]) -> Result<(), Broken> {
    let body = text.strip_suffix(suffix).ok_or(Broken::Unsealed)?;
    let (sealed, digits) = body.split_last_chunk::<8>().ok_or(Broken::Unsealed)?;
    if !sealed.ends_with(MEMBER) {
        return Err(Broken::Unsealed);
    }
    let expected = unhex(digits).ok_or(Broken::Unsealed)?;
    let found = crc32fast::hash(sealed);
    if expected == found {
        Ok(())
    } else {
        Err(Broken::Checksum { expected, found })
    }
}

/// The inverse of [`hex`]: exactly eight lowercase digits.
pub(crate) fn unhex(digits: &[u8; 8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u32::from(digit))
    })
}

/// Puts a whole file in place: written aside, synced, renamed, the directory synced. After a crash the name holds
/// what it held before or all of `text`.
///
/// # Errors
/// Whatever the disk reports.
pub(crate) fn replace<D: Disk>(disk: &D, name: &str, text: &[u8]) -> io::Result<()> {
    let aside = format!("{name}.tmp");
    let mut file = disk.create(&aside)?;
    file.append(text)?;
    planted!(UnsyncedManifest: file.sync()? => ());
    disk.rename(&aside, name)?;
    planted!(UnsyncedManifestName: disk.sync_dir() => Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_exact_and_reads_back() {
        for value in [0, 1, 0xdead_beef, u32::MAX, 0x0012_3400] {
            assert_eq!(hex(value), format!("{value:08x}").as_bytes());
            assert_eq!(unhex(&hex(value)), Some(value));
        }
        assert_eq!(unhex(b"DEADBEEF"), None);
        assert_eq!(unhex(b"0000000 "), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_breaks_the_seal() {
        let mut good = b"{\"a\":1,".to_vec();
        seal(&mut good, b"\"}\n");
        assert_eq!(check(&good, b"\"}\n"), Ok(()));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&bad, b"\"}\n").is_err(), "bit {bit}");
        }
        for end in 0..good.len() {
            assert!(check(&good[..end], b"\"}\n").is_err(), "cut at {end}");
        }
    }
}
