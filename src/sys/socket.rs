//! Sockets: what `nix` offers only on raw descriptor numbers, and the mark of our channels.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{UnixAddr, bind, getpeername};
use nix::sys::stat::fstat;

/// How the address of a marked socket begins; the number is that of what may be spoken over it.
const MARK: &[u8] = b"rcluster-ipc-1-";

/// Marks a message channel as ours, for whoever has its other end: it gets an address.
///
/// So a child knows what its parent is before a word is said, and one that does not ask sees no difference.
pub fn mark(channel: BorrowedFd<'_>) -> Result<(), Errno> {
    let inode = fstat(channel)?.st_ino;
    let name = [MARK, format!("{inode:x}").as_bytes()].concat();
    bind(channel.as_raw_fd(), &UnixAddr::new_abstract(&name)?)
}

/// Whether the other end of a message channel is marked.
pub fn is_peer_marked(channel: BorrowedFd<'_>) -> bool {
    getpeername::<UnixAddr>(channel.as_raw_fd())
        .is_ok_and(|address| address.as_abstract().is_some_and(|name| name.starts_with(MARK)))
}

/// Takes one connection off a listening socket: non-blocking and close-on-exec.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    #[cfg(test)]
    faults::strike(listener.as_raw_fd())?;
    // SAFETY: `listener` is open; null pointers say that the peer's address is not wanted.
    let result = unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        )
    };
    // SAFETY: accept4 returned a new descriptor, owned by nobody else yet.
    Errno::result(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// How many connections wait to be accepted from a listening TCP socket.
pub fn backlog(listener: BorrowedFd<'_>) -> Result<u32, Errno> {
    // tcpi_unacked in struct tcp_info, after eight bytes and four words. Of a listening socket it counts what waits.
    const UNACKED: usize = 6;
    let mut words = [0u32; UNACKED + 1];
    let mut length = size_of_val(&words) as libc::socklen_t;
    // SAFETY: `words` has room for `length` bytes, and both live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &mut length,
        )
    };
    Errno::result(result).map(|_| words[UNACKED])
}

/// Stops listening, in every process that has this socket: what waits is reset, the port is free.
pub fn stop_listening(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: shutdown takes numbers only.
    Errno::result(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RD) }).map(drop)
}

/// Puts `with` in the place of what `fd` refers to, closing that, while the number stays taken.
///
/// So one thread ends a socket that another thread owns: at once, and without a number that could be reused
/// under the owner's hands. The owner finds out at its next system call.
pub fn replace(fd: RawFd, with: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: dup3 takes any number; the caller knows that its owner keeps this one open.
    Errno::result(unsafe { libc::dup3(with.as_raw_fd(), fd, libc::O_CLOEXEC) }).map(drop)
}

/// A descriptor for process `pid`, a child that nobody has collected: readable once it has ended.
pub fn watch_process(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: pidfd_open takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: pidfd_open returned a new descriptor (they fit an int), owned by nobody else yet.
    Errno::result(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sets an option of a socket for which `nix` has no name.
pub fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: `value` is an int that lives until the call returns, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// Starts listening; the kernel cuts the backlog to its own limit.
pub fn listen(socket: BorrowedFd<'_>, backlog: i32) -> Result<(), Errno> {
    // SAFETY: listen takes numbers only.
    Errno::result(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Binds to a path in the file system, of up to 108 bytes: as many as fit without a NUL behind them, as libuv does.
pub fn bind_path(socket: BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    // SAFETY: an address of all zeros is a valid one.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    if path.is_empty() || path.len() > address.sun_path.len() || path.contains(&0) {
        return Err(Errno::EINVAL);
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = *from as libc::c_char;
    }
    // SAFETY: `address` lives until the call returns, and its size is given.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_un>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// Errors of `accept` that a test cannot bring about.
#[cfg(test)]
pub mod faults {
    use std::collections::HashMap;
    use std::os::fd::RawFd;
    use std::sync::Mutex;

    use nix::errno::Errno;

    static FAULTS: Mutex<Option<HashMap<RawFd, Vec<Errno>>>> = Mutex::new(None);

    /// Has the next calls for `listener` fail so, the last first.
    pub fn prepare(listener: RawFd, errors: Vec<Errno>) {
        FAULTS.lock().unwrap().get_or_insert_default().insert(listener, errors);
    }

    /// How many are left.
    pub fn left(listener: RawFd) -> usize {
        FAULTS.lock().unwrap().as_ref().and_then(|faults| faults.get(&listener)).map_or(0, Vec::len)
    }

    pub(super) fn strike(listener: RawFd) -> Result<(), Errno> {
        let mut faults = FAULTS.lock().unwrap();
        faults.as_mut().and_then(|faults| faults.get_mut(&listener)?.pop()).map_or(Ok(()), Err)
    }
}
