//! Short texts on the stack. Ids are written millions of times a second, and the general formatting machinery costs more
//! than all the rest of a record.

use core::fmt;

use crate::index::{low, place};

/// Eight hexadecimal digits, lowercase.
pub fn hex(value: u32) -> [u8; 8] {
    const EACH: u64 = u64::MAX / 0xff; // 1 in each byte.
    // The digits are moved apart, four bits to a byte, and made letters all at once.
    let mut digits = u64::from(value);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let beyond_nine = (digits + EACH * 6) >> 4 & EACH;
    let letters = beyond_nine * u64::from(b'a' - b'0' - 10);
    (digits + EACH * u64::from(b'0') + letters).to_be_bytes()
}

/// All sixteen of them.
fn hex_digits(value: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let halves = [low(value >> 32), low(value)];
    for (eight, half) in digits.chunks_exact_mut(8).zip(halves) {
        eight.copy_from_slice(&hex(half));
    }
    digits
}

/// Up to `N` bytes of ASCII.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// Nothing yet.
    pub(crate) fn new() -> Text<N> {
        Text {
            bytes: [0; N],
            len: 0,
        }
    }

    /// What has been pushed.
    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("only ASCII is pushed")
    }

    /// The same as bytes, which nobody has to look at once more.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Adds a text.
    ///
    /// # Panics
    /// Here and below: if there is no room for it.
    pub(crate) fn push(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Adds all sixteen hexadecimal digits of `value`.
    pub(crate) fn push_all_hex(&mut self, value: u64) {
        self.push_bytes(&hex_digits(value));
    }

    /// Adds `value` in hexadecimal without leading zeros.
    pub(crate) fn push_hex(&mut self, value: u64) {
        let digits = hex_digits(value);
        match value.leading_zeros().min(u64::BITS - 1) / 4 {
            0 => self.push_bytes(&digits), // As nearly always. All of them are copied without a loop.
            zeros => self.push_bytes(&digits[place(zeros)..]),
        }
    }

    /// Adds `value` in decimal.
    pub(crate) fn push_decimal(&mut self, value: u64) {
        self.push(itoa::Buffer::new().format(value));
    }

    fn push_bytes(&mut self, ascii: &[u8]) {
        self.bytes[self.len..self.len + ascii.len()].copy_from_slice(ascii);
        self.len += ascii.len();
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn numbers_read_as_the_standard_library_writes_them() {
        for shift in 0..64 {
            for value in [(1 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut text = Text::<80>::new();
                text.push_decimal(value);
                text.push("-");
                text.push_hex(value);
                text.push("-");
                let wide = u128::from(value) << 64 | u128::from(!value);
                text.push_all_hex(value);
                text.push_all_hex(!value);
                let expected = format!("{value}-{value:x}-{wide:032x}");
                assert_eq!(text.as_str(), expected);
            }
        }
    }
}
