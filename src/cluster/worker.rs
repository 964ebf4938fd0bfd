//! The worker's end of the hand-off socket. Runs on the event loop of the worker.
//!
//! Connections are taken one at a time, each only when it can be adopted at once: what is still in the socket
//! when this process ends is taken back by the primary.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::fstat;

use super::load::Load;
use super::packet::{Kind, LENGTH, Packet};
use crate::sys::fd::{take, with_borrowed};
use crate::sys::scm;

/// What came out of the socket.
#[derive(Debug)]
pub enum Received {
    /// A connection for the server of this packet's token.
    Connection(Packet, OwnedFd),
    /// Something about another worker; with `Peer` comes a socket.
    Letter(Packet, Option<OwnedFd>),
    /// Nothing more for now.
    Empty,
    /// The primary has gone.
    Closed,
}

/// One worker's end of the hand-off socket.
#[derive(Debug)]
pub struct Inbox {
    socket: OwnedFd,
    /// What the socket had no room for, in order.
    unsent: VecDeque<(Packet, Option<OwnedFd>)>,
    /// Where the load is told, if this primary wants to know.
    load: Option<Arc<Load>>,
}

impl Inbox {
    /// Takes over the inherited `fd`, if it is the socket the primary meant: the one with this inode.
    pub fn open(fd: RawFd, inode: u64) -> Result<Self, Errno> {
        // Somebody else's descriptor may have the number where the variable was inherited without the socket.
        if with_borrowed(fd, |fd| fstat(fd))??.st_ino != inode {
            return Err(Errno::EBADF);
        }
        let socket = take(fd)?;
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let load = receive_load(&socket);
        Ok(Self { socket, unsent: VecDeque::new(), load })
    }

    /// To be watched: for input, and for room while `has_unsent`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes the next connection.
    pub fn receive(&self) -> Received {
        let mut bytes = [0; LENGTH];
        loop {
            match scm::receive(self.fd(), &mut bytes) {
                Ok((0, _)) => return Received::Closed,
                Ok((length, descriptor)) => match (Packet::decode(&bytes[..length]), descriptor) {
                    (Some(packet @ Packet { kind: Kind::Connection, .. }), Some(connection)) => {
                        self.load.as_ref().inspect(|load| load.taken());
                        return Received::Connection(packet, connection);
                    }
                    (Some(packet @ Packet { kind: Kind::Peer, .. }), Some(socket)) => {
                        return Received::Letter(packet, Some(socket));
                    }
                    (Some(packet @ Packet { kind: Kind::Absent | Kind::Listed, .. }), None) => {
                        return Received::Letter(packet, None);
                    }
                    _ => {}
                },
                Err(Errno::EAGAIN) => return Received::Empty,
                Err(_) => return Received::Closed,
            }
        }
    }

    /// Tells the primary that the server of `token` takes connections.
    pub fn ready(&mut self, token: u32) {
        self.send(Packet { kind: Kind::Ready, token, listener: 0 }, None);
    }

    /// Asks for a socket to the worker that JavaScript calls `number`.
    pub fn meet(&mut self, number: u32) {
        self.send(Packet { kind: Kind::Meet, token: number, listener: 0 }, None);
    }

    /// Asks which other workers there are; the answer has this number.
    pub fn list(&mut self, question: u32) {
        self.send(Packet { kind: Kind::List, token: question, listener: 0 }, None);
    }

    /// Gives a connection back; no more come for `token` until it is `ready`.
    pub fn refuse(&mut self, token: u32, listener: u32, connection: OwnedFd) {
        self.load.as_ref().inspect(|load| load.refused());
        self.send(Packet { kind: Kind::Refused, token, listener }, Some(connection));
    }

    /// Where the load of this worker is told.
    pub fn load(&self) -> Option<&Arc<Load>> {
        self.load.as_ref()
    }

    fn send(&mut self, packet: Packet, connection: Option<OwnedFd>) {
        self.unsent.push_back((packet, connection));
        self.flush();
    }

    /// Sends what the socket has room for.
    pub fn flush(&mut self) {
        while let Some((packet, connection)) = self.unsent.front() {
            match scm::send(self.fd(), &packet.encode(), connection.as_ref().map(AsFd::as_fd)) {
                // ETOOMANYREFS: too many descriptors of this user are under way; it passes.
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::ETOOMANYREFS) => return,
                // Sent, or the primary has gone and the connection with it.
                _ => drop(self.unsent.pop_front()),
            }
        }
    }

    /// Whether something waits for room in the socket.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }
}

/// Opens the memory for the load, the first that a primary puts into the socket.
fn receive_load(socket: &OwnedFd) -> Option<Arc<Load>> {
    let mut bytes = [0; LENGTH];
    let (length, memory) = scm::receive(socket.as_fd(), &mut bytes).ok()?;
    let packet = Packet::decode(&bytes[..length])?;
    if packet.kind == Kind::Load { Load::open(&memory?).ok().map(Arc::new) } else { None }
}
