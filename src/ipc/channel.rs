//! One end of a message channel: the socket, what has arrived on it and what waits to be written to it.
//!
//! Belongs to the thread of the loop that watches it. Never blocks: what the socket does not take is queued, and
//! what it has is read up to a bound, so that one flooding peer does not hold up the loop.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::sched_yield;

use super::frame::{Decoder, Framing};
use super::outgoing::Outgoing;
use super::ring::{self, Corrupt, Ring};
use crate::sys::ring_memory::Part;
use crate::sys::scm;

/// Size of the buffer that `read` wants.
pub const READ_SIZE: usize = 64 * 1024;

/// Reads, and writes, in one turn of the loop.
const CALLS_PER_TURN: usize = 32;

/// Descriptors that may wait for their message. A peer that keeps to the protocol has one under way.
const MAX_WAITING: usize = 16;

/// Bytes taken from the ring before somebody else gets a look at them.
const RING_BATCH: usize = 64 * 1024;

/// To what the parts of a message are padded.
const PADDED: usize = 8;

/// How long one side of a large message waits for the other in the middle of it.
const LONGEST_WAIT: Duration = Duration::from_micros(50);

/// Looks at the ring between two at the clock.
const SPINS: usize = 64;

/// What goes over the socket once messages do not: to wake the other side, and to carry a descriptor. The other
/// side may still take it for the start of a message, or for a line without one.
const BELL: &[u8] = b"\n";

/// What became of a message given to `write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The socket has it.
    Now,
    /// It is queued.
    Later,
}

/// What `flush` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Messages that are done with.
    pub messages: usize,
    /// Why they, and all others, were lost rather than written.
    pub error: Option<Errno>,
}

/// How a stream of messages ended: in order, or why not.
pub type Ending = Result<(), Errno>;

/// A channel.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    framing: Framing,
    decoder: Decoder,
    /// Received, and not claimed by a message yet.
    waiting: VecDeque<OwnedFd>,
    outgoing: Outgoing,
    ring: Option<Ring>,
    /// Made here, and not yet taken by the other side.
    offered: Option<OwnedFd>,
    /// Whether messages go through the ring, those queued before that excepted.
    ring_sends: bool,
    /// How large a message may be.
    limit: usize,
    /// Whether messages arrive through the ring; what the socket still brings are bells.
    ring_receives: bool,
    /// Whether the other side waits for room made here, and cannot be told yet: a bell in the middle of a message
    /// that still goes by the socket would be taken for part of it.
    is_bell_due: bool,
}

impl Channel {
    /// A channel on a stream socket.
    pub fn new(socket: OwnedFd, framing: Framing) -> Self {
        Self {
            socket,
            framing,
            decoder: Decoder::new(framing),
            waiting: VecDeque::new(),
            outgoing: Outgoing::default(),
            ring: None,
            offered: None,
            limit: usize::MAX,
            ring_sends: false,
            ring_receives: false,
            is_bell_due: false,
        }
    }

    /// The socket, to be watched.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What has arrived; its whole messages are for the caller to consume before the next `read` or `receive`.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// The oldest descriptor received that no message has claimed.
    pub fn next_descriptor(&mut self) -> Option<OwnedFd> {
        self.waiting.pop_front()
    }

    /// Bytes queued.
    pub fn queued(&self) -> usize {
        self.outgoing.len()
    }

    /// Refuses messages of more than `limit` bytes from now on, in both directions.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether what is queued waits for the socket, not for room in the ring.
    pub fn waits_for_socket(&self) -> bool {
        match self.outgoing.front() {
            None => false,
            Some((_, fd)) => !self.ring_sends || self.outgoing.is_before_division() || fd.is_some(),
        }
    }

