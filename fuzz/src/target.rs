//! What a target is, and what holds for each of them: no panic, bounded memory, bounded time.

use std::time::{Duration, Instant};

use crate::seen::Seen;

/// One thing to be fuzzed, with its oracle.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names it on the command line and in `corpus/`.
    pub name: &'static str,
    /// What it holds the code to.
    pub holds: &'static str,
    /// Judges one input; panics if it proves the code wrong.
    pub(crate) judge: fn(&[u8], &mut Seen),
    /// Inputs to begin with, each with a word for what it is.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
    /// Bytes that an input may make the code hold at one time: this many in any case, and per byte of input.
    pub(crate) memory: (u64, u64),
    /// Ways that the corpus must have gone.
    pub shows: &'static [&'static str],
    /// Faults that the corpus must have injected.
    pub faults: &'static [&'static str],
}

/// Longest that one input may take, on a slow machine that does other things besides.
const TIME_MAX: Duration = Duration::from_secs(5);

impl Target {
    /// Judges `input`, and what it cost.
    ///
    /// # Panics
    /// If the input proves the code wrong: that is what a fuzzer looks for.
    pub fn run(&self, input: &[u8], seen: &mut Seen) {
        let began = Instant::now();
        let used = allocation_counter::measure(|| (self.judge)(input, seen));
        let (base, per_byte) = self.memory;
        let len = u64::try_from(input.len()).expect("memory fits in 64 bits");
        let limit = base + per_byte * len;
        assert!(
            used.bytes_max <= limit,
            "{len} bytes of input made the code hold {} bytes, more than {limit}",
            used.bytes_max
        );
        assert!(began.elapsed() < TIME_MAX, "it took {:?}", began.elapsed());
    }
}

/// The most that `work` holds at one time beyond what it found, in bytes.
pub(crate) fn peak_of(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_max
}
