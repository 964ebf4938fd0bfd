//! Sockets that a cluster's workers share: bound, and for round robin also listening, as Node's own are.
//!
//! Runs on the JavaScript thread, when a worker asks for a server; nothing here blocks.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr, SockType as SocketType};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind, getsockname,
    getsockopt, setsockopt, socket,
};

use crate::sys::fd::{take, with_borrowed};
use crate::sys::socket::{self, listen, set_option};

/// What Node listens with where the program names no backlog.
const DEFAULT_BACKLOG: i32 = 511;

/// libuv's flags, as Node passes them on.
const IPV6_ONLY: u32 = 1;
const TCP_REUSE_PORT: u32 = 2;
const UDP_REUSE_ADDRESS: u32 = 4;
const UDP_REUSE_PORT: u32 = 8;

/// What to bind to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address; without a host every address of the machine, IPv6 and IPv4 where there is IPv6.
    Tcp(Option<Host>, u16),
    /// A UDP address.
    Udp(Host, u16),
    /// A path in the file system, or an abstract name after a NUL.
    Path(Vec<u8>),
    /// A descriptor of this process, which is taken over.
    Fd(RawFd),
}

/// A numeric address; IPv6 with the zone of a link-local one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    ip: IpAddr,
    zone: u32,
}

impl Host {
    /// Reads `127.0.0.1`, `::1` or `fe80::1%eth0`.
    pub fn parse(text: &str) -> Result<Self, Errno> {
        let (ip, zone) = text.split_once('%').map_or((text, None), |(ip, zone)| (ip, Some(zone)));
        let ip = ip.parse().map_err(|_| Errno::EINVAL)?;
        let zone = match zone {
            Some(zone) => {
                nix::net::if_::if_nametoindex(zone).or_else(|_| zone.parse().map_err(|_| Errno::EINVAL))?
            }
            None => 0,
        };
        Ok(Self { ip, zone })
    }

    fn with_port(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => (ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.zone).into(),
        }
    }
}

/// The host of an address as Node writes it: IPv6 without brackets, a link-local one with its zone.
pub fn host_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => match nix::net::if_::if_indextoname(v6.scope_id()) {
            Ok(zone) => format!("{}%{}", v6.ip(), zone.to_string_lossy()),
            Err(_) => v6.ip().to_string(),
        },
        address => address.ip().to_string(),
    }
}

/// Options that go with an endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// libuv's bind flags.
    pub flags: u32,
    /// How many connections may wait in the kernel; 0 for Node's default.
    pub backlog: i32,
    /// Everybody may connect to the path: its read permission.
    pub readable_all: bool,
    /// Everybody may connect to the path: its write permission.
    pub writable_all: bool,
    /// Of `Endpoint::Fd`: no other program has the socket.
    pub is_ours: bool,
}

/// The kind of Node handle that fits a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleKind {
    /// `TCP`
    Tcp,
    /// `Pipe`
    Pipe,
    /// `UDP`
    Udp,
}

/// A bound socket.
#[derive(Debug)]
pub struct Bound {
    /// The socket, non-blocking and close-on-exec.
    pub socket: OwnedFd,
    /// What it is.
    pub kind: HandleKind,
    /// The path to remove when it is closed, where binding made one.
    pub path: Option<PathBuf>,
    /// No other program has it: it may be ended for all who have a copy.
    pub is_ours: bool,
}

impl Bound {
    /// Where a TCP or UDP socket is bound.
    pub fn address(&self) -> Option<SocketAddr> {
        let name: SockaddrStorage = getsockname(self.socket.as_raw_fd()).ok()?;
        name.as_sockaddr_in()
            .map(|name| SocketAddr::from((name.ip(), name.port())))
            .or_else(|| name.as_sockaddr_in6().map(|name| (*name).into()))
    }
}

