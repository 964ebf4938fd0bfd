//! Memory that two processes share: 64-bit words that either may read, write and wait on at any time, and a text.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

/// Words that are used.
pub const WORDS: usize = 128;
/// Bytes of text.
pub const TEXT: usize = 12 * 1024;
/// Where the text begins.
const TEXT_START: usize = 4096;
const LENGTH: NonZeroUsize = NonZeroUsize::new(TEXT_START + TEXT).unwrap();

/// The shared memory; unmapped when dropped. What nobody writes to costs no memory.
#[derive(Debug)]
pub struct Page(NonNull<c_void>);

// SAFETY: the mapping belongs to no thread, and all access to it is atomic.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Makes it, all zeros, and the descriptor by which another process opens it.
    pub fn create() -> Result<(Self, OwnedFd), Errno> {
        let fd = memfd_create(c"rcluster", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&fd, LENGTH.get() as i64)?;
        // Who could shrink it could end the other with a SIGBUS.
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(seals))?;
        Ok((Self::map(&fd)?, fd))
    }

    /// Opens what another process has made.
    pub fn open(fd: &OwnedFd) -> Result<Self, Errno> {
        if fstat(fd)?.st_size < LENGTH.get() as i64 {
            return Err(Errno::EINVAL);
        }
        Self::map(fd)
    }

    fn map(fd: &OwnedFd) -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        unsafe { mmap(None, LENGTH, protection, MapFlags::MAP_SHARED, fd.as_fd(), 0) }.map(Self)
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU64; WORDS] {
        // SAFETY: the mapping is page-aligned, longer than the words and lives as long as `self`; any bits are a
        // valid AtomicU64, which the other process may change at any time.
        unsafe { self.0.cast().as_ref() }
    }

    fn text(&self) -> &[AtomicU8; TEXT] {
        // SAFETY: the mapping is `TEXT_START + TEXT` bytes long and lives as long as `self`; any bits are a valid
        // AtomicU8, which the other process may change at any time.
        unsafe { self.0.cast::<u8>().add(TEXT_START).cast().as_ref() }
    }

    /// Writes the text, as much of it as there is room for; how much that was.
    pub fn write_text(&self, text: &[u8]) -> usize {
        for (to, &from) in self.text().iter().zip(text) {
            to.store(from, Ordering::Relaxed);
        }
        text.len().min(TEXT)
    }

    /// Reads so much of the text.
    pub fn read_text(&self, length: usize) -> Vec<u8> {
        self.text().iter().take(length).map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    /// Waits until somebody calls `wake` for the word, unless its lower half is not `expected`, or has changed, or
    /// the time is over. May also return for no reason.
    pub fn wait(&self, word: usize, expected: u32, timeout: Option<Duration>) {
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the futex is the lower half of a live word (the kernels this runs on are little-endian), `time` is
        // null or lives until the call returns.
        unsafe {
            let address = self.words()[word].as_ptr();
            libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, expected, time);
        }
    }

    /// Wakes who waits for a word, in either process.
    pub fn wake(&self, word: usize) {
        // SAFETY: the futex is a live word; waking reads nothing of it.
        unsafe { libc::syscall(libc::SYS_futex, self.words()[word].as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; no reference outlives `self`.
        let _ = unsafe { munmap(self.0, LENGTH.get()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let (ours, fd) = Page::create().unwrap();
        let theirs = Page::open(&fd).unwrap();
        theirs.words()[3].store(7, Relaxed);
        assert_eq!(ours.words()[3].load(Relaxed), 7);
    }

    #[test]
    fn nobody_can_cut_the_page_under_the_other() {
        let (_page, fd) = Page::create().unwrap();
        assert_eq!(ftruncate(&fd, 0), Err(Errno::EPERM));
    }

    #[test]
    fn the_text_is_what_there_was_room_for() {
        let (ours, fd) = Page::create().unwrap();
        let theirs = Page::open(&fd).unwrap();
        assert_eq!(theirs.write_text(b"stuck"), 5);
        assert_eq!(ours.read_text(5), b"stuck");
        assert_eq!(theirs.write_text(&[b'x'; TEXT + 1]), TEXT);
        assert_eq!(ours.read_text(TEXT + 1), [b'x'; TEXT]);
    }

    #[test]
    fn who_waits_is_woken_by_the_other_side_and_not_held_by_a_word_that_has_changed() {
        let (ours, fd) = Page::create().unwrap();
        let theirs = Page::open(&fd).unwrap();
        let waiter = std::thread::spawn(move || {
            while theirs.words()[1].load(Relaxed) == 0 {
                theirs.wait(1, 0, None);
            }
        });
        ours.words()[1].store(1, Relaxed);
        ours.wake(1);
        waiter.join().unwrap();
        ours.wait(1, 0, None);
        ours.wait(1, 1, Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_file_that_is_too_short_is_refused() {
        let fd = memfd_create(c"short", MFdFlags::MFD_CLOEXEC).unwrap();
        assert_eq!(Page::open(&fd).unwrap_err(), Errno::EINVAL);
    }
}
