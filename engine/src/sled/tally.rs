//! What all rows of a store must add up to: how loss that sled does not report is noticed at open.
//!
//! sled skips log messages whose checksum fails as if they had never been written. The tally is a row of its own,
//! changed in the same batch as the rows it counts; a store whose rows do not add up to it is refused. It counts the rows of
//! entries and those of the journal apart.

use protocol::codec;
use protocol::fold::Seq;
use protocol::id::StoreId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::journal::Extent;
use super::rows::{row_hash, table_of};

/// The tally's key. Keys of all other rows are longer and smaller.
pub(super) const TALLY_KEY: &[u8] = &[0xff];

/// Version of everything this backend writes.
pub(super) const FORMAT: u8 = 3;

/// Sequence number, number of rows and digest of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    format: u8,
    /// The store all this belongs to.
    pub(super) store: StoreId,
    /// The newest record that rows and journal contain.
    pub(super) seq: Seq,
    /// Rows of entries in each table, in the order of `Table::ALL`.
    pub(super) rows: [u64; 4],
    /// Sum over the hashes of all of them.
    pub(super) digest: u64,
    /// The journal.
    pub(super) journal: Extent,
}

/// Why a row is not the tally of a store that this program can read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is damaged; how.
    Damaged(String),
    /// It is whole, and of another version.
    Format(u8),
}

impl Tally {
    /// The tally of a store without a row.
    pub(super) fn empty(store: StoreId) -> Tally {
        Tally {
            format: FORMAT,
            store,
            seq: 0,
            rows: [0; 4],
            digest: 0,
            journal: Extent::default(),
        }
    }

    /// A row of an entry came.
    ///
    /// # Panics
    /// If it is another row.
    pub(super) fn add(&mut self, row_key: &[u8], row: &[u8]) {
        let table = table_of(row_key).expect("only rows of entries are counted");
        self.rows[table] += 1;
        self.digest = self.digest.wrapping_add(row_hash(row_key, row));
    }

    /// A row of an entry went.
    ///
    /// # Panics
    /// If there was none: open counted them.
    pub(super) fn remove(&mut self, row_key: &[u8], row: &[u8]) {
        let table = table_of(row_key).expect("only rows of entries are counted");
        self.rows[table] = self.rows[table]
            .checked_sub(1)
            .expect("a row that goes was counted when it came");
        self.digest = self.digest.wrapping_sub(row_hash(row_key, row));
    }

    /// As the value of its row.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = codec::encode(self);
        let seal = xxh3_64(&bytes);
        bytes.extend_from_slice(&seal.to_le_bytes());
        bytes
    }

    /// Back from its row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Tally, Unreadable> {
        let damaged = |text: &str| Unreadable::Damaged(format!("the tally {text}"));
        let (body, seal) = bytes
            .split_last_chunk::<8>()
            .ok_or_else(|| damaged("is cut off"))?;
        if u64::from_le_bytes(*seal) != xxh3_64(body) {
            return Err(damaged("has another checksum"));
        }
        // The format comes first in all versions, and what follows may have changed.
        match body.first() {
            Some(&FORMAT) | None => {
                codec::decode(body).map_err(|error| Unreadable::Damaged(format!("the tally: {error}")))
            }
            Some(&format) => Err(Unreadable::Format(format)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_again_leaves_no_trace() {
        let mut tally = Tally::empty(StoreId(7));
        tally.add(&[2, 0], b"x");
        let one = tally;
        tally.add(&[3, 0], b"y");
        tally.add(&[2, 1], b"z");
        tally.remove(&[3, 0], b"y");
        tally.remove(&[2, 1], b"z");
        assert_eq!(tally, one);
        assert_ne!(tally.digest, 0);
    }

    #[test]
    fn every_flipped_bit_of_a_tally_is_noticed() {
        let mut tally = Tally::empty(StoreId(7));
        tally.add(&[1, 0], b"x");
        let good = tally.encode();
        assert_eq!(Tally::decode(&good), Ok(tally));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(Tally::decode(&bad), Err(Unreadable::Damaged(_))),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_tally_of_another_format_is_not_taken_for_a_damaged_one() {
        for other in [FORMAT - 1, FORMAT + 1] {
            let tally = Tally {
                format: other,
                ..Tally::empty(StoreId(7))
            };
            assert_eq!(Tally::decode(&tally.encode()), Err(Unreadable::Format(other)));
        }
    }
}
