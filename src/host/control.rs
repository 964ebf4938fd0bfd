//! Who may have a control socket, and who may speak over it.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{UnixCredentials, getsockopt, sockopt};

/// Takes the lock at `path` for as long as the returned descriptor is open, which the caller closes.
///
/// EWOULDBLOCK where a process that lives has it. A lock ends with its process, however that ends.
pub fn lock(path: &str) -> Result<RawFd, Errno> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL)))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
        // The one who had it may have removed the file after it was opened here: then this is a lock on nothing.
        if is_at(&lock, path) {
            let fd = lock.as_raw_fd();
            std::mem::forget(lock);
            return Ok(fd);
        }
    }
}

fn is_at(file: &File, path: &str) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Who was at the other end of a Unix socket when it was connected.
pub fn peer(socket: BorrowedFd<'_>) -> Result<UnixCredentials, Errno> {
    getsockopt(&socket, sockopt::PeerCredentials)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_lock_is_one_owners_until_it_is_closed() {
        let path = std::env::temp_dir().join(format!("rcluster-lock-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let first = crate::sys::fd::take(lock(path).unwrap()).unwrap();
        assert_eq!(lock(path), Err(Errno::EWOULDBLOCK));
        // Removed while it is held: whoever comes next has a file, and a lock, of its own.
        std::fs::remove_file(path).unwrap();
        let second = crate::sys::fd::take(lock(path).unwrap()).unwrap();
        drop(first);
        assert_eq!(lock(path), Err(Errno::EWOULDBLOCK));
        drop(second);
        drop(crate::sys::fd::take(lock(path).unwrap()).unwrap());
        std::fs::remove_file(path).unwrap();
        assert_eq!(lock("/nonexistent/lock"), Err(Errno::ENOENT));
    }

    #[test]
    fn the_peer_of_a_socket_is_known() {
        let (one, _two) = UnixStream::pair().unwrap();
        let credentials = peer(one.as_fd()).unwrap();
        assert_eq!(credentials.uid(), nix::unistd::getuid().as_raw());
        assert_eq!(credentials.pid(), std::process::id() as i32);
    }
}
