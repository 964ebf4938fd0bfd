//! What a worker asks to listen on, and what came of it, as JavaScript has them.

use napi_derive::napi;
use nix::errno::Errno;

use crate::cluster::listener::{self, Bound, Endpoint, HandleKind, Host, Options};

/// What a worker asks to listen on: a descriptor, a path, or a host and port.
#[napi(object)]
pub struct Listen {
    /// A descriptor of this process, which is taken over.
    pub fd: Option<i32>,
    /// A path, or an abstract name after a NUL.
    pub path: Option<String>,
    /// A numeric address; every address if absent.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u32>,
    /// For datagrams.
    pub udp: Option<bool>,
    /// libuv's bind flags.
    pub flags: Option<u32>,
    /// Connections that may wait in the kernel.
    pub backlog: Option<i32>,
    /// Everybody may read the path.
    pub readable_all: Option<bool>,
    /// Everybody may write the path.
    pub writable_all: Option<bool>,
    /// No other program has the descriptor's socket.
    pub is_ours: Option<bool>,
}

/// What came of it.
#[napi(object, object_from_js = false)]
pub struct Listened {
    /// A listener or a descriptor; below 0 an errno.
    pub code: i32,
    /// `tcp`, `pipe` or `udp`.
    pub kind: Option<&'static str>,
    /// The address bound to.
    pub address: Option<String>,
    /// The port bound to.
    pub port: Option<u32>,
}

impl Listen {
    pub(super) fn endpoint(&self) -> Result<Endpoint, Errno> {
        if let Some(fd) = self.fd {
            return Ok(Endpoint::Fd(fd));
        }
        if let Some(path) = &self.path {
            return Ok(Endpoint::Path(path.clone().into_bytes()));
        }
        let host = self.host.as_deref().map(Host::parse).transpose()?;
        let port = u16::try_from(self.port.unwrap_or(0)).map_err(|_| Errno::EINVAL)?;
        match (self.udp, host) {
            (Some(true), Some(host)) => Ok(Endpoint::Udp(host, port)),
            (Some(true), None) => Err(Errno::EINVAL),
            (_, host) => Ok(Endpoint::Tcp(host, port)),
        }
    }

    pub(super) fn options(&self) -> Options {
        Options {
            flags: self.flags.unwrap_or(0),
            backlog: self.backlog.unwrap_or(0),
            readable_all: self.readable_all.unwrap_or(false),
            writable_all: self.writable_all.unwrap_or(false),
            is_ours: self.is_ours.unwrap_or(false),
        }
    }
}

impl Listened {
    pub(super) fn of(bound: &Bound, code: i32) -> Self {
        let address = bound.address();
        Self {
            code,
            kind: Some(match bound.kind {
                HandleKind::Tcp => "tcp",
                HandleKind::Pipe => "pipe",
                HandleKind::Udp => "udp",
            }),
            address: address.map(|address| listener::host_text(&address)),
            port: address.map(|address| u32::from(address.port())),
        }
    }

    pub(super) fn failed(errno: Errno) -> Self {
        Self { code: -(errno as i32), kind: None, address: None, port: None }
    }
}
