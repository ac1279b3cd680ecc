//! How bytes become decisions: targets that need structure read it from their input, byte by byte.
//!
//! Every input is a valid one: what is missing at its end is zero. So a fuzzer that changes, cuts or joins inputs always
//! gets another story out of them, and never one that is thrown away.

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    3,
    7,
    10,
    100,
    255,
    65_536,
    0xffff_ffff,
    0x1_0000_0000,
    1_000_000_000_000_000_000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX - 1,
    u64::MAX,
];

/// An input on its way from the first byte to the last.
#[derive(Clone, Debug)]
pub(crate) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Reads from the start of `input`.
    pub(crate) fn new(input: &'a [u8]) -> Choices<'a> {
        Choices { rest: input }
    }

    /// Whether everything has been read.
    pub(crate) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => 0,
        }
    }

    /// A number below `bound`, which must not be 0: one byte's worth if that is enough, else two.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let low = usize::from(self.byte());
        if bound <= 256 {
            return low % bound;
        }
        (low | usize::from(self.byte()) << 8) % bound
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of `from`, which must not be empty.
    pub(crate) fn pick<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }

    /// Any number, but mostly one where arithmetic goes wrong.
    pub(crate) fn number(&mut self) -> u64 {
        let choice = usize::from(self.byte());
        match EDGES.get(choice % 32) {
            Some(&edge) => edge,
            None if choice % 32 < 24 => u64::from(self.byte()),
            None => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// [`Choices::number`], also negative.
    pub(crate) fn signed(&mut self) -> i64 {
        i64::from_le_bytes(self.number().to_le_bytes())
    }

    /// The next `len` bytes, or what is left of them.
    pub(crate) fn slice(&mut self, len: usize) -> &'a [u8] {
        let (slice, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        slice
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_read_once_and_goes_on_as_zeros() {
        let mut choices = Choices::new(&[7, 1, 2, 3, 4]);
        assert_eq!(choices.below(5), 2);
        assert_eq!(choices.below(1000), 513);
        assert_eq!(choices.slice(9), [3, 4]);
        assert!(choices.is_over());
        assert_eq!((choices.byte(), choices.below(3), choices.number()), (0, 0, 0));
        assert!(!choices.flag());
    }

    #[test]
    fn every_edge_can_be_chosen() {
        for (index, edge) in EDGES.iter().enumerate() {
            let byte = u8::try_from(index).expect("few edges");
            assert_eq!(Choices::new(&[byte]).number(), *edge);
        }
        assert_eq!(Choices::new(&[15]).signed(), -1);
        assert_eq!(Choices::new(&[31, 1, 1]).number(), 257);
    }
}
