//! The functions of libc that are called here instead. Each does what the system call does, but for caught files.
#![expect(
    unsafe_code,
    reason = "a C function's name and signature are exported, and its pointers and descriptors used"
)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::slice;

use rustix::fs::{AtFlags, Statx, StatxFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};

use crate::moods;
use crate::overlay::Overlay;

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// The part of `struct iovec` that a caller fills in.
#[repr(C)]
pub(crate) struct Part {
    start: *const c_void,
    len: usize,
}

/// What a call returns that went well; else -1, and why in `errno`.
fn returned(result: io::Result<usize>) -> isize {
    match result {
        Ok(value) => isize::try_from(value).expect("no call moves more than half the memory"),
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            // SAFETY: libc keeps this number for every thread, for ever.
            unsafe { *__errno_location() = number };
            -1
        }
    }
}

fn returned_int(result: io::Result<()>) -> c_int {
    c_int::try_from(returned(result.map(|()| 0))).expect("0 or -1")
}

/// # Safety
/// As the caller of the C function promises: the descriptor stays open during the call, or is -1 at worst.
unsafe fn borrow<'a>(fd: c_int) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// # Safety
/// As the caller of the C function promises: `len` bytes at `start` can be read.
unsafe fn bytes<'a>(start: *const c_void, len: usize) -> &'a [u8] {
    if start.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(start.cast(), len) }
}

/// # Safety
/// As the caller of the C function promises: `len` bytes at `start` can be written.
unsafe fn zeroed<'a>(start: *mut c_void, len: usize) -> &'a mut [u8] {
    if start.is_null() || len == 0 {
        return &mut [];
    }
    // SAFETY: the caller's promise; after this nothing in it is uninitialised.
    unsafe {
        ptr::write_bytes(start.cast::<u8>(), 0, len);
        slice::from_raw_parts_mut(start.cast(), len)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("memory fits in 64 bits")
}

fn offset_of(offset: i64) -> io::Result<u64> {
    u64::try_from(offset).map_err(|_| Errno::INVAL.into())
}

fn write_at(fd: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let caught = Overlay::lock().and_then(|mut overlay| overlay.write(fd, bytes, offset));
    match caught {
        Some(result) => result,
        None => Ok(rustix::io::pwrite(fd, bytes, offset)?),
    }
}

fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let caught = Overlay::lock().and_then(|overlay| overlay.read(fd, buffer, offset));
    match caught {
        Some(result) => result,
        None => Ok(rustix::io::pread(fd, buffer, offset)?),
    }
}

/// Writes at the descriptor's own place, which then moves on.
fn write_on(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let caught = Overlay::lock().and_then(|mut overlay| {
        // Only files have a place.
        let place = rustix::fs::tell(fd).ok()?;
        let appends =
            rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags.contains(rustix::fs::OFlags::APPEND));
        let end = || overlay.len_of(fd)?.ok();
        let place = if appends { end().unwrap_or(place) } else { place };
        let result = overlay.write(fd, bytes, place)?;
        Some(result.map(|taken| (taken, place + length(&bytes[..taken]))))
    });
    match caught {
        Some(result) => {
            let (taken, place) = result?;
            rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(place))?;
            Ok(taken)
        }
        None => Ok(rustix::io::write(fd, bytes)?),
    }
}

/// Reads from the descriptor's own place, which then moves on.
fn read_on(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let caught = Overlay::lock().and_then(|overlay| {
        let place = rustix::fs::tell(fd).ok()?;
        let result = overlay.read(fd, buffer, place)?;
        Some(result.map(|len| (len, place + length(&buffer[..len]))))
    });
    match caught {
        Some(result) => {
            let (len, place) = result?;
            rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(place))?;
            Ok(len)
        }
        None => Ok(rustix::io::read(fd, buffer)?),
    }
}

fn settle(fd: BorrowedFd<'_>) -> io::Result<()> {
    match Overlay::lock() {
        Some(mut overlay) => overlay.settle(fd),
        None => Ok(()),
    }
}

/// # Safety
/// As `pwrite64` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pwrite64(fd: c_int, start: *const c_void, len: usize, offset: i64) -> isize {
    // SAFETY: the caller's promises are those of libc's function.
    let (fd, bytes) = unsafe { (borrow(fd), bytes(start, len)) };
    returned(fd.and_then(|fd| write_at(fd, bytes, offset_of(offset)?)))
}

/// # Safety
/// As `pread64` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pread64(fd: c_int, start: *mut c_void, len: usize, offset: i64) -> isize {
    // SAFETY: the caller's promises are those of libc's function.
    let (fd, buffer) = unsafe { (borrow(fd), zeroed(start, len)) };
    returned(fd.and_then(|fd| read_at(fd, buffer, offset_of(offset)?)))
}

