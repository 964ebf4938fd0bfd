//! The worker's end of the hand-off socket. Runs on the event loop of the worker.
//!
//! Connections are taken one at a time, each only when it can be adopted at once: what is still in the socket
//! when this process ends is taken back by the primary. So they are where this worker has turns at a listening
//! socket of the primary's: what it has not accepted stays there for others.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::fstat;

use super::load::Load;
use super::packet::{CLOSE_DOOR, Kind, LENGTH, Packet, TAKE_BACK};
use super::turns::SLOTS;
use crate::sys::fd::{take, with_borrowed};
use crate::sys::wake::Wake;
use crate::sys::{scm, socket};

/// What came of a turn.
#[derive(Debug)]
pub enum Accepted {
    /// A connection for the server of this packet's token, and whether it is always the same clients that wait.
    Connection(Packet, OwnedFd, bool),
    /// Descriptors or memory are lacking, as the server of this token has found.
    Failed(u32, Errno),
    /// It has no turn.
    None,
}

/// What came out of the socket.
#[derive(Debug)]
pub enum Received {
    /// A connection for the server of this packet's token.
    Connection(Packet, OwnedFd),
    /// Something about another worker; with `Peer` comes a socket.
    Letter(Packet, Option<OwnedFd>),
    /// The listening socket for this token has not come: descriptors are lacking.
    NoDoor(u32),
    /// There is a connection for the server of this token, and no descriptor left to receive it by: it is left to the
    /// primary, for others.
    Lacking(u32, Errno),
    /// Nothing more for now.
    Empty,
    /// The primary has gone.
    Closed,
}

/// A listening socket of the primary's at which a server has turns.
#[derive(Debug)]
struct Door {
    token: u32,
    listener: u32,
    /// Comes after the primary has heard that the server is ready.
    socket: Option<OwnedFd>,
}