/// Binds to `endpoint`.
pub fn bind_to(endpoint: &Endpoint, options: Options) -> Result<Bound, Errno> {
    match endpoint {
        Endpoint::Tcp(Some(host), port) => bind_tcp(host.with_port(*port), options.flags),
        Endpoint::Tcp(None, port) => match bind_tcp((Ipv6Addr::UNSPECIFIED, *port).into(), options.flags) {
            Err(errno) if errno != Errno::EADDRINUSE => {
                bind_tcp((Ipv4Addr::UNSPECIFIED, *port).into(), options.flags & !IPV6_ONLY)
            }
            outcome => outcome,
        },
        Endpoint::Udp(host, port) => bind_udp(host.with_port(*port), options.flags),
        Endpoint::Path(path) => bind_path(path),
        Endpoint::Fd(fd) => adopt(*fd).map(|bound| Bound { is_ours: options.is_ours, ..bound }),
    }
}

/// Binds to `endpoint` and listens.
pub fn listen_on(endpoint: &Endpoint, options: Options) -> Result<Bound, Errno> {
    let bound = bind_to(endpoint, options)?;
    if bound.kind == HandleKind::Udp {
        return Err(Errno::EINVAL);
    }
    let started = allow_everybody(&bound, options).and_then(|()| {
        listen(bound.socket.as_fd(), if options.backlog == 0 { DEFAULT_BACKLOG } else { options.backlog })
    });
    if let (Err(_), Some(path)) = (started, &bound.path) {
        let _ = std::fs::remove_file(path);
    }
    started.map(|()| bound)
}

