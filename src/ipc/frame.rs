//! Where one message ends and the next begins. Pure: bytes go in as they arrive, whole messages come out.
//!
//! Each byte is looked at once and moved a bounded number of times, however large the message it belongs to and
//! into however many reads it was cut.

use super::recycled;

#[cfg(test)]
mod tests;

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

/// What a parcel among lines begins with: no JSON does, nor can it contain this byte.
const MARK: u8 = 1;

/// What a v8 value begins with; among frames with lists anything else but a parcel is text.
const V8_FORMAT: u8 = 0xff;

/// What text has around a message, see lib/child_process/row_writer.js: brackets, a comma.
pub(super) const AROUND: usize = 3;

/// What tells of keys begins with this, and is no message; it has up to so many bytes.
const QUOTE: u8 = b'"';
const MOST_OF_KEYS: usize = 4096;

/// Before a parcel: the mark, three zeros, the length of what follows, 32 bits, little endian.
const PARCEL_HEADER: usize = 8;

/// For a message that is announced as larger memory grows as it arrives.
const MOST_AHEAD: usize = 16 << 20;

/// Collects bytes into whole messages.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    buffer: Vec<u8>,
    /// How much of `buffer`, from its start, is whole messages.
    whole: usize,
    /// Whether it is a ring's stream: messages in pieces of lists, see lib/child_process/row_writer.js, and among lines
    /// parcels, with bytes that are no text, see lib/child_process/parcels.js.
    takes_parcels: bool,
    /// Where a parcel begins, behind the lines that are whole.
    parcel: Option<usize>,
    /// How long the last large message was: the next one is likely to be, where nothing announces it.
    usual: usize,
    /// Memory for what comes after a large message.
    spare: Vec<u8>,
    /// How long a message may be, with its newline or length.
    limit: usize,
    /// Whether one is longer: it is not given out, nor is what comes after it.
    is_over: bool,
}

impl Decoder {
    /// A decoder at the start of its stream.
    pub fn new(framing: Framing) -> Self {
        Self {
            framing,
            buffer: Vec::new(),
            whole: 0,
            takes_parcels: false,
            parcel: None,
            usual: 0,
            spare: Vec::new(),
            limit: usize::MAX,
            is_over: false,
        }
    }

