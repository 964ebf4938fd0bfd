//! One end of a message channel: the socket, what has arrived on it and what waits to be written to it.
//!
//! Belongs to the thread of the loop that watches it. Never blocks: what the socket does not take is queued, and
//! what it has is read up to a bound, so that one flooding peer does not hold up the loop.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::sched_yield;

use super::frame::{Decoder, Framing};
use super::outgoing::Outgoing;
use super::ring::{Corrupt, Ring};
use crate::sys::ring_memory::Part;

mod receiving;
mod sending;
#[cfg(test)]
mod tests;

/// Size of the buffer that `read` wants.
pub const READ_SIZE: usize = 64 * 1024;

/// Reads, and writes, in one turn of the loop.
const CALLS_PER_TURN: usize = 32;

/// Bytes taken from the ring before somebody else gets a look at them.
const RING_BATCH: usize = 64 * 1024;

/// How long one side of a large message waits for the other in the middle of it.
const LONGEST_WAIT: Duration = Duration::from_micros(200);

/// Looks at the ring between two at the clock.
const SPINS: usize = 64;

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
        self.decoder.set_limit(limit);
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

    /// Expects nothing but bells from the socket, from now on, and messages from the ring.
    pub fn receive_by_ring(&mut self) {
        self.ring_receives = self.ring.is_some();
        self.offered = None;
        self.decoder = Decoder::with_parcels(self.framing);
        self.decoder.set_limit(self.limit);
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