fn open(family: AddressFamily, kind: SockType) -> Result<OwnedFd, Errno> {
    socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

fn family_of(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

fn bind_address(socket: &OwnedFd, address: SocketAddr, flags: u32) -> Result<(), Errno> {
    if address.is_ipv6() {
        setsockopt(socket, Ipv6V6Only, &(flags & IPV6_ONLY != 0))?;
    } else if flags & IPV6_ONLY != 0 {
        return Err(Errno::EINVAL);
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
}

fn bind_tcp(address: SocketAddr, flags: u32) -> Result<Bound, Errno> {
    let socket = open(family_of(&address), SockType::Stream)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    if flags & TCP_REUSE_PORT != 0 {
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    bind_address(&socket, address, flags)?;
    Ok(Bound { socket, kind: HandleKind::Tcp, path: None, is_ours: true })
}

fn bind_udp(address: SocketAddr, flags: u32) -> Result<Bound, Errno> {
    let socket = open(family_of(&address), SockType::Datagram)?;
    if flags & UDP_REUSE_ADDRESS != 0 {
        setsockopt(&socket, ReuseAddr, &true)?;
    }
    if flags & UDP_REUSE_PORT != 0 {
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    bind_address(&socket, address, flags)?;
    Ok(Bound { socket, kind: HandleKind::Udp, path: None, is_ours: true })
}

fn bind_path(path: &[u8]) -> Result<Bound, Errno> {
    let socket = open(AddressFamily::Unix, SockType::Stream)?;
    let made = match path {
        [0, name @ ..] => {
            let address = UnixAddr::new_abstract(name).map_err(|_| Errno::EINVAL)?;
            bind(socket.as_raw_fd(), &address)?;
            None
        }
        path => {
            // A directory that does not exist is EACCES to libuv, for its users on Windows.
            socket::bind_path(socket.as_fd(), path)
                .map_err(|errno| if errno == Errno::ENOENT { Errno::EACCES } else { errno })?;
            Some(PathBuf::from(OsStr::from_bytes(path)))
        }
    };
    Ok(Bound { socket, kind: HandleKind::Pipe, path: made, is_ours: true })
}

fn adopt(fd: RawFd) -> Result<Bound, Errno> {
    let family = getsockname::<SockaddrStorage>(fd).map_err(|_| Errno::EINVAL)?.family();
    let kind = match (family, with_borrowed(fd, |fd| getsockopt(&fd, SocketType))??) {
        (Some(AddressFamily::Inet | AddressFamily::Inet6), SockType::Stream) => HandleKind::Tcp,
        (Some(AddressFamily::Inet | AddressFamily::Inet6), SockType::Datagram) => HandleKind::Udp,
        (Some(AddressFamily::Unix), SockType::Stream) => HandleKind::Pipe,
        _ => return Err(Errno::EINVAL),
    };
    let socket = take(fd)?;
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(Bound { socket, kind, path: None, is_ours: false })
}

fn allow_everybody(bound: &Bound, options: Options) -> Result<(), Errno> {
    let Some(path) = &bound.path else { return Ok(()) };
    let mode = if options.readable_all { 0o444 } else { 0 } | if options.writable_all { 0o222 } else { 0 };
    if mode == 0 { Ok(()) } else { add_mode(path, mode).map_err(|error| errno_of(&error)) }
}

fn add_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    let mut permissions = path.metadata()?.permissions();
    permissions.set_mode(permissions.mode() | mode);
    std::fs::set_permissions(path, permissions)
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp(Some(Host::parse(host).unwrap()), port)
    }

    fn failure(endpoint: &Endpoint) -> Errno {
        listen_on(endpoint, Options::default()).map(|bound| bound.address()).unwrap_err()
    }

    #[test]
    fn port_0_gets_a_port_that_takes_connections_and_is_then_in_use() {
        let bound = listen_on(&tcp("127.0.0.1", 0), Options::default()).unwrap();
        let address = bound.address().unwrap();
        assert_ne!(address.port(), 0);
        TcpStream::connect(address).unwrap();
        assert_eq!(failure(&tcp("127.0.0.1", address.port())), Errno::EADDRINUSE);
        drop(bound);
        listen_on(&tcp("127.0.0.1", address.port()), Options::default()).unwrap();
    }

    #[test]
    fn without_a_host_both_families_connect_and_ipv6_only_takes_the_one() {
        let bound = listen_on(&Endpoint::Tcp(None, 0), Options::default()).unwrap();
        let address = bound.address().unwrap();
        TcpStream::connect(("127.0.0.1", address.port())).unwrap();
        if address.is_ipv6() {
            let only = listen_on(&Endpoint::Tcp(None, 0), Options { flags: IPV6_ONLY, ..Options::default() })
                .unwrap();
            TcpStream::connect(("127.0.0.1", only.address().unwrap().port())).unwrap_err();
        }
    }

    #[test]
    fn a_path_is_made_with_the_permissions_asked_for() {
        let path = std::env::temp_dir().join(format!("rcluster-listener-{}", std::process::id()));
        let endpoint = Endpoint::Path(path.as_os_str().as_bytes().to_vec());
        let options = Options { readable_all: true, writable_all: true, ..Options::default() };
        let bound = listen_on(&endpoint, options).unwrap();
        assert_eq!(bound.kind, HandleKind::Pipe);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o666, 0o666);
        UnixStream::connect(&path).unwrap();
        assert_eq!(failure(&endpoint), Errno::EADDRINUSE);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn errors_are_those_of_libuv() {
        assert_eq!(failure(&Endpoint::Path(b"/nonexistent/x".to_vec())), Errno::EACCES);
        assert_eq!(failure(&Endpoint::Path(vec![b'x'; 200])), Errno::EINVAL);
        assert_eq!(failure(&Endpoint::Fd(987_654)), Errno::EINVAL);
        assert_eq!(failure(&tcp("192.0.2.1", 0)), Errno::EADDRNOTAVAIL);
        assert_eq!(Host::parse("localhost"), Err(Errno::EINVAL));
    }

    #[test]
    fn the_backlog_asked_for_is_the_kernels() {
        let options = Options { backlog: 1, ..Options::default() };
        let bound = listen_on(&tcp("127.0.0.1", 0), options).unwrap();
        let address = bound.address().unwrap();
        let timeout = std::time::Duration::from_millis(100);
        let clients: Vec<_> = (0..5).map(|_| TcpStream::connect_timeout(&address, timeout)).collect();
        // One more than asked for, as the kernel counts.
        assert_eq!(clients.iter().filter(|client| client.is_ok()).count(), 2);
    }

    #[test]
    fn an_abstract_name_leaves_nothing_behind() {
        let name = format!("\0rcluster-listener-{}", std::process::id());
        let bound = listen_on(&Endpoint::Path(name.into_bytes()), Options::default()).unwrap();
        assert_eq!(bound.path, None);
    }
}
