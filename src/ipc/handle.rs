//! What kind of handle Node makes of a descriptor.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, sockopt,
};

/// The kind of a socket, by the names Node has for the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleKind {
    /// Stream over IP.
    Tcp,
    /// Stream on this machine.
    Pipe,
    /// Datagrams over IP.
    Udp,
}

impl HandleKind {
    /// The kind of `fd`; `None` for what Node cannot receive.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let kind = getsockopt(&fd, sockopt::SockType).ok()?;
        let family = getsockname::<SockaddrStorage>(fd.as_raw_fd()).ok()?.family()?;
        match (kind, family) {
            (SockType::Stream, AddressFamily::Inet | AddressFamily::Inet6) => Some(Self::Tcp),
            (SockType::Stream, AddressFamily::Unix) => Some(Self::Pipe),
            (SockType::Datagram, AddressFamily::Inet | AddressFamily::Inet6) => Some(Self::Udp),
            _ => None,
        }
    }

    /// Its name, as JavaScript has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Pipe => "pipe",
            Self::Udp => "udp",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn sockets_are_told_apart_and_others_refused() {
        assert_eq!(HandleKind::of(TcpListener::bind("127.0.0.1:0").unwrap().as_fd()), Some(HandleKind::Tcp));
        assert_eq!(HandleKind::of(UdpSocket::bind("127.0.0.1:0").unwrap().as_fd()), Some(HandleKind::Udp));
        assert_eq!(HandleKind::of(UnixStream::pair().unwrap().0.as_fd()), Some(HandleKind::Pipe));
        assert_eq!(HandleKind::of(UnixDatagram::unbound().unwrap().as_fd()), None);
        assert_eq!(HandleKind::of(std::fs::File::open("/dev/null").unwrap().as_fd()), None);
    }
}
