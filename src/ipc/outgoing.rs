//! Messages the socket would not take yet, in order, each with the descriptor that goes with it. Pure.
//!
//! Small messages without descriptors are joined, so that a backlog of them costs few system calls.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Up to what size messages are joined.
const JOINED: usize = 64 * 1024;

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// Goes out with the first byte.
    fd: Option<OwnedFd>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: VecDeque<Piece>,
    /// How much of the first piece is gone.
    gone: usize,
    /// Where messages end, counted in bytes from the first ever queued, and how many end there.
    ends: VecDeque<(u64, usize)>,
    queued: u64,
    sent: u64,
    /// Pieces, from the first, to which nothing may be joined.
    closed: usize,
}

impl Outgoing {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        (self.queued - self.sent) as usize
    }

    /// Adds messages, `count` of them, which are done with together. The first `gone` bytes were written already;
    /// only into an empty queue if above 0.
    pub fn push(&mut self, bytes: Cow<'_, [u8]>, count: usize, gone: usize, fd: Option<OwnedFd>) {
        let rest = &bytes[gone..];
        self.queued += rest.len() as u64;
        self.ends.push_back((self.queued, count));
        if fd.is_none()
            && self.pieces.len() > self.closed
            && let Some(last) = self.pieces.back_mut()
            && last.fd.is_none()
            && last.bytes.len() + rest.len() <= JOINED
        {
            last.bytes.extend_from_slice(rest);
            return;
        }
        if self.pieces.is_empty() && matches!(bytes, Cow::Owned(_)) {
            self.gone = gone;
            self.pieces.push_back(Piece { bytes: bytes.into_owned(), fd });
        } else {
            self.pieces.push_back(Piece { bytes: rest.to_vec(), fd });
        }
    }

    /// Keeps what is queued now apart from what will be.
    pub fn divide(&mut self) {
        self.closed = self.pieces.len();
    }

    /// Whether what is next was queued before the last `divide`.
    pub fn is_before_division(&self) -> bool {
        self.closed > 0
    }

    /// What to write next.
    pub fn front(&self) -> Option<(&[u8], Option<BorrowedFd<'_>>)> {
        let piece = self.pieces.front()?;
        Some((&piece.bytes[self.gone..], piece.fd.as_ref().map(AsFd::as_fd)))
    }

    /// Notes that the descriptor of `front` is gone, ahead of its bytes.
    pub fn descriptor_gone(&mut self) {
        if let Some(piece) = self.pieces.front_mut() {
            piece.fd = None;
        }
    }

    /// Notes that `count` bytes of `front` were written, and its descriptor; returns how many messages that ends.
    pub fn advance(&mut self, count: usize) -> usize {
        self.gone += count;
        self.sent += count as u64;
        if let Some(piece) = self.pieces.front_mut() {
            piece.fd = None;
            if self.gone == piece.bytes.len() {
                self.pieces.pop_front();
                self.closed = self.closed.saturating_sub(1);
                self.gone = 0;
            }
        }
        let mut ended = 0;
        while let Some(&(end, count)) = self.ends.front()
            && end <= self.sent
        {
            ended += count;
            self.ends.pop_front();
        }
        ended
    }

    /// Throws all away; returns how many messages that loses.
    pub fn clear(&mut self) -> usize {
        let lost = self.ends.iter().map(|&(_, count)| count).sum();
        *self = Self::default();
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_they_were_queued_however_they_are_written() {
        for step in 1..=12 {
            let mut outgoing = Outgoing::default();
            outgoing.push(Cow::Borrowed(b"##one"), 1, 2, None);
            outgoing.push(Cow::Owned(b"four".to_vec()), 1, 0, None);
            outgoing.push(Cow::Borrowed(b"seven"), 1, 0, None);
            assert_eq!(outgoing.len(), 12);
            let (mut written, mut finished) = (Vec::new(), Vec::new());
            while let Some((bytes, _)) = outgoing.front() {
                let count = bytes.len().min(step);
                written.extend_from_slice(&bytes[..count]);
                finished.resize(finished.len() + outgoing.advance(count), written.len());
            }
            assert_eq!(written, b"onefourseven");
            let up = |end: usize| end.div_ceil(step) * step;
            assert_eq!(finished, [up(3).min(12), up(7).min(12), 12]);
            assert_eq!(outgoing.len(), 0);
        }
    }

    #[test]
    fn nothing_is_joined_across_a_division() {
        let mut outgoing = Outgoing::default();
        outgoing.push(Cow::Borrowed(b"one"), 1, 0, None);
        outgoing.push(Cow::Borrowed(b"two"), 1, 0, None);
        outgoing.divide();
        outgoing.push(Cow::Borrowed(b"three"), 1, 0, None);
        outgoing.push(Cow::Borrowed(b"four"), 1, 0, None);
        assert_eq!((outgoing.front().unwrap().0, outgoing.is_before_division()), (&b"onetwo"[..], true));
        outgoing.advance(6);
        assert_eq!((outgoing.front().unwrap().0, outgoing.is_before_division()), (&b"threefour"[..], false));
    }

    #[test]
    fn a_descriptor_goes_with_the_first_byte_of_its_own_message_alone() {
        let (fd, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut outgoing = Outgoing::default();
        outgoing.push(Cow::Borrowed(b"plain"), 1, 0, None);
        outgoing.push(Cow::Borrowed(b"handle"), 1, 0, Some(fd.into()));
        outgoing.push(Cow::Borrowed(b"after"), 1, 0, None);
        assert!(matches!(outgoing.front(), Some((b"plain", None))));
        outgoing.advance(5);
        assert!(matches!(outgoing.front(), Some((b"handle", Some(_)))));
        outgoing.advance(1);
        assert!(matches!(outgoing.front(), Some((b"andle", None))));
        assert_eq!(outgoing.advance(5), 1);
        assert!(matches!(outgoing.front(), Some((b"after", None))));
        assert_eq!(outgoing.clear(), 1);
        assert!(outgoing.is_empty());
    }
}
