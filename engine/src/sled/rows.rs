//! How an entry lies in the tree: cut into rows that are small enough, whatever the entry's size.
//!
//! A leaf of sled holds 16 rows and more before it splits, whatever their size, and a page that is larger than a
//! quarter of a segment leaves the log for a file in `blobs/` that sled never syncs. So no row may be large: an entry
//! of at most [`CHUNK_LEN_MAX`] bytes is one row, a longer one several.
//!
//! ```text
//! row key    number of the table, u8 · encoded key of the entry, which sorts as its numbers do · chunk number, u16 BE
//! row 0      number of chunks, u16 LE · first bytes of the encoded entry
//! row n      the bytes that follow
//! ```
//!
//! Transactions and requests are numbered in the order in which they come, so what is settled of them together lies
//! side by side, on few pages. The tables share one tree with the [journal](super::journal), in front of them, and the
//! [tally](super::tally), behind them, because sled changes one tree atomically at less cost than several.

use protocol::codec;
use protocol::fold::{Fold, Table};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Most bytes of an entry in one row.
pub(super) const CHUNK_LEN_MAX: usize = 2048;

/// Bytes of a row's key behind the entry's own key.
const SUFFIX_LEN: usize = 2;

/// The first byte of a row's key, by table. The journal has 0, the tally 255.
const TABLES: [(u8, Table); 4] = [
    (1, Table::Accounts),
    (2, Table::Prepared),
    (3, Table::Outcomes),
    (4, Table::Meta),
];

/// Appends the key of an entry within a store: its table's number, and its own key.
pub(super) fn entry_key_into<S: Fold>(key: &S::Key, bytes: &mut Vec<u8>) {
    let table = S::table(key);
    let (number, _) = TABLES
        .iter()
        .find(|(_, known)| *known == table)
        .expect("every table has a number");
    bytes.push(*number);
    codec::encode_sorted_into(key, bytes);
}

/// The place in `Table::ALL` of the table that a row belongs to; `None` for the key of no row of an entry.
pub(super) fn table_of(row_key: &[u8]) -> Option<usize> {
    let first = row_key.first()?;
    TABLES.iter().position(|(number, _)| number == first)
}

/// Rows that an entry of `len` bytes takes.
pub(super) fn rows_of(len: usize) -> usize {
    len.div_ceil(CHUNK_LEN_MAX).max(1)
}

/// The key of chunk `chunk` of the entry under `key`.
pub(super) fn row_key(key: &[u8], chunk: u16) -> Vec<u8> {
    let mut row_key = Vec::with_capacity(key.len() + SUFFIX_LEN);
    row_key.extend_from_slice(key);
    row_key.extend_from_slice(&chunk.to_be_bytes());
    row_key
}

/// The entry's key and the chunk number in a row's key.
pub(super) fn split_row_key(row_key: &[u8]) -> Option<(&[u8], u16)> {
    let (key, chunk) = row_key.split_last_chunk::<SUFFIX_LEN>()?;
    (key.len() > 1).then_some((key, u16::from_be_bytes(*chunk)))
}

/// The rows of an entry whose encoding is `value`, in order.
///
/// # Panics
/// If the entry is larger than 128 MiB; entries are bounded by what fits into a frame.
pub(super) fn rows(value: &[u8]) -> impl Iterator<Item = (u16, Vec<u8>)> {
    let count = u16::try_from(rows_of(value.len())).expect("an entry is smaller than a frame");
    (0..count).map(move |chunk| {
        let start = usize::from(chunk) * CHUNK_LEN_MAX;
        let bytes = &value[start..value.len().min(start + CHUNK_LEN_MAX)];
        let row = if chunk == 0 {
            let mut row = Vec::with_capacity(2 + bytes.len());
            row.extend_from_slice(&count.to_le_bytes());
            row.extend_from_slice(bytes);
            row
        } else {
            bytes.to_vec()
        };
        (chunk, row)
    })
}

/// The number of chunks that row 0 announces, and its share of the entry.
pub(super) fn split_first_row(row: &[u8]) -> Option<(u16, &[u8])> {
    let (count, bytes) = row.split_first_chunk::<2>()?;
    let count = u16::from_le_bytes(*count);
    (count > 0).then_some((count, bytes))
}

/// What a row adds to the digest of its store.
pub(super) fn row_hash(row_key: &[u8], row: &[u8]) -> u64 {
    xxh3_64_with_seed(row, xxh3_64_with_seed(row_key, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_any_size_reads_back_from_its_rows() {
        for len in [
            0,
            1,
            CHUNK_LEN_MAX - 1,
            CHUNK_LEN_MAX,
            CHUNK_LEN_MAX + 1,
            10 * CHUNK_LEN_MAX,
            300_000,
        ] {
            let value: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let rows: Vec<_> = rows(&value).collect();
            assert_eq!(rows.len(), rows_of(len));
            assert!(rows.iter().all(|(_, row)| row.len() <= CHUNK_LEN_MAX + 2));
            let (count, first) = split_first_row(&rows[0].1).unwrap();
            assert_eq!(usize::from(count), rows.len());
            let mut back = first.to_vec();
            for (at, (chunk, row)) in rows.iter().enumerate() {
                assert_eq!(usize::from(*chunk), at);
                if at > 0 {
                    back.extend_from_slice(row);
                }
            }
            assert_eq!(back, value);
        }
    }

    #[test]
    fn a_row_key_gives_back_key_and_chunk() {
        assert_eq!(split_row_key(&row_key(b"tA", 513)), Some((&b"tA"[..], 513)));
        assert_eq!(split_row_key(b""), None);
        assert_eq!(
            split_row_key(&[1, 0, 1]),
            None,
            "an entry's own key is never empty"
        );
    }

    #[test]
    fn the_digest_tells_key_and_value_apart() {
        let hash = row_hash(b"key", b"value");
        assert_ne!(hash, row_hash(b"kez", b"value"));
        assert_ne!(hash, row_hash(b"key", b"valuf"));
    }
}
