//! The sending half of a channel: to the socket or into the ring, and what waits for either.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::{CALLS_PER_TURN, Channel, Flushed, RING_BATCH, Written, wait_for};
use crate::ipc::frame::AROUND;
use crate::ipc::ring::{FRONT, Place};
use crate::sys::scm;

/// To what the parts of a message are padded.
const PADDED: usize = 8;

/// What goes over the socket once messages do not: to wake the other side, and to carry a descriptor. The other
/// side may still take it for the start of a message, or for a line without one.
pub(super) const BELL: &[u8] = b"\n";

impl Channel {
    /// Writes a message, framed already, behind those that are queued; `fd` goes with its first byte.
    pub fn write(&mut self, message: Cow<'_, [u8]>, fd: Option<BorrowedFd<'_>>) -> Result<Written, Errno> {
        // In a ring there is a little around it.
        let around = if self.ring_sends { AROUND } else { 0 };
        if message.len() > self.limit.saturating_add(around) {
            return Err(Errno::EMSGSIZE);
        }
        self.write_all(message, 1, fd)
    }

    /// Writes a message that consists of several parts, as they stand.
    pub fn write_gathered(&mut self, parts: &[&[u8]]) -> Result<Written, Errno> {
        let length = parts.iter().map(|part| part.len()).sum();
        if length > self.limit {
            return Err(Errno::EMSGSIZE);
        }
        let mut gone = 0;
        if self.outgoing.is_empty() && !self.ring_sends {
            for _ in 0..CALLS_PER_TURN {
                match taken(scm::send_parts(self.socket.as_fd(), parts, gone))? {
                    0 => break,
                    count => gone += count,
                }
                if gone == length {
                    return Ok(Written::Now);
                }
            }
            // Whose memory it is may change it once this returns.
            self.outgoing.push(Cow::Owned(rest_of(parts.iter().copied(), gone, length)), 1, 0, None);
            return Ok(Written::Later);
        }
        self.write_all(Cow::Owned(parts.concat()), 1, None)
    }

    /// Writes `count` messages as one; the limit is not applied to them.
    pub fn write_many(&mut self, messages: &[u8], count: usize) -> Result<Written, Errno> {
        self.write_all(Cow::Borrowed(messages), count, None)
    }

