//! Waking one event loop from any thread: an eventfd the loop watches.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Wakes whoever watches it; wake-ups add up until they are cleared.
#[derive(Debug)]
pub struct Wake(EventFd);

impl Wake {
    /// Makes the descriptor, which programs started here do not inherit.
    pub fn new() -> Result<Self, Errno> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Self)
    }

    /// Takes over an event descriptor that another process has made.
    pub fn from_fd(fd: OwnedFd) -> Self {
        // SAFETY: all that is done with it are reads and writes of eight bytes, which harm no kind of descriptor.
        Self(unsafe { EventFd::from_owned_fd(fd) })
    }

    /// Makes the descriptor readable. It can only fail where it is readable already.
    pub fn wake(&self) {
        let _ = self.0.write(1);
    }

    /// Takes the wake-ups there were.
    pub fn clear(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
