//! A copy of a large file that needs no memory, and the original in the copy's place.
//!
//! What is opened is read as a whole, so all of it has to be in the page cache, where the file of a process that was just killed
//! is already. To open a copy instead takes as much memory again, and a virtual machine that has to get it from its host first
//! was seen to spend two seconds on a gigabyte. So the copy is written past the page cache, and the two files change their
//! names: the copy, durable by then, is the store from now on, and the original is what is opened, and thrown away if it
//! is refused.
//!
//! The page cache may differ from the disk where a sync has failed (R23). The copy holds what the page cache says. The original
//! is written over with the same, so that a sync means all of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, OFlags, RenameFlags};

/// What is written past the page cache begins and ends with a block, on the disk and in memory.
const BLOCK: usize = 4096;

/// Bytes written past the page cache at a time: the disk should not have to wait for the next ones too often.
const DIRECT_CHUNK: usize = 1024 * 1024;

/// Bytes written over at a time: they should still be in the second-level cache then.
const CHUNK: usize = 256 * 1024;

/// Copies a file to `to`, which must not be there, past the page cache if the file system knows how, and syncs the copy.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let copy = File::create_new(to)?;
    let flags = i32::try_from(OFlags::DIRECT.bits()).expect("a flag fits");
    let direct = OpenOptions::new().write(true).custom_flags(flags).open(to);
    let direct = direct.ok();
    let mut memory = vec![0; DIRECT_CHUNK + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    let buffer = &mut memory[start..start + DIRECT_CHUNK];
    let mut offset = 0;
    loop {
        let len = read_at(&source, buffer, offset)?;
        if len == 0 {
            return copy.sync_all();
        }
        let whole = len / BLOCK * BLOCK;
        let done = match direct
            .as_ref()
            .map(|file| file.write_all_at(&buffer[..whole], offset))
        {
            Some(Ok(())) => whole,
            // Not every file system that opens a file like this takes writes of this kind.
            Some(Err(error)) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
            Some(Err(_)) | None => 0,
        };
        copy.write_all_at(&buffer[done..len], offset + length(done))?;
        offset += length(len);
    }
}

/// Has two files of two folders change their names, durably. `false` if the file system does not know how; nothing has changed
/// then.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => return Ok(false),
        result => result?,
    }
    for path in [one, other] {
        let folder = path.parent().expect("a file is in a folder");
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// Writes over a file with what it holds, so that the next sync writes all of it to the disk.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn write_over(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let len = read_at(&file, &mut buffer, offset)?;
        if len == 0 {
            return Ok(());
        }
        file.write_all_at(&buffer[..len], offset)?;
        offset += length(len);
    }
}

/// Fills the buffer from `offset` on, as far as the file goes. Says how far that is.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], offset + length(len)) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

fn length(len: usize) -> u64 {
    u64::try_from(len).expect("memory fits in 64 bits")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_copy_of_any_length_is_the_same_and_writing_over_a_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for len in [
            0,
            1,
            BLOCK - 1,
            BLOCK,
            CHUNK + 1,
            DIRECT_CHUNK,
            2 * DIRECT_CHUNK + BLOCK + 7,
        ] {
            let content: Vec<u8> = (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
            fs::write(&from, &content).unwrap();
            copy(&from, &to).unwrap();
            assert!(fs::read(&to).unwrap() == content, "{len}");
            assert!(copy(&from, &to).is_err(), "it is there already");
            write_over(&from).unwrap();
            assert!(fs::read(&from).unwrap() == content, "{len}");
            fs::remove_file(&to).unwrap();
        }
    }

    #[test]
    fn two_files_change_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("a/db"), dir.path().join("b/db"));
        for path in [&one, &other] {
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(path, path.to_string_lossy().as_bytes()).unwrap();
        }
        let number = |path: &Path| fs::metadata(path).unwrap().ino();
        let before = (number(&one), number(&other));
        assert!(exchange(&one, &other).unwrap());
        assert_eq!((number(&other), number(&one)), before);
        assert!(exchange(&one, &dir.path().join("c/db")).is_err());
    }
}
