//! How one input becomes another, without knowing what the code did with it.
//!
//! A poor man's mutator: no coverage, no dictionary but the corpus itself. What it finds, it finds within seconds and on
//! every toolchain; the guided fuzzer goes on from the same corpus.

use crate::random::Random;

/// Longest input made here.
const LEN_MAX: usize = 4096;

/// Bytes at which decoders turn: the widths of bincode's integers, signs, ends.
const TURNS: [u8; 12] = [0, 1, 2, 16, 64, 127, 128, 250, 251, 252, 253, 255];

/// Characters at which parsers turn.
const SIGNS: &[u8] = b"/:-+@,.{}[]\"\\ \n0919afAFzN_";

/// Changes `input` in one to four places; `other` is an input to take parts from.
pub(crate) fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        change(input, other, random);
    }
    input.truncate(LEN_MAX);
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if input.is_empty() {
        input.push(random.byte());
        return;
    }
    let at = random.below(input.len());
    let len = 1 + random.below((input.len() - at).min(32));
    match random.below(12) {
        0 | 1 => input[at] ^= 1 << random.below(8),
        2 => input[at] = random.byte(),
        3 => input[at] = TURNS[random.below(TURNS.len())],
        4 => input[at] = SIGNS[random.below(SIGNS.len())],
        5 => input[at] = input[at].wrapping_add(if random.below(2) == 0 { 1 } else { 255 }),
        6 => input.insert(at, random.byte()),
        7 => {
            input.drain(at..at + len);
        }
        8 => {
            let part = input[at..at + len].to_vec();
            input.splice(at..at, part);
        }
        9 => input.truncate(at),
        10 => {
            let target = random.below(input.len() - len + 1);
            input.copy_within(at..at + len, target);
        }
        _ => splice(input, at, other, random),
    }
}

/// Puts a part of `other` over or between the bytes at `at`.
fn splice(input: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    if other.is_empty() {
        return;
    }
    let from = random.below(other.len());
    let part = &other[from..from + 1 + random.below((other.len() - from).min(64))];
    let end = if random.below(2) == 0 {
        at
    } else {
        (at + part.len()).min(input.len())
    };
    input.splice(at..end, part.iter().copied());
}
