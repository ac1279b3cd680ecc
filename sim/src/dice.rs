//! Chance that can be repeated: every throw follows from the seed.

use fastrand::Rng;

/// Tenths of a percent.
pub type Permille = u32;

/// One stream of throws. Streams of one seed do not depend on each other, so that one more throw in one place does not
/// change the whole story.
#[derive(Clone, Debug)]
pub struct Dice(Rng);

impl Dice {
    /// The stream called `name` of `seed`.
    pub fn new(seed: u64, name: &str) -> Dice {
        let stream = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed);
        Dice(Rng::with_seed(stream))
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    /// From `low` to `high`, both possible.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high)
    }

    /// As [`Dice::between`], with small numbers far likelier than large ones: each power of two between them has the same
    /// share.
    pub fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let span = high - low + 1;
        let bits = self.0.u32(0..=span.ilog2());
        low + self.0.u64(..span.min(1 << bits).max(1))
    }

    /// Whether something that likely happens.
    pub fn chance(&mut self, permille: Permille) -> bool {
        self.0.u32(..1000) < permille
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.u64(..)
    }
}
