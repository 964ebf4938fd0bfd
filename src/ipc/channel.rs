//! One end of a message channel: the socket, what has arrived on it and what waits to be written to it.
//!
//! Belongs to the thread of the loop that watches it. Never blocks: what the socket does not take is queued, and
//! what it has is read up to a bound, so that one flooding peer does not hold up the loop.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::frame::{Decoder, Framing};
use super::outgoing::Outgoing;
use crate::sys::scm;

/// Size of the buffer that `read` wants.
pub const READ_SIZE: usize = 64 * 1024;

/// Reads, and writes, in one turn of the loop.
const CALLS_PER_TURN: usize = 32;

/// Descriptors that may wait for their message. A peer that keeps to the protocol has one under way.
const MAX_WAITING: usize = 16;

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
    decoder: Decoder,
    /// Received, and not claimed by a message yet.
    waiting: VecDeque<OwnedFd>,
    outgoing: Outgoing,
}

impl Channel {
    /// A channel on a stream socket.
    pub fn new(socket: OwnedFd, framing: Framing) -> Self {
        Self {
            socket,
            decoder: Decoder::new(framing),
            waiting: VecDeque::new(),
            outgoing: Outgoing::default(),
        }
    }

    /// The socket, to be watched.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What has arrived; its whole messages are for the caller to consume before the next `read`.
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

    /// Writes a message, framed already, behind those that are queued; `fd` goes with its first byte.
    pub fn write(&mut self, message: Cow<'_, [u8]>, fd: Option<BorrowedFd<'_>>) -> Result<Written, Errno> {
        let mut gone = 0;
        if self.outgoing.is_empty() {
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
        // The caller may close its own once this returns.
        let fd = match fd {
            Some(fd) if gone == 0 => Some(fd.try_clone_to_owned().map_err(|_| Errno::EMFILE)?),
            _ => None,
        };
        self.outgoing.push(message, gone, fd);
        Ok(Written::Later)
    }

    /// Writes what is queued, as far as the socket takes it.
    pub fn flush(&mut self) -> Flushed {
        let mut messages = 0;
        for _ in 0..CALLS_PER_TURN {
            let Some((bytes, fd)) = self.outgoing.front() else { break };
            match send(&self.socket, bytes, fd) {
                Ok(0) => break,
                Ok(count) => messages += self.outgoing.advance(count),
                Err(error) => {
                    messages += self.outgoing.clear();
                    return Flushed { messages, error: Some(error) };
                }
            }
        }
        Flushed { messages, error: None }
    }

    /// Reads what has arrived, up to a bound; `Some` once nothing more will.
    ///
    /// `hangup` says that the other end writes no more, so that it is worth reading to the end.
    pub fn read(&mut self, buffer: &mut [u8], hangup: bool) -> Option<Ending> {
        // Between messages none is on its way to claim them: a peer sent them with messages that carry none.
        if !self.decoder.is_partial() {
            self.waiting.clear();
        }
        for _ in 0..CALLS_PER_TURN {
            match scm::receive(self.socket.as_fd(), buffer) {
                Ok((0, _)) => return Some(Ok(())),
                Ok((count, fd)) => {
                    // A descriptor ends a read early, with more behind it.
                    let is_empty = count < buffer.len() && fd.is_none() && !hangup;
                    self.decoder.push(&buffer[..count]);
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
}
