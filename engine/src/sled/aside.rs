//! A copy of a large file that needs no memory, and the original in the copy's place.
//!
//! What is opened is read as a whole, so all of it has to be in the page cache, where the file of a process that was just killed
//! is already. To open a copy instead takes as much memory again, and a virtual machine that has to get it from its host first
//! was seen to spend two seconds on a gigabyte. So the copy is written past the page cache, and the two files change their
//! names: the copy, durable by then, is the store from now on, and the original is what is opened, and thrown away if it
//! is refused. The price is a disk that writes the file twice.
//!
//! The page cache may differ from the disk where a sync has failed (R23). The copy holds what the page cache says. The original
//! is written over with the same, so that a sync means all of it.
//!
//! This is for Linux, for a file that has no other name, and for file systems that can exchange names. Elsewhere the copy is
//! what is opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// What is written past the page cache begins and ends with a block, on the disk and in memory.
const BLOCK: usize = 4096;

/// Bytes written past the page cache at a time: the disk should not have to wait for the next ones too often.
const DIRECT_CHUNK: usize = 1024 * 1024;

/// Bytes written over at a time: they should still be in the second-level cache then.
const CHUNK: usize = 256 * 1024;

/// Whether a file is one that may be opened in place of its copy: nobody finds it under another name.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn is_alone(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(cfg!(target_os = "linux") && metadata.is_file() && metadata.nlink() == 1)
}

/// Copies a file to `to`, which must not be there, past the page cache if the file system knows how, and syncs the copy.
///
/// # Errors
/// Whatever the system reports.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let copy = File::create_new(to)?;
    let mut direct = past_the_cache(to);
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
        // Not every file system that opens a file like this takes writes of this kind. What is wrong with the disk shows
        // below as well.
        direct = direct.filter(|file| file.write_all_at(&buffer[..whole], offset).is_ok());
        let done = if direct.is_some() { whole } else { 0 };
        copy.write_all_at(&buffer[done..len], offset + length(done))?;
        offset += length(len);
    }
}

/// A file that is there, to be written past the page cache; `None` where that cannot be.
#[cfg(target_os = "linux")]
fn past_the_cache(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).expect("a flag fits");
    OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn past_the_cache(_: &Path) -> Option<File> {
    None
}

/// Has two files of two folders change their names, durably. `false` if that cannot be; nothing has changed then.
///
/// # Errors
/// Whatever the system reports of the folders' syncs.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    if let Err(error) = exchange_names(one, other) {
        log::debug!("{} stays where it is: {error}", one.display());
        return Ok(false);
    }
    for path in [one, other] {
        let folder = path.parent().expect("a file is in a folder");
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

#[cfg(target_os = "linux")]
fn exchange_names(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange_names(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
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
        assert!(!exchange(&one, &dir.path().join("c/db")).unwrap());
        assert_eq!((number(&other), number(&one)), before, "nothing has changed");
    }

    #[test]
    fn only_a_file_that_has_no_other_name_may_be_opened_itself() {
        let dir = tempfile::tempdir().unwrap();
        let [file, linked, link] = ["file", "linked", "link"].map(|name| dir.path().join(name));
        fs::write(&file, "x").unwrap();
        assert!(is_alone(&file).unwrap());
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(!is_alone(&link).unwrap());
        fs::hard_link(&file, &linked).unwrap();
        assert!(!is_alone(&file).unwrap());
        assert!(is_alone(&dir.path().join("none")).is_err());
    }
}
