//! A page of memory that two processes share, as 64-bit words that either may read and write at any time.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

/// Words in the page that are used.
pub const WORDS: usize = 64;
const LENGTH: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// One shared page; unmapped when dropped.
#[derive(Debug)]
pub struct Page(NonNull<c_void>);

// SAFETY: the mapping belongs to no thread, and all access to it is atomic.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Makes a page of zeros, and the descriptor by which another process opens it.
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
    fn a_file_that_is_too_short_is_refused() {
        let fd = memfd_create(c"short", MFdFlags::MFD_CLOEXEC).unwrap();
        assert_eq!(Page::open(&fd).unwrap_err(), Errno::EINVAL);
    }
}
