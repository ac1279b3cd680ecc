//! A number for each of a million accounts, in name order, in little memory.
//!
//! What a name has in common with the one before it is not kept again: an account takes some 5 to 10 bytes in all, where
//! a list of names and numbers takes 32.

use std::collections::VecDeque;

use protocol::id::AccountId;

/// Bytes that are taken from the system, and given back, at once.
const CHUNK: usize = 64 * 1024;

/// The most bytes of one account: two lengths, a name, a number.
const ENTRY_MAX: usize = 2 + 255 + 10;

/// The list, as it is made.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    chunks: VecDeque<Vec<u8>>,
    last: Option<AccountId>,
}

impl Packed {
    /// Adds an account. `false` if it does not come behind all the others; nothing has changed then.
    pub(crate) fn push(&mut self, id: AccountId, number: u64) -> bool {
        if self.last.as_ref().is_some_and(|last| *last >= id) {
            return false;
        }
        if self
            .chunks
            .back()
            .is_none_or(|chunk| chunk.capacity() - chunk.len() < ENTRY_MAX)
        {
            self.chunks.push_back(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.back_mut().expect("there is one with room");
        let before = self.last.as_ref().map_or("", AccountId::as_str);
        let pairs = before.bytes().zip(id.as_str().bytes());
        let shared = pairs.take_while(|(one, other)| one == other).count();
        let own = &id.as_str().as_bytes()[shared..];
        chunk.push(short(shared));
        chunk.push(short(own.len()));
        chunk.extend_from_slice(own);
        let mut rest = number;
        while rest >= 128 {
            chunk.push(short_bits(rest) | 128);
            rest >>= 7;
        }
        chunk.push(short_bits(rest));
        self.last = Some(id);
        true
    }

    /// Takes them out again, the first one first.
    pub(crate) fn unpack(self) -> Unpacked {
        Unpacked {
            chunks: self.chunks,
            at: 0,
            name: Vec::new(),
        }
    }
}

/// The list on its way out. What has been taken is given back.
#[derive(Debug)]
pub(crate) struct Unpacked {
    chunks: VecDeque<Vec<u8>>,
    at: usize,
    name: Vec<u8>,
}

impl Unpacked {
    /// The next account.
    pub(crate) fn next(&mut self) -> Option<(&str, u64)> {
        while self.chunks.front()?.len() == self.at {
            self.chunks.pop_front();
            self.at = 0;
        }
        let chunk = self.chunks.front().expect("just looked");
        let mut rest = &chunk[self.at..];
        let mut byte = || {
            let (&first, behind) = rest.split_first().expect("accounts are whole");
            rest = behind;
            first
        };
        let (shared, own) = (usize::from(byte()), usize::from(byte()));
        self.name.truncate(shared);
        self.name.extend((0..own).map(|_| byte()));
        let (mut number, mut shift) = (0, 0);
        loop {
            let bits = byte();
            number |= u64::from(bits & 127) << shift;
            shift += 7;
            if bits < 128 {
                break;
            }
        }
        self.at = chunk.len() - rest.len();
        let name = std::str::from_utf8(&self.name).expect("names were text when they were packed");
        Some((name, number))
    }
}

fn short(len: usize) -> u8 {
    u8::try_from(len).expect("names are short")
}

/// The lowest seven bits.
fn short_bits(number: u64) -> u8 {
    u8::try_from(number & 127).expect("seven bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn packed(accounts: impl IntoIterator<Item = (AccountId, u64)>) -> Packed {
        let mut packed = Packed::default();
        for (id, number) in accounts {
            assert!(packed.push(id, number));
        }
        packed
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let mut accounts: Vec<(AccountId, u64)> = vec![(AccountId::world(), 9)];
        accounts.extend((0..50_000).map(|n| (id(&format!("a{n:06}")), n * n)));
        let long = "z".repeat(64);
        let more = [
            ("b", u64::MAX),
            ("b1", 0),
            ("b12", 127),
            ("b2", 128),
            (&long, 1 << 63),
        ];
        accounts.extend(more.map(|(name, number)| (id(name), number)));
        let packed = packed(accounts.iter().cloned());
        assert!(packed.chunks.len() > 2, "more than one chunk is tried");
        let mut unpacked = packed.unpack();
        for (id, number) in &accounts {
            assert_eq!(unpacked.next(), Some((id.as_str(), *number)));
        }
        assert_eq!(unpacked.next(), None);
        assert_eq!(Packed::default().unpack().next(), None);
    }

    #[test]
    fn an_account_that_is_out_of_order_is_not_taken() {
        let mut packed = packed([(id("0"), 1), (id("c"), 2)]);
        for late in [AccountId::world(), id("0"), id("b"), id("c")] {
            assert!(!packed.push(late, 3));
        }
        assert!(packed.push(id("d"), 4));
        let mut unpacked = packed.unpack();
        let numbers: Vec<u64> = std::iter::from_fn(|| unpacked.next().map(|(_, number)| number)).collect();
        assert_eq!(numbers, [1, 2, 4]);
    }

    #[test]
    fn accounts_take_a_few_bytes_each() {
        let accounts = (0..100_000).map(|n| (id(&format!("account-{n:08}")), 3));
        assert!(packed(accounts).chunks.len() * CHUNK < 100_000 * 6);
    }
}
