//! The control socket, systemd and the duties of process 1; see `host`.

use std::time::Instant;

use napi_derive::napi;
use nix::errno::Errno;

use super::{Engine, process::with_registry};
use crate::host::{control, notify, reaper};
use crate::sys::fd::with_borrowed;

/// Who was at the other end of a Unix socket when it was connected.
#[napi(object)]
pub struct Peer {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
}

#[napi]
impl Engine {
    /// Takes the lock at `path`: a descriptor that the caller closes to give it back, or a negative errno.
    #[napi]
    pub fn lock_file(&self, path: String) -> i32 {
        control::lock(&path).unwrap_or_else(|errno| -(errno as i32))
    }

    /// Who is at the other end of a Unix socket; null where the kernel does not say.
    #[napi]
    pub fn peer_of(&self, fd: i32) -> Option<Peer> {
        let credentials = with_borrowed(fd, control::peer).and_then(|result| result).ok()?;
        Some(Peer { pid: credentials.pid(), uid: credentials.uid() })
    }

    /// Sends a message to systemd's socket at `address`; 0 or a negative errno.
    #[napi]
    pub fn notify_systemd(&self, address: String, message: String) -> i32 {
        notify::notify(&address, &message).map_or_else(|errno: Errno| -(errno as i32), |()| 0)
    }
}

/// Collects orphans, for process 1.
#[napi]
#[derive(Default)]
pub struct OrphanReaper(reaper::Reaper);

#[napi]
impl OrphanReaper {
    /// Without orphans at first.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Collects the orphans that have been there for a while, none of them a child of `engine`; how many.
    #[napi]
    pub fn reap(&mut self, engine: &Engine) -> u32 {
        let own = with_registry(engine, |registry| registry.pids()).unwrap_or_default();
        self.0.reap(&own, Instant::now()) as u32
    }
}
