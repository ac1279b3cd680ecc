//! What was written to a file and no sync has covered: how a power cut is played, whoever plays it.
//!
//! [`VolatileDisk`](crate::VolatileDisk) does so within a process, the package `twopence-powercut` from below it.

use std::io;
use std::mem;
use std::ops::Range;

use crate::dice::Dice;

/// Takes what becomes durable.
pub trait Durable {
    /// Writes all of `bytes` at `offset`; what was never written before it reads as zeros.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes it `len` bytes long.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn set_size(&mut self, len: u64) -> io::Result<()>;
}

/// The unsynced changes of one file, in order.
#[derive(Debug, Default)]
pub struct Unsynced {
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Unsynced {
    /// Notes a write.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        // Where the same place is written again and again without a sync, the last time is enough.
        if let Some(Change::Write {
            offset: before,
            bytes: old,
        }) = self.changes.last_mut()
            && *before == offset
            && old.len() <= bytes.len()
        {
            *old = bytes.to_vec();
            return;
        }
        self.changes.push(Change::Write {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    /// Notes a change of the length.
    pub fn set_len(&mut self, len: u64) {
        self.changes.push(Change::SetLen(len));
    }

    /// Whether everything is durable.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes that wait for a sync.
    pub fn bytes(&self) -> u64 {
        self.changes.iter().map(Change::bytes).sum()
    }

    /// How long a file is for its process that is `durable` bytes long on disk.
    pub fn len_over(&self, durable: u64) -> u64 {
        self.changes.iter().fold(durable, |len, change| match change {
            Change::Write { offset, bytes } => len.max(offset + length(bytes)),
            Change::SetLen(len) => *len,
        })
    }

    /// Makes what is durable in `content`, a part of the file from `offset` on, with zeros behind its end, into what the
    /// process sees.
    pub fn lay_over(&self, content: &mut [u8], offset: u64) {
        let place = |of_file: Range<u64>, within: usize| {
            let clip = |at: u64| {
                usize::try_from(at.saturating_sub(offset))
                    .unwrap_or(usize::MAX)
                    .min(within)
            };
            clip(of_file.start)..clip(of_file.end)
        };
        for change in &self.changes {
            match change {
                Change::Write { offset: start, bytes } => {
                    let target = place(*start..start + length(bytes), content.len());
                    let skipped = usize::try_from(offset.saturating_sub(*start)).unwrap_or(usize::MAX);
                    if !target.is_empty() {
                        let len = target.len();
                        content[target].copy_from_slice(&bytes[skipped..skipped + len]);
                    }
                }
                Change::SetLen(len) => {
                    let cut = place(*len..u64::MAX, content.len());
                    content[cut].fill(0);
                }
            }
        }
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// Whatever `durable` reports; everything stays listed then, whether it is durable or not.
    pub fn settle(&mut self, durable: &mut impl Durable) -> io::Result<()> {
        for change in &self.changes {
            match change {
                Change::Write { offset, bytes } => durable.write(*offset, bytes)?,
                Change::SetLen(len) => durable.set_size(*len)?,
            }
        }
        mem::take(&mut self.changes);
        Ok(())
    }

    /// Makes some of it durable, although nobody asked for it. It stays listed: the next sync covers all of it.
    ///
    /// # Errors
    /// Whatever `durable` reports.
    pub fn leak(&self, dice: &mut Dice, durable: &mut impl Durable) -> io::Result<()> {
        let (mut left, changes) = if dice.one_in(4) && !self.is_empty() {
            // One write alone: what came before it is not there.
            let count = u64::try_from(self.changes.len()).expect("memory fits in 64 bits");
            let one = usize::try_from(dice.below(count)).expect("an index");
            let change = &self.changes[one..=one];
            (dice.below(change[0].bytes() + 1), change)
        } else {
            // All of them up to somewhere, in the middle of a write most likely.
            (dice.below(self.bytes() + 1), self.changes.as_slice())
        };
        for change in changes {
            match change {
                Change::Write { offset, bytes } => {
                    let kept = left.min(length(bytes));
                    let torn = &bytes[..usize::try_from(kept).expect("at most its length")];
                    durable.write(*offset, torn)?;
                    left -= kept;
                }
                Change::SetLen(len) => durable.set_size(*len)?,
            }
            if left == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Change {
    fn bytes(&self) -> u64 {
        match self {
            Change::Write { bytes, .. } => length(bytes),
            Change::SetLen(_) => 0,
        }
    }
}

impl Durable for Vec<u8> {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = index(offset)?;
        let end = start + bytes.len();
        if self.len() < end {
            self.resize(end, 0);
        }
        self[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_size(&mut self, len: u64) -> io::Result<()> {
        self.resize(index(len)?, 0);
        Ok(())
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("memory fits in 64 bits")
}

/// When something becomes durable early: never, now and then, or often, as a seed says.
#[derive(Clone, Debug)]
pub struct Leaks {
    dice: Dice,
    /// At one operation in so many.
    one_in: Option<u64>,
}

impl Leaks {
    /// What `seed` says.
    pub fn new(seed: u64) -> Leaks {
        let mut dice = Dice::new(seed);
        let one_in = match dice.below(3) {
            0 => None,
            1 => Some(64),
            _ => Some(8),
        };
        Leaks { dice, one_in }
    }

    /// None at all.
    pub fn never() -> Leaks {
        Leaks {
            dice: Dice::new(0),
            one_in: None,
        }
    }

    /// After an operation: dice to choose with what becomes durable, if something does.
    pub fn chance(&mut self) -> Option<Dice> {
        let one_in = self.one_in?;
        self.dice.one_in(one_in).then(|| self.dice.fork())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with unsynced changes of every kind, and its content as the process sees it.
    fn random(dice: &mut Dice) -> (Vec<u8>, Unsynced, Vec<u8>) {
        let durable: Vec<u8> = (0..dice.below(20)).map(|_| b'd').collect();
        let mut unsynced = Unsynced::default();
        let mut seen = durable.clone();
        for number in b'0'..b'0' + u8::try_from(dice.below(6)).unwrap() {
            if dice.one_in(4) {
                let len = dice.below(25);
                unsynced.set_len(len);
                seen.set_size(len).unwrap();
            } else {
                let bytes = vec![number; usize::try_from(dice.below(9)).unwrap()];
                let offset = dice.below(22);
                unsynced.write(offset, &bytes);
                seen.write(offset, &bytes).unwrap();
            }
        }
        (durable, unsynced, seen)
    }

    #[test]
    fn every_part_reads_as_if_it_were_written() {
        let mut dice = Dice::new(7);
        for round in 0..2000 {
            let (durable, unsynced, seen) = random(&mut dice);
            assert_eq!(
                unsynced.len_over(length(&durable)),
                length(&seen),
                "round {round}"
            );
            let (start, len) = (index(dice.below(30)).unwrap(), index(dice.below(30)).unwrap());
            let part = |bytes: &[u8]| {
                let mut part: Vec<u8> = bytes.iter().skip(start).take(len).copied().collect();
                part.resize(len, 0);
                part
            };
            let mut content = part(&durable);
            unsynced.lay_over(&mut content, length(&vec![0; start]));
            assert_eq!(
                content,
                part(&seen),
                "round {round}: {unsynced:?}, {len} bytes from {start}"
            );
        }
    }

    #[test]
    fn a_sync_makes_up_for_whatever_leaked() {
        let mut dice = Dice::new(8);
        for round in 0..2000 {
            let (mut durable, mut unsynced, seen) = random(&mut dice);
            for _ in 0..dice.below(3) {
                unsynced.leak(&mut dice, &mut durable).unwrap();
            }
            unsynced.settle(&mut durable).unwrap();
            assert!(unsynced.is_empty() && unsynced.bytes() == 0);
            assert_eq!(durable, seen, "round {round}");
        }
    }

    #[test]
    fn a_place_that_is_written_for_ever_without_a_sync_is_kept_once() {
        let mut unsynced = Unsynced::default();
        for round in 0..1000_u64 {
            unsynced.write(4, &round.to_le_bytes());
        }
        assert_eq!(unsynced.bytes(), 8);
        let mut content = Vec::new();
        unsynced.settle(&mut content).unwrap();
        assert_eq!(content[4..], 999_u64.to_le_bytes());
    }

    #[test]
    fn some_seeds_leak_and_some_never_do() {
        let leaks = |seed: &u64| {
            let mut leaks = Leaks::new(*seed);
            (0..1000).any(|_| leaks.chance().is_some())
        };
        let leaking = (0..30).filter(leaks).count();
        assert!((10..30).contains(&leaking), "{leaking} of 30 seeds leak");
    }
}
