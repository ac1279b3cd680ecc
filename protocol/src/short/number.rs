//! Numbers, as bincode has them: below 251 a byte, and otherwise a byte that says how many follow, the lowest first. There is
//! more than one way to write a small number; only the shortest is read here. Signed numbers take turns: 0, -1, 1, -2, …

use alloc::vec::Vec;

use super::{Short, take_byte};

/// A number's first byte if two bytes follow, or four, eight, sixteen. What is less is the number.
const TWO: u8 = 251;
const FOUR: u8 = 252;
const EIGHT: u8 = 253;
const SIXTEEN: u8 = 254;

impl Short for bool {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        out.push((*self).into());
        true
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<bool> {
        match take_byte(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Short for u64 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        if let Some(byte) = u8::try_from(*self).ok().filter(|&byte| byte < TWO) {
            out.push(byte);
        } else if let Ok(number) = u16::try_from(*self) {
            let [a, b] = number.to_le_bytes();
            out.extend_from_slice(&[TWO, a, b]);
        } else if let Ok(number) = u32::try_from(*self) {
            let [a, b, c, d] = number.to_le_bytes();
            out.extend_from_slice(&[FOUR, a, b, c, d]);
        } else {
            let [a, b, c, d, e, f, g, h] = self.to_le_bytes();
            out.extend_from_slice(&[EIGHT, a, b, c, d, e, f, g, h]);
        }
        true
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<u64> {
        match take_byte(bytes)? {
            byte if byte < TWO => Some(byte.into()),
            TWO => {
                let number = u64::from(u16::from_le_bytes(take_array(bytes)?));
                (number >= TWO.into()).then_some(number)
            }
            FOUR => {
                let number = u64::from(u32::from_le_bytes(take_array(bytes)?));
                (number > u16::MAX.into()).then_some(number)
            }
            EIGHT => {
                let number = u64::from_le_bytes(take_array(bytes)?);
                (number > u32::MAX.into()).then_some(number)
            }
            _ => None,
        }
    }
}

impl Short for u32 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        u64::from(*self).put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<u32> {
        u64::take(bytes)?.try_into().ok()
    }
}

/// A length.
impl Short for usize {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        u64::try_from(*self).is_ok_and(|len| len.put(out))
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<usize> {
        u64::take(bytes)?.try_into().ok()
    }
}

impl Short for u128 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        if let Ok(number) = u64::try_from(*self) {
            return number.put(out);
        }
        out.push(SIXTEEN);
        out.extend_from_slice(&self.to_le_bytes());
        true
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<u128> {
        if let Some((&SIXTEEN, rest)) = bytes.split_first() {
            *bytes = rest;
            let number = u128::from_le_bytes(take_array(bytes)?);
            return (number > u64::MAX.into()).then_some(number);
        }
        u64::take(bytes).map(u128::from)
    }
}

impl Short for i64 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        let sign = (*self >> 63).cast_unsigned();
        ((self.cast_unsigned() << 1) ^ sign).put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<i64> {
        let turn = u64::take(bytes)?;
        let half = (turn >> 1).cast_signed();
        Some(if turn & 1 == 0 { half } else { !half })
    }
}

#[inline]
fn take_array<const LEN: usize>(bytes: &mut &[u8]) -> Option<[u8; LEN]> {
    let (array, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*array)
}