    fn write_all(
        &mut self,
        message: Cow<'_, [u8]>,
        count: usize,
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<Written, Errno> {
        let mut gone = 0;
        let mut fd = fd;
        if self.outgoing.is_empty() && self.ring_sends {
            // Ahead of its message, which is not read before that is written.
            if fd.is_some() && send(&self.socket, BELL, fd)? > 0 {
                fd = None;
            }
            if fd.is_none() {
                gone = self.push(&message)?;
            }
        } else if self.outgoing.is_empty() {
            for _ in 0..CALLS_PER_TURN {
                match send(&self.socket, &message[gone..], fd.filter(|_| gone == 0))? {
                    0 => break,
                    count => gone += count,
                }
                if gone == message.len() {
                    return Ok(Written::Now);
                }
            }
        }
        if gone == message.len() {
            return Ok(Written::Now);
        }
        // The caller may close its own once this returns.
        let fd = match fd {
            Some(fd) if gone == 0 => Some(fd.try_clone_to_owned().map_err(|_| Errno::EMFILE)?),
            _ => None,
        };
        self.outgoing.push(message, count, gone, fd);
        Ok(Written::Later)
    }

    /// Sends what there is room for in the ring. Where that is not all, the other side will say when there is more.
    fn push(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut count = 0;
        let place = if bytes.len() >= FRONT { Place::Front } else { Place::Next };
        while count < bytes.len() {
            let Some(ring) = &mut self.ring else { return Err(Errno::EPROTO) };
            // In pieces, so that the other side reads one while the next is written.
            let piece = &bytes[count..bytes.len().min(count + RING_BATCH)];
            let pushed = ring.producer.push(piece, place)?;
            count += pushed;
            if pushed == 0 {
                let is_large = bytes.len() >= RING_BATCH;
                let has_room = is_large && wait_for(|| ring.producer.room(place).map(|room| room > 0))?;
                if !has_room && ring.producer.wait_for_room(place)? {
                    break;
                }
            } else {
                self.wake()?;
            }
        }
        Ok(count)
    }

    /// Writes a message that consists of several parts, each but the last padded to a multiple of 8 bytes, through
    /// the ring.
    pub fn write_parts(&mut self, parts: &[&[u8]]) -> Result<Written, Errno> {
        let length = parts.iter().map(|part| part.len().next_multiple_of(PADDED)).sum();
        if length > self.limit {
            return Err(Errno::EMSGSIZE);
        }
        let pieces = || {
            parts
                .iter()
                .flat_map(|&part| [part, &[0; PADDED][..part.len().next_multiple_of(PADDED) - part.len()]])
        };
        let mut gone = 0;
        if self.outgoing.is_empty() && self.ring_sends {
            for piece in pieces() {
                let pushed = self.push(piece)?;
                gone += pushed;
                if pushed < piece.len() {
                    break;
                }
            }
            if gone == length {
                return Ok(Written::Now);
            }
        }
        self.outgoing.push(Cow::Owned(rest_of(pieces(), gone, length)), 1, 0, None);
        Ok(Written::Later)
    }

    /// Wakes the other side if it sleeps. One that has gone in its sleep cannot be woken, and what was just sent is lost.
    pub fn wake(&self) -> Result<(), Errno> {
        let Some(ring) = self.ring.as_ref().filter(|ring| ring.producer.must_wake()) else { return Ok(()) };
        send(&self.socket, BELL, None).map(drop).inspect_err(|_| ring.producer.sleeps_on())
    }

    /// Writes what is queued, as far as it is taken; `waits_for_socket` tells by whom not.
    pub fn flush(&mut self) -> Flushed {
        let (mut messages, mut calls) = (0, 0);
        loop {
            // A bound for the socket only, which says again that it takes more. The ring does not: what has not found
            // it full would never be written.
            if self.waits_for_socket() {
                if calls == CALLS_PER_TURN {
                    break;
                }
                calls += 1;
            }
            match self.flush_one() {
                Ok(Some(ended)) => messages += ended,
                Ok(None) => break,
                Err(error) => {
                    messages += self.outgoing.clear();
                    return Flushed { messages, error: Some(error) };
                }
            }
        }
        Flushed { messages, error: None }
    }

    /// Writes of the first piece what is taken: how many messages that ends, or `None` if nothing is taken.
    fn flush_one(&mut self) -> Result<Option<usize>, Errno> {
        let Some((bytes, fd)) = self.outgoing.front() else { return Ok(None) };
        let by_ring = self.ring_sends && !self.outgoing.is_before_division();
        let count = if !by_ring {
            send(&self.socket, bytes, fd)?
        } else if fd.is_some() && send(&self.socket, BELL, fd)? == 0 {
            0
        } else {
            let mut outgoing = std::mem::take(&mut self.outgoing);
            outgoing.descriptor_gone();
            let pushed = outgoing.front().map_or(Ok(0), |(bytes, _)| self.push(bytes));
            self.outgoing = outgoing;
            pushed?
        };
        let ended = (count > 0).then(|| self.outgoing.advance(count));
        self.ring_due_bell();
        Ok(ended)
    }

    pub(super) fn ring_due_bell(&mut self) {
        if self.is_bell_due && self.ring_sends && !self.outgoing.is_before_division() {
            self.is_bell_due = false;
            ring_bell(&self.socket);
        }
    }
}

/// A socket that takes no more has woken the other side already; one that is closed does so too.
pub(super) fn ring_bell(socket: &OwnedFd) {
    let _ = send(socket, BELL, None);
}

/// Sends what the socket takes; 0 if it takes nothing now.
fn send(socket: &OwnedFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<usize, Errno> {
    taken(scm::send(socket.as_fd(), bytes, fd))
}

/// How much a socket took: nothing, where it is full.
fn taken(sent: Result<usize, Errno>) -> Result<usize, Errno> {
    match sent {
        Err(Errno::EAGAIN | Errno::ENOBUFS) => Ok(0),
        outcome => outcome,
    }
}

/// A copy of what comes behind the first `gone` of `length` bytes.
fn rest_of<'part>(parts: impl Iterator<Item = &'part [u8]>, mut gone: usize, length: usize) -> Vec<u8> {
    let mut rest = Vec::with_capacity(length - gone);
    for part in parts {
        let skipped = gone.min(part.len());
        gone -= skipped;
        rest.extend_from_slice(&part[skipped..]);
    }
    rest
}
