//! Chance that can be repeated: numbers that look random and follow from a seed alone.

/// A source of numbers. Not for secrets: splitmix64 (Steele, Lea and Flood).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of one seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of a product: every number is equally likely but for one in 2^64 / bound.
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).expect("below the bound")
    }

    /// True once in `times`, on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Dice that go their own way from here on.
    pub fn fork(&mut self) -> Dice {
        Dice(self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_every_number_comes_up() {
        let throw = |seed| {
            let mut dice = Dice::new(seed);
            std::iter::repeat_with(|| dice.below(6))
                .take(1000)
                .collect::<Vec<u64>>()
        };
        assert_eq!(throw(1), throw(1));
        assert_ne!(throw(1), throw(2));
        for number in 0..6 {
            let times = throw(3).iter().filter(|thrown| **thrown == number).count();
            assert!((100..240).contains(&times), "{number} came {times} times in 1000");
        }
    }
}