    /// The same, of a ring.
    pub fn with_parcels(framing: Framing) -> Self {
        Self { takes_parcels: true, ..Self::new(framing) }
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

    /// From now on a message may have so many bytes, with its newline or length.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether a message has come, or begun to, that is longer than the limit.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Looks for the ends of messages in what begins at `start`.
    fn scan(&mut self, start: usize) {
        if self.is_over {
            return;
        }
        match self.framing {
            Framing::Lines => {
                let unfinished = self.whole;
                self.scan_lines(start);
                if self.limit < usize::MAX {
                    self.measure_lines(unfinished);
                }
            }
            Framing::Lengths => {
                while let Some((header, rest)) = self.buffer[self.whole..].split_first_chunk::<HEADER>() {
                    let length = u32::from_be_bytes(*header) as usize;
                    if HEADER + length > self.limit && !self.is_about_keys(rest, length) {
                        // It may be about keys, which its first byte says.
                        self.is_over = !(rest.is_empty() && self.takes_parcels && length > 0);
                        return;
                    }
                    if rest.len() < length {
                        self.expect(HEADER + length);
                        return;
                    }
                    self.whole += HEADER + length;
                }
            }
        }
    }

    /// Holds back the first line from `start` on that is longer than the limit, and a parcel.
    fn measure_lines(&mut self, start: usize) {
        let mut end = start;
        let lines = self.buffer[start..self.whole].split_inclusive(|&byte| byte == b'\n');
        for line in lines {
            if line.len() > self.limit && !self.is_about_keys(line, line.len()) {
                self.is_over = true;
                break;
            }
            end += line.len();
        }
        self.whole = end;
        let rest = match (self.parcel, self.parcel_end()) {
            (Some(parcel), Some(end)) => end - parcel - PARCEL_HEADER,
            (Some(_), None) => 0,
            (None, _) if self.is_about_keys(&self.buffer[end..], self.buffer.len() - end) => 0,
            (None, _) => self.partial_len(),
        };
        self.is_over |= rest > self.limit;
    }

    /// Whether text of this length, of which part may be here, may be longer than messages are, a little.
    fn is_about_keys(&self, text: &[u8], length: usize) -> bool {
        let is_keys = text.first() == Some(&QUOTE) && length <= MOST_OF_KEYS;
        self.takes_parcels && (is_keys || length <= self.limit.saturating_add(AROUND))
    }

    fn scan_lines(&mut self, start: usize) {
        if self.parcel.is_some() {
            return self.expect_parcel();
        }
        let bytes = self.buffer.get(start..).unwrap_or_default();
        let mark = if self.takes_parcels { bytes.iter().position(|&byte| byte == MARK) } else { None };
        if let Some(at) = mark {
            self.parcel = Some(start + at);
            self.whole = start + at;
            return self.expect_parcel();
        }
        // The forward search is vectorised where the backward one is not: it keeps the pieces of a long message,
        // which have no newline at all, off the slow path.
        if bytes.last() == Some(&b'\n') {
            self.whole = self.buffer.len();
        } else if bytes.contains(&b'\n')
            && let Some(newline) = bytes.iter().rposition(|&byte| byte == b'\n')
        {
            self.whole = start + newline + 1;
        }
    }

    /// Where the parcel that comes next ends, if that is known.
    fn parcel_end(&self) -> Option<usize> {
        let header = self.buffer[self.parcel?..].first_chunk::<PARCEL_HEADER>()?;
        let [.., a, b, c, d] = *header;
        Some(self.parcel? + PARCEL_HEADER + u32::from_le_bytes([a, b, c, d]) as usize)
    }

    fn expect_parcel(&mut self) {
        if self.parcel == Some(0)
            && let Some(end) = self.parcel_end()
        {
            self.expect(end);
        }
    }

    /// Makes room at once for what is coming, so that it is not moved again and again.
    fn expect(&mut self, length: usize) {
        if self.whole > 0
            || !(recycled::SMALLEST..=MOST_AHEAD).contains(&length)
            || length <= self.buffer.capacity()
        {
            return;
        }
        let mut buffer = recycled::take(length.max(self.buffer.len()));
        buffer.extend_from_slice(&self.buffer);
        let former = std::mem::replace(&mut self.buffer, buffer);
        if former.capacity() > KEPT {
            recycled::give(former);
        } else {
            self.spare = former;
        }
    }

    /// Makes room for more of a large message of which part is here; returns how much of it to read right there,
    /// or 0 where there is none, and what comes is better looked at elsewhere first.
    pub fn make_room(&mut self) -> usize {
        if self.whole > 0 || self.parcel.is_some() {
            return 0;
        }
        let length = self.buffer.len();
        match (self.framing, self.buffer.first_chunk::<HEADER>()) {
            (Framing::Lengths, Some(header)) => {
                let left = HEADER + u32::from_be_bytes(*header) as usize - length;
                if left < recycled::SMALLEST { 0 } else { left.min(MOST_AHEAD) }
            }
            (Framing::Lines, Some(_)) if length >= recycled::SMALLEST => {
                if self.buffer.capacity() - length < recycled::SMALLEST {
                    self.expect(self.usual.max(2 * length));
                }
                (self.buffer.capacity() - length).clamp(recycled::SMALLEST, MOST_AHEAD)
            }
            _ => 0,
        }
    }

    /// Has the processor fetch some of the memory for a message like the last, if that was large; false if all of it is
    /// on its way.
    pub fn fetch_ahead(&self) -> bool {
        self.usual >= recycled::SMALLEST && self.usual <= MOST_AHEAD && recycled::fetch(self.usual)
    }

    /// Whether a parcel is next, and whole.
    pub fn has_parcel(&self) -> bool {
        !self.is_over
            && self.parcel == Some(0)
            && self.parcel_end().is_some_and(|end| end <= self.buffer.len())
    }

    /// Gives that parcel away, without a copy of it.
    pub fn take_parcel(&mut self) -> Option<Vec<u8>> {
        let end = self.parcel_end().filter(|_| self.has_parcel())?;
        let parcel = self.split(end);
        self.parcel = None;
        self.scan(0);
        Some(parcel)
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

    /// How long the message is of which part has arrived, as far as that is known.
    pub fn coming(&self) -> usize {
        let length = match (self.framing, self.buffer[self.whole..].first_chunk::<HEADER>()) {
            (Framing::Lengths, Some(header)) => HEADER + u32::from_be_bytes(*header) as usize,
            _ => self.parcel_end().map_or(0, |end| end - self.whole),
        };
        length.max(self.partial_len())
    }

    /// How much there is to take.
    pub fn ready_len(&self) -> usize {
        let parcel = if self.has_parcel() { self.parcel_end() } else { None };
        self.whole.max(parcel.unwrap_or_default())
    }

    /// Whether there is something to take.
    pub fn is_ready(&self) -> bool {
        self.whole > 0 || self.has_parcel()
    }

    /// Takes the whole messages as one list in JSON, if all are pieces of one: in brackets, with a zero behind the
    /// last comma.
    pub fn take_list(&mut self) -> Option<Vec<u8>> {
        if self.whole == 0 || (self.framing == Framing::Lengths && !self.begins_with_text()) {
            return None;
        }
        let mut list = Vec::with_capacity(self.whole + 3);
        list.push(b'[');
        match self.framing {
            Framing::Lines => list.extend_from_slice(self.whole()),
            Framing::Lengths => {
                let mut rest = self.whole();
                while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
                    let (text, behind) = behind.split_at_checked(u32::from_be_bytes(*header) as usize)?;
                    if matches!(text.first(), None | Some(&MARK | &V8_FORMAT)) {
                        return None;
                    }
                    list.extend_from_slice(text);
                    // Where one ends that is not what it should be.
                    list.push(b'\n');
                    rest = behind;
                }
            }
        }
        list.extend_from_slice(b"0]");
        self.consume();
        Some(list)
    }

    /// Whether the first message is not one for the serializer, or a parcel.
    fn begins_with_text(&self) -> bool {
        !matches!(self.buffer.get(HEADER), None | Some(&MARK | &V8_FORMAT))
    }

    /// Forgets the whole messages.
    pub fn consume(&mut self) {
        self.usual = self.whole;
        if self.buffer.capacity() > KEPT {
            recycled::give(self.take());
            return;
        }
        self.buffer.drain(..self.whole);
        self.forgot();
    }

    /// Gives the whole messages away, without a copy of them.
    pub fn take(&mut self) -> Vec<u8> {
        self.usual = self.whole;
        let taken = self.split(self.whole);
        self.forgot();
        taken
    }

    /// Gives away what comes before `end`.
    fn split(&mut self, end: usize) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.spare);
        rest.clear();
        rest.extend_from_slice(&self.buffer[end..]);
        self.buffer.truncate(end);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// What was whole is gone.
    fn forgot(&mut self) {
        self.parcel = self.parcel.map(|at| at - self.whole);
        self.whole = 0;
        self.expect_parcel();
        if self.framing == Framing::Lengths {
            self.scan(0);
        }
    }
}
