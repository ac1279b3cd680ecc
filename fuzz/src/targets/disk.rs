//! One node's json store on a disk in memory: how targets open it, and what they look at.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Clock, Disk, Error, MemDisk, Opened, Owner, StoreConfig, StoreKind};
use protocol::fold::Fold;
use protocol::id::StoreId;

use crate::crc32::crc32;

pub(super) const STATE: &str = "node_N1_state.json";
pub(super) const MANIFEST: &str = "node_N1_manifest.json";
pub(super) const ACTIVE: &str = "node_N1_log.jsonl";
pub(super) const NEXT: &str = "node_N1_log.next.jsonl";

/// The store's identity.
pub(super) const STORE: StoreId = StoreId(0x9f3c);

/// What a line of the log begins with.
pub(super) const LINE: &[u8] = b"{\"crc\":\"";

/// How sealed files end behind the digits of their checksum: state file and manifest.
const ENDS: [&[u8]; 2] = [b"\"}\n}\n", b"\"\n}\n"];

/// Opens N1's store, with short segments and a clock that advances 60 ms whenever it is asked.
pub(super) fn open<S: Fold>(disk: &MemDisk) -> Result<Opened<S>, Error> {
    open_as(disk, Owner::Node("N1".parse().expect("a good name")))
}

/// Opens the store of `owner`.
pub(super) fn open_as<S: Fold>(disk: &MemDisk, owner: Owner) -> Result<Opened<S>, Error> {
    let config = StoreConfig {
        dir: PathBuf::from("/nowhere"),
        owner,
        kind: StoreKind::Json,
        cluster: "local".parse().expect("a good name"),
        segment_len_max: 700,
        power_cut: None,
    };
    engine::open_on(disk, &config, STORE, ticking())
}

fn ticking() -> Clock {
    let (start, ticks) = (Instant::now(), AtomicU64::new(0));
    Arc::new(move || start + Duration::from_millis(60 * ticks.fetch_add(1, Ordering::Relaxed)))
}

/// Every file.
pub(super) fn content(disk: &MemDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list().expect("a disk in memory");
    names
        .into_iter()
        .map(|name| (name.clone(), read(disk, &name)))
        .collect()
}

/// One file.
pub(super) fn read(disk: &MemDisk, name: &str) -> Vec<u8> {
    disk.read(name).expect("a disk in memory")
}

/// Puts the right checksum on a line of the log, if it looks like one. Without its newline.
pub(super) fn reseal_line(line: &mut [u8]) {
    if let Some(digits) = line_digits(line) {
        line[8..16].copy_from_slice(digits.as_bytes());
    }
}

/// Whether a line of the log, without its newline, has the right checksum.
pub(super) fn is_sealed_line(line: &[u8]) -> bool {
    line_digits(line).is_some_and(|digits| line[8..16] == *digits.as_bytes())
}

/// The checksum that the line should have.
fn line_digits(line: &[u8]) -> Option<String> {
    let body = line
        .strip_prefix(LINE)?
        .get(8..)?
        .strip_prefix(b"\",")?
        .strip_suffix(b"}")?;
    Some(format!("{:08x}", crc32(body)))
}

/// Puts the right checksum on a state file or manifest, if it ends like one.
pub(super) fn reseal_file(file: &mut [u8]) {
    if let Some((at, digits)) = file_digits(file) {
        file[at..at + 8].copy_from_slice(digits.as_bytes());
    }
}

/// Whether a state file or manifest has the right checksum.
pub(super) fn is_sealed_file(file: &[u8]) -> bool {
    file_digits(file).is_some_and(|(at, digits)| file[at..at + 8] == *digits.as_bytes())
}

/// Where the checksum of a sealed file stands, and what it should be.
fn file_digits(file: &[u8]) -> Option<(usize, String)> {
    let body = ENDS.iter().find_map(|end| file.strip_suffix(*end))?;
    let at = body.len().checked_sub(8)?;
    body[..at]
        .ends_with(b"\"checksum\":\"")
        .then(|| (at, format!("{:08x}", crc32(&body[..at]))))
}
