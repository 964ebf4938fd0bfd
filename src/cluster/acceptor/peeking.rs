//! Connections that are to say whose they are before anybody gets them.
//!
//! They wait in the epoll set, each for a limited time and a limited number of looks, and nobody waits behind them.
//! What they send is looked at and stays in the kernel.

use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{Acceptor, PEEKED};
use crate::cluster::client::look;
use crate::cluster::primary::ListenerId;
use crate::cluster::proxied::{By, Reading};
use crate::cluster::schedule::Policy;

/// Connections that may wait at once. One more, and the oldest goes by its address.
const MOST_PEEKED: usize = if cfg!(test) { 64 } else { 1024 };
/// How often a connection is looked at: each look is at all that has come, and a hostile one comes byte by byte.
const MOST_LOOKS: u32 = 32;

/// A connection that has not yet said whose it is.
#[derive(Debug)]
pub(super) struct Peeking {
    listener: ListenerId,
    connection: OwnedFd,
    by: By,
    looks: u32,
    until: Instant,
}

impl Acceptor {
    /// Has a new connection wait, if it has not said whose it is and ought to; else gives it back.
    pub(super) fn peek(&mut self, id: ListenerId, connection: OwnedFd) -> Option<OwnedFd> {
        let listener = self.listeners.get(&id)?;
        let clients = listener.clients;
        if listener.policy != Policy::Sticky
            || look(&connection, clients.by, &mut self.peek_buffer) != Reading::Incomplete
        {
            return Some(connection);
        }
        if self.peeking.len() >= MOST_PEEKED
            && let Some(&(_, oldest)) = self.peek_ends.first()
        {
            self.end_peek(oldest);
        }
        let number = self.next_peek;
        self.next_peek = number.wrapping_add(1);
        // On edges: what has been looked at stays readable. What came since the look makes an edge of its own.
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        if self.epoll.add(&connection, EpollEvent::new(interest, PEEKED | u64::from(number))).is_err() {
            return Some(connection);
        }
        let until = Instant::now() + clients.patience;
        self.peek_ends.insert((until, number));
        self.peeking.insert(number, Peeking { listener: id, connection, by: clients.by, looks: 0, until });
        None
    }

    /// More has come of a connection, or its end.
    pub(super) fn look_again(&mut self, number: u32, events: EpollFlags) {
        let Some(peeking) = self.peeking.get_mut(&number) else { return };
        peeking.looks += 1;
        let is_over = events.intersects(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
        if is_over
            || peeking.looks >= MOST_LOOKS
            || look(&peeking.connection, peeking.by, &mut self.peek_buffer) != Reading::Incomplete
        {
            self.end_peek(number);
        }
    }

    /// When the first of those that wait has waited long enough.
    pub(super) fn peek_end(&self) -> Option<Instant> {
        self.peek_ends.first().map(|&(until, _)| until)
    }

    /// Gives away by their addresses those that have waited long enough.
    pub(super) fn end_peeks(&mut self) {
        if self.peek_ends.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(&(until, number)) = self.peek_ends.first()
            && until <= now
        {
            self.end_peek(number);
        }
    }

    /// Gives a connection away by what is known of it now.
    fn end_peek(&mut self, number: u32) {
        let Some(peeking) = self.peeking.remove(&number) else { return };
        self.peek_ends.remove(&(peeking.until, number));
        let _ = self.epoll.delete(&peeking.connection);
        self.give_or_keep(peeking.listener, peeking.connection);
        // Not what waits in the kernel: this may be called from where that is accepted.
        self.give_waiting(peeking.listener);
    }

    /// A listener is closed, and what waits in front of it with it.
    pub(super) fn forget_peeks(&mut self, id: ListenerId) {
        self.peeking.retain(|_, peeking| peeking.listener != id);
        let peeking = &self.peeking;
        self.peek_ends.retain(|(_, number)| peeking.contains_key(number));
    }
}
