//! The latest output, kept in bounded memory.

use std::collections::VecDeque;

use super::pump::Stream;

/// All that is kept.
const CAPACITY: usize = 1 << 20;
/// What is kept of one reading: the end of it.
const RECORD: usize = 64 << 10;
/// What is kept of one process's stderr, for the report of its end.
const TAIL: usize = 4 << 10;
/// Of how many processes that is kept.
const TAILS: usize = 256;

/// Some bytes that a worker printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who printed it; 0 is the supervisor.
    pub worker: u32,
    /// Where to.
    pub stream: Stream,
    /// Milliseconds since 1970.
    pub time: u64,
    /// As printed.
    pub text: Vec<u8>,
}

/// What `since` found.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// For the next call.
    pub next: u64,
    /// Whether older output was asked for than is kept.
    pub gap: bool,
    /// The oldest first.
    pub records: Vec<Record>,
}

/// The latest output of all workers.
#[derive(Debug, Default)]
pub(super) struct History {
    records: VecDeque<Record>,
    /// Number of the first of them.
    first: u64,
    size: usize,
    /// The end of each process's stderr; the one that printed last is the last.
    tails: VecDeque<(u32, Vec<u8>)>,
}

impl History {
    /// Adds what `process`, of the place `worker`, has printed.
    pub(super) fn add(&mut self, worker: u32, process: u32, stream: Stream, time: u64, printed: &[u8]) {
        let text = last(printed, RECORD).to_vec();
        self.size += text.len();
        self.records.push_back(Record { worker, stream, time, text });
        while self.size > CAPACITY {
            let Some(oldest) = self.records.pop_front() else { break };
            self.size -= oldest.text.len();
            self.first += 1;
        }
        if stream == Stream::Stderr {
            self.add_to_tail(process, printed);
        }
    }

    fn add_to_tail(&mut self, process: u32, printed: &[u8]) {
        let known = self.tails.iter().rposition(|&(of, _)| of == process);
        let mut tail = known.and_then(|at| self.tails.remove(at)).map_or_else(Vec::new, |(_, tail)| tail);
        tail.extend_from_slice(last(printed, TAIL));
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
        self.tails.push_back((process, tail));
        if self.tails.len() > TAILS {
            self.tails.pop_front();
        }
    }

    /// The end of a process's stderr.
    pub(super) fn tail(&self, process: u32) -> &[u8] {
        self.tails.iter().find(|&&(of, _)| of == process).map_or(&[], |(_, tail)| tail)
    }

    /// What was added from number `from` on; 0 for all there is.
    pub(super) fn since(&self, from: u64) -> Batch {
        let skip = from.saturating_sub(self.first) as usize;
        Batch {
            next: self.first + self.records.len() as u64,
            gap: from != 0 && from < self.first,
            records: self.records.iter().skip(skip).cloned().collect(),
        }
    }
}

/// The last `size` bytes, from the beginning of a line if there is one.
fn last(bytes: &[u8], size: usize) -> &[u8] {
    if bytes.len() <= size {
        return bytes;
    }
    let end = &bytes[bytes.len() - size..];
    match memchr::memchr(b'\n', end) {
        Some(at) if at + 1 < end.len() => &end[at + 1..],
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_is_only_what_is_new() {
        let mut history = History::default();
        history.add(1, 1, Stream::Stdout, 5, b"one\n");
        let batch = history.since(0);
        assert_eq!((batch.next, batch.gap, batch.records.len()), (1, false, 1));
        assert_eq!(history.since(batch.next).records, []);
        history.add(2, 2, Stream::Stderr, 6, b"two\n");
        assert_eq!(history.since(batch.next).records[0].text, b"two\n");
    }

    #[test]
    fn memory_is_bounded_and_a_gap_is_told() {
        let mut history = History::default();
        let printed = b"0123456\n".repeat(1 << 15);
        for worker in 0..100 {
            history.add(worker, worker, Stream::Stderr, 0, &printed);
        }
        let batch = history.since(1);
        assert!(batch.gap);
        assert_eq!(batch.next, 100);
        assert!(batch.records.iter().map(|record| record.text.len()).sum::<usize>() <= CAPACITY);
        assert!(batch.records.iter().all(|record| record.text.starts_with(b"0123456\n")));
        for worker in 100..1000 {
            history.add(worker, worker, Stream::Stderr, 0, b"x");
        }
        assert_eq!(history.tails.len(), TAILS);
    }

    #[test]
    fn the_tail_is_that_of_one_workers_stderr() {
        let mut history = History::default();
        history.add(1, 1, Stream::Stderr, 0, b"Error: ");
        history.add(2, 2, Stream::Stderr, 0, &b"noise\n".repeat(2000));
        history.add(1, 1, Stream::Stdout, 0, b"not this");
        history.add(1, 1, Stream::Stderr, 0, b"why\n");
        assert_eq!(history.tail(1), b"Error: why\n");
        assert!(history.tail(2).len() <= TAIL);
        assert_eq!(history.tail(3), b"");
    }
}
