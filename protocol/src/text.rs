//! Short texts on the stack. Ids are written millions of times a second, and the general formatting machinery costs more
//! than all the rest of a record.

use core::fmt;

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
        core::str::from_utf8(&self.bytes[..self.len]).expect("only ASCII is pushed")
    }

    /// Adds a text.
    ///
    /// # Panics
    /// Here and below: if there is no room for it.
    pub(crate) fn push(&mut self, text: &str) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
    }

    /// Adds the lowest `digits` hexadecimal digits of `value`.
    pub(crate) fn push_hex_digits(&mut self, value: u128, digits: usize) {
        let target = &mut self.bytes[self.len..self.len + digits];
        let mut rest = value;
        for byte in target.iter_mut().rev() {
            let [digit, ..] = (rest & 0xf).to_le_bytes();
            *byte = b"0123456789abcdef"[usize::from(digit)];
            rest >>= 4;
        }
        self.len += digits;
    }

    /// Adds `value` in hexadecimal without leading zeros.
    pub(crate) fn push_hex(&mut self, value: u64) {
        let bits = u64::BITS - value.leading_zeros();
        let digits = bits.div_ceil(4).max(1);
        self.push_hex_digits(value.into(), usize::try_from(digits).expect("at most 16"));
    }

    /// Adds `value` in decimal.
    pub(crate) fn push_decimal(&mut self, value: u64) {
        let digits = value.checked_ilog10().unwrap_or(0) + 1;
        let digits = usize::try_from(digits).expect("at most 20");
        let mut rest = value;
        for byte in self.bytes[self.len..self.len + digits].iter_mut().rev() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            *byte = b'0' + digit;
            rest /= 10;
        }
        self.len += digits;
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
                text.push_hex_digits(u128::from(value) << 64, 32);
                let expected = format!("{value}-{value:x}-{:032x}", u128::from(value) << 64);
                assert_eq!(text.as_str(), expected);
            }
        }
    }
}
