//! Memory shared with another process, which may do with it whatever it likes at any time.
//!
//! So nothing here makes a reference to its contents: bytes are copied in and out, numbers are atomics. Its size is
//! sealed, or the other process could shrink the file and have us killed by SIGBUS where we touch what is gone.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

use super::cache;

/// What is copied at once.
const PIECE: usize = 1024;

/// A mapping of a sealed memory file.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<c_void>,
    length: usize,
}

impl Memory {
    /// Makes a file of `length` zeros, sealed, and maps it. Pages are allocated as they are touched.
    pub fn create(length: NonZeroUsize) -> Result<(Self, OwnedFd), Errno> {
        let fd = memfd_create(c"rcluster-ipc", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&fd, length.get() as i64)?;
        fcntl(&fd, FcntlArg::F_ADD_SEALS(size_seals() | SealFlag::F_SEAL_SEAL))?;
        Ok((Self::map(fd.as_fd(), length)?, fd))
    }

    /// Maps a file another process made; refused unless it has this length for good.
    pub fn open(fd: BorrowedFd<'_>, length: NonZeroUsize) -> Result<Self, Errno> {
        let seals = SealFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GET_SEALS)?);
        if !seals.contains(size_seals()) || fstat(fd)?.st_size != length.get() as i64 {
            return Err(Errno::EPERM);
        }
        Self::map(fd, length)
    }

    fn map(fd: BorrowedFd<'_>, length: NonZeroUsize) -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address the kernel chooses; the file cannot become shorter than it.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Self { start, length: length.get() })
    }

    /// Where `length` bytes from `offset` are.
    fn at(&self, offset: usize, length: usize) -> NonNull<u8> {
        assert!(offset.checked_add(length).is_some_and(|end| end <= self.length), "outside of shared memory");
        // SAFETY: within the mapping, as just asserted.
        unsafe { self.start.cast::<u8>().add(offset) }
    }

    /// The 32-bit number at `offset`, a multiple of 4.
    pub fn number(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4));
        // SAFETY: mapped as long as `self`, aligned since mappings are, and both sides use atomics there.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast().as_ptr()) }
    }

    /// Copies `bytes` to `offset`. What is there was read by another processor, as a rule, which has to let go of it:
    /// of each piece while the one before is copied.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let mut to = self.at(offset, bytes.len());
        let mut left = bytes.len();
        for piece in bytes.chunks(PIECE) {
            left -= piece.len();
            // SAFETY: `to` has room, and no reference to shared memory exists that `bytes` could overlap; behind the
            // last piece it is the end of that room.
            unsafe {
                let next = to.add(piece.len());
                cache::fetch(next.as_ptr(), left.min(PIECE));
                to.copy_from_nonoverlapping(NonNull::from(piece).cast(), piece.len());
                to = next;
            }
        }
    }

    /// Appends `length` bytes from `offset` to `to`. What they are is the other process's choice, and may change
    /// while they are copied.
    pub fn read(&self, offset: usize, length: usize, to: &mut Vec<u8>) {
        let from = self.at(offset, length);
        to.reserve(length);
        // SAFETY: `from` is mapped, `to` has room for `length` more bytes, and any byte is valid.
        unsafe {
            from.copy_to_nonoverlapping(NonNull::new_unchecked(to.as_mut_ptr().add(to.len())), length);
            to.set_len(to.len() + length);
        }
    }
}

/// A part of a mapping, which keeps the whole of it.
#[derive(Debug)]
pub struct Part {
    /// The mapping.
    pub memory: Rc<Memory>,
    /// Where the part begins.
    pub start: usize,
    /// How long it is.
    pub length: usize,
}

impl Part {
    /// Where the part is, as long as `self` lives.
    pub(super) fn as_ptr(&self) -> NonNull<u8> {
        self.memory.at(self.start, self.length)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length; nothing borrowed from `self` outlives it.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

fn size_seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    const LENGTH: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

    #[test]
    fn both_mappings_see_the_same_bytes() {
        let (ours, fd) = Memory::create(LENGTH).unwrap();
        let theirs = Memory::open(fd.as_fd(), LENGTH).unwrap();
        ours.write(8190, b"ab");
        ours.number(8).store(7, Ordering::Relaxed);
        let mut bytes = b"x".to_vec();
        theirs.read(8190, 2, &mut bytes);
        assert_eq!((bytes.as_slice(), theirs.number(8).load(Ordering::Relaxed)), (&b"xab"[..], 7));
    }

    #[test]
    fn a_file_whose_size_may_change_or_differs_is_refused() {
        let unsealed = memfd_create(c"test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        ftruncate(&unsealed, LENGTH.get() as i64).unwrap();
        assert_eq!(Memory::open(unsealed.as_fd(), LENGTH).err(), Some(Errno::EPERM));
        let (_memory, sealed) = Memory::create(NonZeroUsize::new(4096).unwrap()).unwrap();
        assert_eq!(Memory::open(sealed.as_fd(), LENGTH).err(), Some(Errno::EPERM));
        assert!(ftruncate(&sealed, 0).is_err());
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        assert!(Memory::open(reader.as_fd(), LENGTH).is_err());
    }

    #[test]
    #[should_panic(expected = "outside of shared memory")]
    fn nothing_outside_is_touched() {
        Memory::create(LENGTH).unwrap().0.write(8191, b"ab");
    }
}
