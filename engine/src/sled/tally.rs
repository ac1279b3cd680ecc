//! What all rows of a store must add up to: how loss that sled does not report is noticed at open.
//!
//! sled skips log messages whose checksum fails as if they had never been written. The tally is a row of its own,
//! changed in the same transaction as the rows it counts; a store whose rows do not add up to it is refused.

use protocol::codec;
use protocol::fold::Seq;
use protocol::id::StoreId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::rows::row_hash;

/// The tally's key in the tree `meta`. Keys of entries are longer.
pub(super) const TALLY_KEY: &[u8] = &[0xff];

/// Version of everything this backend writes.
const FORMAT: u8 = 2;

/// Sequence number, number of rows and digest of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    format: u8,
    /// The store all this belongs to.
    pub(super) store: StoreId,
    /// The newest record that the rows contain.
    pub(super) seq: Seq,
    /// Rows in each tree, in the order of `Table::ALL`, the tally itself not counted.
    pub(super) rows: [u64; 4],
    /// Sum over the hashes of all rows.
    pub(super) digest: u64,
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
        }
    }

    /// The same rows, said to be those of record `seq`.
    pub(super) fn at(self, seq: Seq) -> Tally {
        Tally { seq, ..self }
    }

    /// A row came.
    pub(super) fn add(&mut self, table: usize, row_key: &[u8], row: &[u8]) {
        self.rows[table] += 1;
        self.digest = self.digest.wrapping_add(row_hash(table, row_key, row));
    }

    /// A row went.
    ///
    /// # Panics
    /// If there was none: open counted them.
    pub(super) fn remove(&mut self, table: usize, row_key: &[u8], row: &[u8]) {
        self.rows[table] = self.rows[table]
            .checked_sub(1)
            .expect("a row that goes was counted when it came");
        self.digest = self.digest.wrapping_sub(row_hash(table, row_key, row));
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
    /// A text that says what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Tally, String> {
        let (body, seal) = bytes.split_last_chunk::<8>().ok_or("the tally is cut off")?;
        if u64::from_le_bytes(*seal) != xxh3_64(body) {
            return Err("the tally's checksum does not match".to_owned());
        }
        codec::decode(body).map_err(|error| format!("the tally: {error}"))
    }

    /// Why this program cannot read the rows, if it cannot: they are of another version.
    pub(super) fn unknown(&self) -> Option<String> {
        (self.format != FORMAT).then(|| {
            format!(
                "has format {}, and this program knows format {FORMAT}: use the version of the program that wrote it",
                self.format
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::fold::Table;
    use protocol::participant::NodeState;

    use super::super::batch::Batch;
    use super::super::database::Database;
    use super::super::load::load;
    use super::*;
    use crate::Error;

    #[test]
    fn what_came_and_went_again_leaves_no_trace() {
        let mut tally = Tally::empty(StoreId(7));
        tally.add(1, b"a", b"x");
        let one = tally;
        tally.add(2, b"b", b"y");
        tally.add(1, b"c", b"z");
        tally.remove(2, b"b", b"y");
        tally.remove(1, b"c", b"z");
        assert_eq!(tally, one);
        assert_ne!(tally.digest, 0);
    }

    #[test]
    fn every_flipped_bit_of_a_tally_is_noticed() {
        let mut tally = Tally::empty(StoreId(7));
        tally.add(0, b"a", b"x");
        let good = tally.encode();
        assert_eq!(Tally::decode(&good), Ok(tally));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Tally::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_store_of_another_format_is_refused_for_that_and_not_as_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(&dir.path().join("old")).unwrap();
        let mut batch = Batch::new(1);
        batch.put(Table::Accounts, b"written otherwise".to_vec(), Some(vec![1]));
        let old = Tally {
            format: FORMAT - 1,
            ..Tally::empty(StoreId(7))
        };
        database.apply(&batch, old).unwrap();
        let refused = load::<NodeState>(&database, dir.path(), StoreId(7)).unwrap_err();
        assert!(
            matches!(&refused, Error::Mismatch(why) if why.contains("has format 1")),
            "{refused}"
        );
    }
}