/// One worker's end of the hand-off socket.
#[derive(Debug)]
pub struct Inbox {
    socket: OwnedFd,
    /// What the socket had no room for, in order.
    unsent: VecDeque<(Packet, Option<OwnedFd>)>,
    /// Where the load is told, if this primary wants to know.
    load: Option<Arc<Load>>,
    /// By which the primary wakes this worker for its turns, if it gives any.
    bell: Option<Wake>,
    /// By slot.
    doors: RefCell<Vec<Option<Door>>>,
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
        let load =
            receive_first(&socket, Kind::Load).and_then(|memory| Load::open(&memory).ok().map(Arc::new));
        let bell = receive_first(&socket, Kind::Bell).map(Wake::from_fd);
        Ok(Self { socket, unsent: VecDeque::new(), load, bell, doors: RefCell::default() })
    }

    /// To be watched: for input, and for room while `has_unsent`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes the next connection.
    pub fn receive(&self) -> Received {
        let mut bytes = [0; LENGTH];
        loop {
            if let Some((token, errno)) = self.lacking() {
                return Received::Lacking(token, errno);
            }
            match scm::receive(self.fd(), &mut bytes) {
                Ok((0, _)) => return Received::Closed,
                Ok((length, descriptor)) => match (Packet::decode(&bytes[..length]), descriptor) {
                    (Some(packet @ Packet { kind: Kind::Connection, .. }), Some(connection)) => {
                        self.load.as_ref().inspect(|load| load.taken());
                        return Received::Connection(packet, connection);
                    }
                    (Some(Packet { kind: Kind::Door, token, listener }), Some(socket)) => {
                        let mut doors = self.doors.borrow_mut();
                        if let Some(door) = doors.iter_mut().flatten().find(|door| door.token == token) {
                            (door.listener, door.socket) = (listener, Some(socket));
                        }
                    }
                    (Some(Packet { kind: Kind::Door, token, .. }), None) => return Received::NoDoor(token),
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

    /// Whether a connection waits that cannot be received: the kernel would close what it finds no number for.
    fn lacking(&self) -> Option<(u32, Errno)> {
        let errno = self.socket.try_clone().err()?.raw_os_error().map_or(Errno::EMFILE, Errno::from_raw);
        let mut bytes = [0; LENGTH];
        let length = scm::peek(self.fd(), &mut bytes).ok()?;
        let packet = Packet::decode(&bytes[..length])?;
        (packet.kind == Kind::Connection).then_some((packet.token, errno))
    }

    /// Leaves what is in the socket to the primary, and takes no more connections for `token` until it is ready again.
    pub fn leave_all(&mut self, token: u32) {
        self.stop(token, TAKE_BACK);
    }

    /// Tells the primary that the server of `token` takes connections, from the hand-off socket.
    pub fn ready(&mut self, token: u32) {
        self.send(Packet { kind: Kind::Ready, token, listener: 0 }, None);
    }

    /// Tells the primary that the server of `token` takes connections, also by turns.
    pub fn ready_for_turns(&mut self, token: u32) {
        let slot = self.slot_for(token);
        let listener = slot.map_or(0, |slot| slot as u32 + 1);
        self.send(Packet { kind: Kind::Ready, token, listener }, None);
    }

    fn slot_for(&self, token: u32) -> Option<usize> {
        if self.load.is_none() || self.bell.is_none() {
            return None;
        }
        let mut doors = self.doors.borrow_mut();
        let known = doors.iter().position(|door| door.as_ref().is_some_and(|door| door.token == token));
        if known.is_some() {
            return known;
        }
        let slot = doors.iter().position(Option::is_none).unwrap_or(doors.len());
        if slot == SLOTS {
            return None;
        }
        if slot == doors.len() {
            doors.push(None);
        }
        doors[slot] = Some(Door { token, listener: 0, socket: None });
        Some(slot)
    }

    /// Accepts the next connection for which this worker has the turn.
    pub fn accept(&self) -> Accepted {
        let Some(load) = &self.load else { return Accepted::None };
        let doors = self.doors.borrow();
        for (slot, door) in doors.iter().enumerate() {
            let Some(Door { token, listener, socket: Some(socket) }) = door else { continue };
            while load.begin_turn(slot) {
                // Before it is: one that is killed in the middle of that takes the connection with it.
                load.accepted();
                let outcome = socket::accept(socket.as_fd()).inspect_err(|_| load.accepted_none());
                load.end_turn(slot);
                match outcome {
                    Ok(connection) => {
                        let packet = Packet { kind: Kind::Connection, token: *token, listener: *listener };
                        return Accepted::Connection(packet, connection, load.is_steady(slot));
                    }
                    Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                        return Accepted::Failed(*token, errno);
                    }
                    // The connection has gone, or the socket with all of them.
                    Err(_) => {}
                }
            }
        }
        Accepted::None
    }

    /// Takes no more connections for `token`, until it is ready again.
    pub fn pause(&mut self, token: u32) {
        self.stop(token, 0);
    }

    fn stop(&mut self, token: u32, listener: u32) {
        self.give_turns_back(token);
        self.send(Packet { kind: Kind::Refused, token, listener }, None);
    }

    /// Has no more to do with the listening socket of `token`.
    pub fn leave(&mut self, token: u32) {
        self.stop(token, CLOSE_DOOR);
        for slot in self.doors.borrow_mut().iter_mut() {
            slot.take_if(|door| door.token == token);
        }
    }

    fn give_turns_back(&self, token: u32) {
        for (slot, door) in self.doors.borrow().iter().enumerate() {
            if let (Some(load), Some(door)) = (&self.load, door)
                && door.token == token
            {
                load.take_turns_back(slot);
            }
        }
    }

    /// Tells the primary that this worker has gone on, if it wanted to know.
    pub fn tell_news(&mut self) {
        if self.load.as_ref().is_some_and(|load| load.is_news_wanted()) {
            self.send(Packet { kind: Kind::News, token: 0, listener: 0 }, None);
        }
    }

    /// By which the primary wakes this worker.
    pub fn bell(&self) -> Option<&Wake> {
        self.bell.as_ref()
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
        self.give_turns_back(token);
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

/// The descriptor in the next message, one of those a primary puts into the socket before all else.
fn receive_first(socket: &OwnedFd, kind: Kind) -> Option<OwnedFd> {
    let mut bytes = [0; LENGTH];
    let (length, descriptor) = scm::receive(socket.as_fd(), &mut bytes).ok()?;
    descriptor.filter(|_| Packet::decode(&bytes[..length]).is_some_and(|packet| packet.kind == kind))
}