/// # Safety
/// As `write` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn write(fd: c_int, start: *const c_void, len: usize) -> isize {
    // SAFETY: the caller's promises are those of libc's function.
    let (fd, bytes) = unsafe { (borrow(fd), bytes(start, len)) };
    returned(fd.and_then(|fd| write_on(fd, bytes)))
}

/// # Safety
/// As `writev` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn writev(fd: c_int, parts: *const Part, count: c_int) -> isize {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller's promises are those of libc's function.
    let (fd, parts) = unsafe { (borrow(fd), slice::from_raw_parts(parts, count)) };
    // SAFETY: the same.
    let all: Vec<u8> = parts
        .iter()
        .flat_map(|part| unsafe { bytes(part.start, part.len) })
        .copied()
        .collect();
    returned(fd.and_then(|fd| write_on(fd, &all)))
}

/// # Safety
/// As `read` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn read(fd: c_int, start: *mut c_void, len: usize) -> isize {
    // SAFETY: the caller's promises are those of libc's function.
    let (fd, buffer) = unsafe { (borrow(fd), zeroed(start, len)) };
    returned(fd.and_then(|fd| read_on(fd, buffer)))
}

/// # Safety
/// As `ftruncate64` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ftruncate64(fd: c_int, len: i64) -> c_int {
    // SAFETY: the caller's promises are those of libc's function.
    let fd = unsafe { borrow(fd) };
    returned_int(fd.and_then(|fd| {
        let len = offset_of(len)?;
        let caught = Overlay::lock().and_then(|mut overlay| overlay.set_len(fd, len));
        caught.unwrap_or_else(|| Ok(rustix::fs::ftruncate(fd, len)?))
    }))
}

/// # Safety
/// As `fsync` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: the caller's promises are those of libc's function.
    let fd = unsafe { borrow(fd) };
    returned_int(fd.and_then(|fd| {
        settle(fd)?;
        Ok(rustix::fs::fsync(fd)?)
    }))
}

/// # Safety
/// As `fdatasync` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    // SAFETY: the caller's promises are those of libc's function.
    let fd = unsafe { borrow(fd) };
    returned_int(fd.and_then(|fd| {
        settle(fd)?;
        Ok(rustix::fs::fdatasync(fd)?)
    }))
}

/// Promises nothing about durability, so it does nothing.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn sync_file_range(_fd: c_int, _offset: i64, _len: i64, _flags: c_uint) -> c_int {
    0
}

/// # Safety
/// As `statx` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn statx(
    dir: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    into: *mut Statx,
) -> c_int {
    if path.is_null() || into.is_null() {
        return returned_int(Err(Errno::FAULT.into())); // How the standard library finds out that there is such a call.
    }
    // SAFETY: the caller's promises are those of libc's function; -100 is AT_FDCWD, which rustix takes, too.
    let (dir, path) = unsafe { (BorrowedFd::borrow_raw(dir), CStr::from_ptr(path)) };
    let flags = AtFlags::from_bits_retain(flags.cast_unsigned());
    // Before the length on disk is read: another thread's fsync may bring the file there meanwhile.
    let overlay = Overlay::lock();
    let found = rustix::fs::statx(dir, path, flags, StatxFlags::from_bits_retain(mask));
    returned_int(found.map_err(io::Error::from).map(|mut found| {
        let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        if let Some(overlay) = &overlay {
            found.stx_size = overlay.len(device, found.stx_ino, found.stx_size);
        }
        // SAFETY: the caller's promise; the kernel's and libc's structures are one.
        unsafe { into.write(found) };
    }))
}

/// # Safety
/// As `clock_gettime` of libc.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_gettime(clock: c_int, into: *mut Timespec) -> c_int {
    let known = [
        ClockId::Realtime,
        ClockId::Monotonic,
        ClockId::ProcessCPUTime,
        ClockId::ThreadCPUTime,
        ClockId::Boottime,
        ClockId::MonotonicCoarse,
        ClockId::RealtimeCoarse,
        ClockId::MonotonicRaw,
    ];
    let Some(id) = known.into_iter().find(|id| *id as c_int == clock) else {
        return returned_int(Err(Errno::INVAL.into()));
    };
    let mut time = rustix::time::clock_gettime(id);
    if matches!(id, ClockId::Realtime | ClockId::RealtimeCoarse) {
        time.tv_sec += moods::clock_jump();
    }
    // SAFETY: the caller's promise.
    unsafe { into.write(time) };
    0
}

/// The process ends by itself: what it wrote stays, as it would in the page cache.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_END: extern "C" fn() = {
    extern "C" fn at_end() {
        if let Some(mut overlay) = Overlay::lock() {
            overlay.settle_all();
        }
    }
    at_end
};
