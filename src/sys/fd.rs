//! Descriptors that arrive as numbers from JavaScript.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// Whether `fd` is open in this process.
pub fn check_open(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: F_GETFD only reads the flags of a descriptor number, whatever the number.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}

/// Duplicates `fd`, close-on-exec, above the standard descriptors.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC returns a new descriptor, owned by nobody else yet, or an error.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes over a descriptor that the caller gives up for good.
pub fn take(fd: RawFd) -> Result<OwnedFd, Errno> {
    check_open(fd)?;
    // SAFETY: open as just checked, and given up by the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Looks at a descriptor somebody else owns and keeps open during the call.
pub fn with_borrowed<R>(fd: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> R) -> Result<R, Errno> {
    check_open(fd)?;
    // SAFETY: open as just checked; the borrow ends with the call.
    Ok(look(unsafe { BorrowedFd::borrow_raw(fd) }))
}

/// Whether there is something to read, or the end. Nothing is, where the number is no longer that of a descriptor.
pub fn has_input(fd: RawFd) -> bool {
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: `polled` is one entry, and lives until the call returns; any number may be asked about.
    unsafe { libc::poll(&mut polled, 1, 0) == 1 && polled.revents & libc::POLLNVAL == 0 }
}

/// Copies the environment of this process: strings `NAME=value`, each ending in NUL.
///
/// Only on the thread that changes it, Node's main thread.
pub fn copy_environment() -> Vec<u8> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut copy = Vec::with_capacity(4096);
    // SAFETY: environ is null or an array of C strings that ends in a null pointer; only this thread changes it.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            copy.extend_from_slice(std::ffi::CStr::from_ptr(*entry).to_bytes_with_nul());
            entry = entry.add(1);
        }
    }
    copy
}
