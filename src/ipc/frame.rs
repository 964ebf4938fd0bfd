//! Where one message ends and the next begins. Pure: bytes go in as they arrive, whole messages come out.
//!
//! Each byte is looked at once and moved a bounded number of times, however large the message it belongs to and
//! into however many reads it was cut.

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Each ends in a newline, which it does not contain: Node's serialization 'json'.
    Lines,
    /// Each begins with its length, 32 bits, big endian: Node's serialization 'advanced'.
    Lengths,
}

/// Bytes in a length.
const HEADER: usize = 4;

/// Memory kept for the next messages once a larger one has been taken.
const KEPT: usize = 256 * 1024;

/// Collects bytes into whole messages.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    buffer: Vec<u8>,
    /// How much of `buffer`, from its start, is whole messages.
    whole: usize,
}

impl Decoder {
    /// A decoder at the start of its stream.
    pub fn new(framing: Framing) -> Self {
        Self { framing, buffer: Vec::new(), whole: 0 }
    }

    /// Adds what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.fill(|buffer| buffer.extend_from_slice(bytes));
    }

    /// Lets `append` add what has arrived.
    pub fn fill<R>(&mut self, append: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let start = self.buffer.len();
        let outcome = append(&mut self.buffer);
        self.scan(start);
        outcome
    }

    /// Looks for the ends of messages in what begins at `start`.
    fn scan(&mut self, start: usize) {
        let bytes = self.buffer.get(start..).unwrap_or_default();
        match self.framing {
            // The forward search is vectorised where the backward one is not: it keeps the pieces of a long
            // message, which have no newline at all, off the slow path.
            Framing::Lines if bytes.last() == Some(&b'\n') => self.whole = self.buffer.len(),
            Framing::Lines if bytes.contains(&b'\n') => {
                if let Some(newline) = bytes.iter().rposition(|&byte| byte == b'\n') {
                    self.whole = start + newline + 1;
                }
            }
            Framing::Lines => {}
            Framing::Lengths => {
                while let Some(end) = self.frame_end() {
                    self.whole = end;
                }
            }
        }
    }

    /// Where the first frame after `whole` ends, if all of it is here.
    fn frame_end(&self) -> Option<usize> {
        let (header, rest) = self.buffer[self.whole..].split_first_chunk::<HEADER>()?;
        let length = u32::from_be_bytes(*header) as usize;
        (rest.len() >= length).then(|| self.whole + HEADER + length)
    }

    /// The whole messages that have arrived, with their newlines or lengths.
    pub fn whole(&self) -> &[u8] {
        &self.buffer[..self.whole]
    }

    /// Whether part of a message has arrived.
    pub fn is_partial(&self) -> bool {
        self.buffer.len() > self.whole
    }

    /// How much of a message has arrived without its end.
    pub fn partial_len(&self) -> usize {
        self.buffer.len() - self.whole
    }

    /// Forgets the whole messages.
    pub fn consume(&mut self) {
        if self.buffer.capacity() > KEPT {
            self.take();
            return;
        }
        self.buffer.drain(..self.whole);
        self.whole = 0;
    }

    /// Gives the whole messages away, without a copy of them.
    pub fn take(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.whole);
        self.whole = 0;
        std::mem::replace(&mut self.buffer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    /// What comes out when `stream` arrives in these pieces, emptied after each.
    fn decoded(
        framing: Framing,
        pieces: &[&[u8]],
        empty: impl Fn(&mut Decoder, &mut Vec<u8>),
    ) -> (Vec<u8>, bool) {
        let mut decoder = Decoder::new(framing);
        let mut out = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            empty(&mut decoder, &mut out);
        }
        (out, decoder.is_partial())
    }

    fn by_consume(decoder: &mut Decoder, out: &mut Vec<u8>) {
        out.extend_from_slice(decoder.whole());
        decoder.consume();
    }

    fn by_take(decoder: &mut Decoder, out: &mut Vec<u8>) {
        out.extend(decoder.take());
    }

    #[test]
    fn every_split_gives_the_same_messages() {
        let lines = b"{\"a\":1}\n\"\xc3\xa9\"\n\n3\n".to_vec();
        let frames = [frame(b"one"), frame(b""), frame(&[0; 300]), frame(b"\n")].concat();
        for (framing, stream) in [(Framing::Lines, lines), (Framing::Lengths, frames)] {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(decoded(framing, &pieces, by_consume), (stream.clone(), false));
                    assert_eq!(decoded(framing, &pieces, by_take), (stream.clone(), false));
                }
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(decoded(framing, &bytes, by_consume), (stream.clone(), false));
        }
    }

    #[test]
    fn part_of_a_message_is_kept_back() {
        let mut decoder = Decoder::new(Framing::Lines);
        decoder.push(b"1\n2");
        assert_eq!((decoder.whole(), decoder.is_partial()), (&b"1\n"[..], true));
        decoder.consume();
        assert_eq!((decoder.whole(), decoder.is_partial()), (&b""[..], true));
        decoder.push(b"3\n");
        assert_eq!((decoder.take(), decoder.is_partial()), (b"23\n".to_vec(), false));

        let mut decoder = Decoder::new(Framing::Lengths);
        decoder.push(&[frame(b"one"), vec![0, 0]].concat());
        assert_eq!((decoder.take(), decoder.is_partial()), (frame(b"one"), true));
        decoder.push(&[0, 2, b'x']);
        assert_eq!((decoder.whole(), decoder.is_partial()), (&b""[..], true));
        decoder.push(b"y");
        assert_eq!(decoder.take(), frame(b"xy"));
    }

    #[test]
    fn a_length_out_of_reason_only_waits() {
        let mut decoder = Decoder::new(Framing::Lengths);
        decoder.push(&[0xff; 64]);
        assert_eq!((decoder.whole(), decoder.is_partial()), (&b""[..], true));
        assert!(decoder.buffer.capacity() < 1024);
    }

    #[test]
    fn the_memory_of_a_large_message_is_given_back() {
        let mut decoder = Decoder::new(Framing::Lines);
        for _ in 0..128 {
            decoder.push(&[b'x'; 64 * 1024]);
        }
        decoder.push(b"\n1");
        assert_eq!(decoder.whole().len(), 128 * 64 * 1024 + 1);
        decoder.consume();
        assert!(decoder.buffer.capacity() <= KEPT);
        decoder.push(b"\n");
        assert_eq!(decoder.whole(), b"1\n");
    }
}
