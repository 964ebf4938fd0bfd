//! What a worker is told beside connections: how to reach other workers.
//!
//! Two workers that talk have a socket of their own. The accept thread makes it when one asks for the other, so
//! neither that nor what they say waits for the primary's JavaScript.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::{Acceptor, HANDOFF};
use crate::cluster::packet::{Kind, Packet};
use crate::cluster::primary::{Name, WorkerId};
use crate::sys::scm;

/// Of a `Peer` for the worker that asked.
const ASKED: u32 = 1;

impl Acceptor {
    /// Gives a worker and the one it asks for a socket to each other.
    pub(super) fn introduce(&mut self, asker: WorkerId, number: u32) {
        let Some(name) = self.workers.get(&asker).map(|worker| worker.name) else { return };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let pair = || socketpair(AddressFamily::Unix, SockType::Stream, None, flags).ok();
        let peer = |token, listener| Packet { kind: Kind::Peer, token, listener };
        match self.worker_named(Name { number, ..name }).and_then(|other| Some((other, pair()?))) {
            Some((other, (ours, theirs))) => {
                self.send_letter(other, peer(name.number, 0), Some(theirs));
                self.send_letter(asker, peer(number, ASKED), Some(ours));
            }
            None => self.send_letter(asker, Packet { kind: Kind::Absent, token: number, listener: 0 }, None),
        }
    }

    /// Tells a worker which others have loaded rcluster.
    pub(super) fn list(&mut self, asker: WorkerId, question: u32) {
        let Some(name) = self.workers.get(&asker).map(|worker| worker.name) else { return };
        let mut numbers: Vec<_> = self
            .workers
            .values()
            .filter(|worker| !worker.ended && worker.load.heartbeat() != 0)
            .filter(|worker| worker.name.cluster == name.cluster && worker.name != name)
            .map(|worker| worker.name.number)
            .collect();
        numbers.sort_unstable();
        for number in numbers.into_iter().chain([0]) {
            self.send_letter(asker, Packet { kind: Kind::Listed, token: question, listener: number }, None);
        }
    }

    fn worker_named(&self, name: Name) -> Option<WorkerId> {
        self.workers.iter().find(|(_, worker)| worker.name == name && !worker.ended).map(|(&id, _)| id)
    }

    fn send_letter(&mut self, id: WorkerId, packet: Packet, descriptor: Option<OwnedFd>) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.letters.push_back((packet, descriptor));
            self.send_letters(id);
        }
    }

    /// Sends what a worker's socket has room for.
    pub(super) fn send_letters(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        while let Some((packet, descriptor)) = worker.letters.front() {
            let socket = worker.channel.ours.as_fd();
            match scm::send(socket, &packet.encode(), descriptor.as_ref().map(AsFd::as_fd)) {
                Err(Errno::EAGAIN) => {
                    worker.full = true;
                    let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
                    let mut event = EpollEvent::new(interest, HANDOFF | u64::from(id));
                    let _ = self.epoll.modify(&worker.channel.ours, &mut event);
                    return;
                }
                // Too many descriptors are under way, or no memory is left: who asked is to know.
                Err(Errno::ENOBUFS | Errno::ENOMEM | Errno::ETOOMANYREFS)
                    if packet.kind == Kind::Peer && packet.listener == ASKED =>
                {
                    let refusal = Packet { kind: Kind::Absent, token: packet.token, listener: 0 };
                    worker.letters[0] = (refusal, None);
                }
                // Sent, or not to be sent: then whoever asked for this worker sees the socket close.
                _ => drop(worker.letters.pop_front()),
            }
        }
    }

    /// Puts back what came out of a worker's socket, for it alone.
    pub(super) fn return_letters(&mut self, id: WorkerId, letters: Vec<(Packet, Option<OwnedFd>)>) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if letters.is_empty() {
            return;
        }
        for letter in letters.into_iter().rev() {
            worker.letters.push_front(letter);
        }
        self.send_letters(id);
    }
}
