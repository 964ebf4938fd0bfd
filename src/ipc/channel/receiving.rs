//! The receiving half of a channel: from the socket or out of the ring, into the decoder.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::sending::ring_bell;
use super::{CALLS_PER_TURN, Channel, Ending, READ_SIZE, RING_BATCH, wait_for};
use crate::sys::scm;

/// Descriptors that may wait for their message. A peer that keeps to the protocol has one under way.
const MAX_WAITING: usize = 16;

/// What is read from the socket in one turn of the loop.
const BYTES_PER_TURN: usize = CALLS_PER_TURN * READ_SIZE;

/// What is taken from the ring without a whole message.
const MOST_OF_A_MESSAGE: usize = 4 << 20;

impl Channel {
    /// Reads what has arrived on the socket, up to a bound; `Some` once nothing more will.
    ///
    /// `hangup` says that the other end writes no more, so that it is worth reading to the end.
    pub fn read(&mut self, buffer: &mut [u8], hangup: bool) -> Option<Ending> {
        // Between messages none is on its way to claim them: a peer sent them with messages that carry none.
        if !self.ring_receives && !self.decoder.is_partial() {
            self.waiting.clear();
        }
        let mut taken = 0;
        while taken < BYTES_PER_TURN {
            let room = if self.ring_receives { 0 } else { self.decoder.make_room() };
            let received = if room > 0 {
                self.decoder.fill(|bytes| scm::receive_into(self.socket.as_fd(), bytes, room))
            } else {
                scm::receive(self.socket.as_fd(), buffer)
            };
            match received {
                Ok((0, _)) => return Some(Ok(())),
                Ok((count, fd)) => {
                    taken += count;
                    let asked = if room > 0 { room } else { buffer.len() };
                    // A descriptor ends a read early, with more behind it.
                    let is_empty = count < asked && fd.is_none() && !hangup;
                    if !self.ring_receives {
                        if room == 0 {
                            self.decoder.push(&buffer[..count]);
                        }
                        if self.decoder.is_over() {
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
        while taken < MOST_OF_A_MESSAGE && !self.decoder.is_ready() {
            // What came before it has been given out.
            if self.decoder.is_over() {
                return Err(Errno::EMSGSIZE);
            }
            let count = self.decoder.fill(|buffer| ring.consumer.pop(RING_BATCH, buffer))?;
            if count == 0 {
                // The rest of a large message is being copied by the other side, as a rule.
                if self.decoder.coming() >= RING_BATCH
                    && wait_for(|| ring.consumer.available().map(|count| count > 0))?
                {
                    continue;
                }
                break;
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