    /// Makes a ring and returns its descriptor, which is to be sent to the other side.
    pub fn offer_ring(&mut self) -> Result<BorrowedFd<'_>, Errno> {
        let (ring, fd) = Ring::create()?;
        self.ring = Some(ring);
        let offered: &OwnedFd = self.offered.insert(fd);
        Ok(offered.as_fd())
    }

    /// Opens the ring whose descriptor came with the message that is being read. Takes the descriptor, or the next
    /// message would, also where the ring is not wanted.
    pub fn open_ring(&mut self, wanted: bool) -> Result<(), Errno> {
        let fd = self.next_descriptor().ok_or(Errno::EBADF)?;
        if !wanted {
            return Err(Errno::EPERM);
        }
        self.ring = Some(Ring::open(fd.as_fd())?);
        Ok(())
    }

    /// Lets go of a ring the other side will not use.
    pub fn drop_ring(&mut self) {
        if !self.ring_sends && !self.ring_receives {
            self.ring = None;
            self.offered = None;
        }
    }

    /// Sends through the ring from now on, once what is queued has left.
    pub fn send_by_ring(&mut self) {
        self.ring_sends = self.ring.is_some();
        self.outgoing.divide();
        self.ring_due_bell();
    }

    fn ring_due_bell(&mut self) {
        if self.is_bell_due && self.ring_sends && !self.outgoing.is_before_division() {
            self.is_bell_due = false;
            ring_bell(&self.socket);
        }
    }

    /// Expects nothing but bells from the socket, from now on, and messages from the ring.
    pub fn receive_by_ring(&mut self) {
        self.ring_receives = self.ring.is_some();
        self.offered = None;
        self.decoder = Decoder::with_parcels(self.framing);
    }

    /// Lends the ring's sending lane to somebody who writes to it by himself: the lane, and how many bytes have
    /// been written. `None` unless messages go through the ring, and at once.
    pub fn lend(&self) -> Option<(Part, u32)> {
        let ring = self.ring.as_ref().filter(|_| self.ring_sends && self.outgoing.is_empty())?;
        Some(ring.producer.lend())
    }

    /// Takes the lane back.
    pub fn resume(&mut self, written: u32) {
        if let Some(ring) = &mut self.ring {
            ring.producer.resume(written);
        }
    }

    /// Whether messages arrive through the ring.
    pub fn receives_by_ring(&self) -> bool {
        self.ring_receives
    }

    /// Writes a message, framed already, behind those that are queued; `fd` goes with its first byte.
    pub fn write(&mut self, message: Cow<'_, [u8]>, fd: Option<BorrowedFd<'_>>) -> Result<Written, Errno> {
        if message.len() > self.limit {
            return Err(Errno::EMSGSIZE);
        }
        self.write_all(message, 1, fd)
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
        while count < bytes.len() {
            let Some(ring) = &mut self.ring else { return Err(Errno::EPROTO) };
            // In pieces, so that the other side reads one while the next is written.
            let piece = &bytes[count..bytes.len().min(count + RING_BATCH)];
            let pushed = ring.producer.push(piece)?;
            count += pushed;
            if pushed == 0 {
                let is_large = bytes.len() >= RING_BATCH;
                let has_room = is_large && wait_for(|| ring.producer.room().map(|room| room > 0))?;
                if !has_room && ring.producer.wait_for_room()? {
                    break;
                }
            } else {
                self.wake();
            }
        }
        Ok(count)
    }

    /// Writes a message that consists of several parts, each but the last padded to a multiple of 8 bytes, through
    /// the ring.
    pub fn write_parts(&mut self, parts: &[&[u8]]) -> Result<Written, Errno> {
        let pieces = || {
            parts
                .iter()
                .flat_map(|&part| [part, &[0; PADDED][..part.len().next_multiple_of(PADDED) - part.len()]])
        };
        let mut pieces = pieces().filter(|piece| !piece.is_empty());
        let mut rest = Vec::new();
        if self.outgoing.is_empty() && self.ring_sends {
            for piece in pieces.by_ref() {
                let gone = self.push(piece)?;
                if gone < piece.len() {
                    rest.extend_from_slice(&piece[gone..]);
                    break;
                }
            }
            if rest.is_empty() {
                return Ok(Written::Now);
            }
        }
        pieces.for_each(|piece| rest.extend_from_slice(piece));
        self.outgoing.push(Cow::Owned(rest), 1, 0, None);
        Ok(Written::Later)
    }

    /// Wakes the other side if it sleeps.
    pub fn wake(&self) {
        if self.ring.as_ref().is_some_and(|ring| ring.producer.must_wake()) {
            ring_bell(&self.socket);
        }
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

    /// Reads what has arrived on the socket, up to a bound; `Some` once nothing more will.
    ///
    /// `hangup` says that the other end writes no more, so that it is worth reading to the end.
    pub fn read(&mut self, buffer: &mut [u8], hangup: bool) -> Option<Ending> {
        // Between messages none is on its way to claim them: a peer sent them with messages that carry none.
        if !self.ring_receives && !self.decoder.is_partial() {
            self.waiting.clear();
        }
        for _ in 0..CALLS_PER_TURN {
            match scm::receive(self.socket.as_fd(), buffer) {
                Ok((0, _)) => return Some(Ok(())),
                Ok((count, fd)) => {
                    // A descriptor ends a read early, with more behind it.
                    let is_empty = count < buffer.len() && fd.is_none() && !hangup;
                    if !self.ring_receives {
                        self.decoder.push(&buffer[..count]);
                        if self.decoder.partial_len() > self.limit {
                            return Some(Err(Errno::EMSGSIZE));
                        }
                    }
                    self.waiting.extend(fd.filter(|_| self.waiting.len() < MAX_WAITING));
                    if is_empty {
                        break;
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Takes from the ring until there is a whole message, or nothing more; whether there is one.
    pub fn receive(&mut self) -> Result<bool, Errno> {
        let Some(ring) = self.ring.as_mut().filter(|_| self.ring_receives) else { return Ok(false) };
        let mut taken = 0;
        while taken < ring::SIZE && !self.decoder.is_ready() {
            let count = self.decoder.fill(|buffer| ring.consumer.pop(RING_BATCH, buffer))?;
            if count == 0 {
                // The rest of a large message is being copied by the other side, as a rule.
                if self.decoder.partial_len() >= RING_BATCH
                    && wait_for(|| ring.consumer.available().map(|count| count > 0))?
                {
                    continue;
                }
                break;
            }
            if self.decoder.partial_len() > self.limit {
                return Err(Errno::EMSGSIZE);
            }
            taken += count;
            if ring.consumer.must_wake() {
                if self.ring_sends && !self.outgoing.is_before_division() {
                    ring_bell(&self.socket);
                } else {
                    self.is_bell_due = true;
                }
            }
        }
        Ok(self.decoder.is_ready())
    }

    /// Whether there is something in the ring, or something wrong with it, for `receive` to say.
    pub fn has_come(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.consumer.available() != Ok(0))
    }

    /// Asks the other side to wake this one when it sends again; false if it has done so already.
    pub fn sleep(&mut self) -> Result<bool, Errno> {
        match &self.ring {
            Some(ring) if self.ring_receives => Ok(ring.consumer.sleep()?),
            _ => Ok(true),
        }
    }
}

/// Waits a little, less than it would take to sleep and be woken; whether what was waited for has come. Lets others
/// have the processor, of whom the other side may be one.
fn wait_for(has_come: impl Fn() -> Result<bool, Corrupt>) -> Result<bool, Corrupt> {
    let started = Instant::now();
    loop {
        for _ in 0..SPINS {
            if has_come()? {
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        if started.elapsed() > LONGEST_WAIT {
            return Ok(false);
        }
        let _ = sched_yield();
    }
}

impl From<Corrupt> for Errno {
    fn from(_: Corrupt) -> Self {
        Errno::EPROTO
    }
}

/// A socket that takes no more has woken the other side already; one that is closed does so too.
fn ring_bell(socket: &OwnedFd) {
    let _ = send(socket, BELL, None);
}

/// Sends what the socket takes; 0 if it takes nothing now.
fn send(socket: &OwnedFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<usize, Errno> {
    match scm::send(socket.as_fd(), bytes, fd) {
        Err(Errno::EAGAIN | Errno::ENOBUFS) => Ok(0),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    use super::*;

    fn pair(framing: Framing) -> (Channel, Channel) {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
        (Channel::new(a, framing), Channel::new(b, framing))
    }

    #[test]
    fn a_backlog_arrives_whole_and_in_order() {
        let (mut a, mut b) = pair(Framing::Lines);
        let mut buffer = vec![0; READ_SIZE];
        let sizes = [10, 3_000_000, 1, 500_000, 20, 30];
        let mut later = 0;
        for size in sizes {
            let message = [vec![b'x'; size], b"\n".to_vec()].concat();
            later += usize::from(a.write(Cow::Owned(message), None) == Ok(Written::Later));
        }
        assert!(later >= 4 && a.queued() > 2_000_000);
        let mut lengths = Vec::new();
        while lengths.len() < sizes.len() {
            later -= a.flush().messages;
            assert_eq!(b.read(&mut buffer, false), None);
            lengths
                .extend(b.decoder().take().split_inclusive(|&byte| byte == b'\n').map(|line| line.len() - 1));
        }
        assert_eq!((lengths.as_slice(), later, a.queued()), (&sizes[..], 0, 0));
    }

    #[test]
    fn descriptors_arrive_behind_a_backlog_each_with_its_message() {
        let (mut a, mut b) = pair(Framing::Lengths);
        let mut buffer = vec![0; READ_SIZE];
        let payload = [&1_000_000_u32.to_be_bytes()[..], &[7; 1_000_000]].concat();
        assert_eq!(a.write(Cow::Borrowed(&payload), None), Ok(Written::Later));
        let (reader, writer) = nix::unistd::pipe().unwrap();
        assert_eq!(a.write(Cow::Borrowed(&[0, 0, 0, 1, 1]), Some(writer.as_fd())), Ok(Written::Later));
        drop(writer);
        let mut received = 0;
        while received < payload.len() + 5 {
            a.flush();
            b.read(&mut buffer, false);
            received += b.decoder().take().len();
        }
        nix::unistd::write(b.next_descriptor().unwrap(), b"x").unwrap();
        assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(1));
    }

    #[test]
    fn the_end_comes_after_what_was_written_before_it() {
        let (mut a, mut b) = pair(Framing::Lines);
        a.write(Cow::Borrowed(b"1\n2\n3"), None).unwrap();
        drop(a);
        let mut buffer = vec![0; READ_SIZE];
        assert_eq!(b.read(&mut buffer, true), Some(Ok(())));
        assert_eq!(b.decoder().take(), b"1\n2\n");
        assert_eq!(b.write(Cow::Borrowed(b"4\n"), None), Err(Errno::EPIPE));
    }

    #[test]
    fn a_backlog_towards_a_peer_that_went_is_lost_with_an_error() {
        let (mut a, b) = pair(Framing::Lines);
        a.write(Cow::Owned(vec![b'x'; 3_000_000]), None).unwrap();
        a.write(Cow::Borrowed(b"\n"), None).unwrap();
        drop(b);
        assert_eq!(a.flush(), Flushed { messages: 2, error: Some(Errno::EPIPE) });
        assert_eq!(a.queued(), 0);
    }

    #[test]
    fn descriptors_nobody_claims_do_not_pile_up() {
        let (mut a, mut b) = pair(Framing::Lines);
        let mut buffer = vec![0; READ_SIZE];
        for _ in 0..200 {
            let fd = a.socket().try_clone_to_owned().unwrap();
            a.write(Cow::Borrowed(b"1\n"), Some(fd.as_fd())).unwrap();
            b.read(&mut buffer, false);
            b.decoder().consume();
        }
        assert_eq!(b.waiting.len(), 1);
    }

    /// Both directions of a pair go over to the ring, `a` having made it.
    fn by_ring(a: &mut Channel, b: &mut Channel) {
        let mut buffer = vec![0; READ_SIZE];
        let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
        a.write(Cow::Borrowed(b"hello\n"), Some(fd.as_fd())).unwrap();
        b.read(&mut buffer, false);
        b.open_ring(true).unwrap();
        assert_eq!(b.decoder().take(), b"hello\n");
        b.write(Cow::Borrowed(b"ready\n"), None).unwrap();
        b.send_by_ring();
        a.read(&mut buffer, false);
        assert_eq!(a.decoder().take(), b"ready\n");
        a.receive_by_ring();
        a.write(Cow::Borrowed(b"switch\n"), None).unwrap();
        a.send_by_ring();
        b.read(&mut buffer, false);
        assert_eq!(b.decoder().take(), b"switch\n");
        b.receive_by_ring();
    }

    #[test]
    fn nothing_stays_queued_that_neither_the_socket_nor_a_full_ring_holds_up() {
        for queued in 25..40 {
            let (mut a, mut b) = pair(Framing::Lines);
            let mut buffer = vec![0; READ_SIZE];
            let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
            b.waiting.push_back(fd);
            b.open_ring(true).unwrap();
            let mut count = 0;
            while a.write(Cow::Owned(vec![b'x'; 100_000]), None) == Ok(Written::Now) {
                count += 1;
            }
            assert!(count < 100);
            (0..queued).for_each(|_| assert_eq!(a.write(Cow::Borrowed(b"x"), None), Ok(Written::Later)));
            a.send_by_ring();
            assert_eq!(a.write(Cow::Borrowed(b"\n"), None), Ok(Written::Later));
            b.read(&mut buffer, false);
            while a.flush().messages > 0 && a.waits_for_socket() {
                b.read(&mut buffer, false);
            }
            assert_eq!(a.queued(), 0, "after {queued}");
        }
    }

    #[test]
    fn what_is_queued_for_the_socket_leaves_before_what_goes_by_the_ring() {
        let (mut a, mut b) = pair(Framing::Lines);
        let mut buffer = vec![0; READ_SIZE];
        let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
        b.waiting.push_back(fd);
        b.open_ring(true).unwrap();
        let first = [vec![b'1'; 2_000_000], b"\n".to_vec()].concat();
        assert_eq!(a.write(Cow::Borrowed(&first), None), Ok(Written::Later));
        assert_eq!(a.write(Cow::Borrowed(b"switch\n"), None), Ok(Written::Later));
        a.send_by_ring();
        assert_eq!(a.write(Cow::Borrowed(b"2\n"), None), Ok(Written::Later));
        assert!(a.waits_for_socket());
        let mut received = Vec::new();
        for _ in 0..1000 {
            a.flush();
            b.read(&mut buffer, false);
            received.extend(b.decoder().take());
        }
        assert_eq!((received, a.queued()), ([&first, &b"switch\n"[..], BELL].concat(), 0));
        b.receive_by_ring();
        assert_eq!(b.receive(), Ok(true));
        assert_eq!(b.decoder().take(), b"2\n");
    }

    #[test]
    fn no_bell_is_rung_in_the_middle_of_a_message_that_goes_by_the_socket() {
        let (mut a, mut b) = pair(Framing::Lines);
        let mut buffer = vec![0; READ_SIZE];
        let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
        b.waiting.push_back(fd);
        b.open_ring(true).unwrap();
        b.send_by_ring();
        a.receive_by_ring();
        let message = [vec![b'1'; 2_000_000], b"\n".to_vec()].concat();
        a.write(Cow::Borrowed(&message), None).unwrap();
        a.send_by_ring();
        // It waits for room, which is made while the other direction is still by the socket.
        assert_eq!(b.write(Cow::Borrowed(&message), None), Ok(Written::Later));
        let mut received = Vec::new();
        for _ in 0..1000 {
            a.receive().unwrap();
            a.flush();
            b.read(&mut buffer, false);
            received.extend(b.decoder().take());
        }
        assert_eq!(received, [&message, BELL].concat());
        b.receive_by_ring();
        b.flush();
        assert_eq!(b.queued(), 0);
    }

    #[test]
    fn large_messages_and_descriptors_go_through_the_ring_in_order() {
        let (mut a, mut b) = pair(Framing::Lines);
        by_ring(&mut a, &mut b);
        let mut buffer = vec![0; READ_SIZE];
        let large = [vec![b'x'; 3 * ring::SIZE], b"\n".to_vec()].concat();
        let (reader, writer) = nix::unistd::pipe().unwrap();
        assert_eq!(a.write(Cow::Borrowed(b"small\n"), None), Ok(Written::Now));
        assert_eq!(a.write(Cow::Borrowed(&large), None), Ok(Written::Later));
        assert_eq!(a.write(Cow::Borrowed(b"handle\n"), Some(writer.as_fd())), Ok(Written::Later));
        drop(writer);
        let (mut received, mut messages) = (Vec::new(), 0);
        for _ in 0..1000 {
            b.receive().unwrap();
            received.extend(b.decoder().take());
            assert!(b.sleep().is_ok());
            a.read(&mut buffer, false);
            messages += a.flush().messages;
        }
        assert_eq!((received.len(), messages, a.queued()), (6 + large.len() + 7, 2, 0));
        b.read(&mut buffer, false);
        nix::unistd::write(b.next_descriptor().unwrap(), b"y").unwrap();
        assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(1));
    }

    #[test]
    fn what_was_sent_before_the_end_is_still_in_the_ring() {
        let (mut a, mut b) = pair(Framing::Lines);
        by_ring(&mut a, &mut b);
        let mut buffer = vec![0; READ_SIZE];
        a.write(Cow::Borrowed(b"last\nhalf"), None).unwrap();
        drop(a);
        assert_eq!(b.read(&mut buffer, true), Some(Ok(())));
        assert_eq!(b.receive(), Ok(true));
        assert_eq!((b.decoder().take(), b.decoder().is_partial()), (b"last\n".to_vec(), true));
    }

    #[test]
    fn a_message_above_the_limit_is_neither_sent_nor_collected() {
        let (mut a, mut b) = pair(Framing::Lines);
        let mut buffer = vec![0; READ_SIZE];
        b.set_limit(1000);
        assert_eq!(b.write(Cow::Owned(vec![b'x'; 1001]), None), Err(Errno::EMSGSIZE));
        a.write(Cow::Owned(vec![b'x'; 1001]), None).unwrap();
        assert_eq!(b.read(&mut buffer, false), Some(Err(Errno::EMSGSIZE)));
    }

    #[test]
    fn the_lane_may_be_lent_only_when_nothing_is_queued() {
        let (mut a, mut b) = pair(Framing::Lines);
        assert!(a.lend().is_none());
        by_ring(&mut a, &mut b);
        let (_, written) = a.lend().unwrap();
        a.resume(written);
        a.write(Cow::Owned(vec![b'x'; 2 * ring::SIZE]), None).unwrap();
        assert!(a.lend().is_none());
    }
}
