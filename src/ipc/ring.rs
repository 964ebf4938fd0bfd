//! A stream of bytes in each direction through shared memory, and the word by which either side says that it
//! sleeps. What the other side writes there is checked before it is used: a count that cannot be is `Corrupt`.
//!
//! ```text
//! 0        4096          4096 + SIZE          2 * (4096 + SIZE)
//! | header | bytes       | header | bytes     |
//!   what the maker of      what is sent
//!   the memory sends       to it
//! ```
//! Counts of bytes, 32 bits, only grow and wrap around; a byte's place is its number modulo SIZE. Each has one
//! writer, who keeps a count of its own and never reads back what it has published.
//!
//! The sending lane can be lent to JavaScript, which then writes small messages without a call into here.

use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use nix::errno::Errno;

use crate::sys::ring_memory::{Memory, Part};

/// Bytes of each direction that may be under way.
pub const SIZE: usize = 1 << 20;

/// Bytes of the shared memory.
pub const LENGTH: NonZeroUsize = NonZeroUsize::new(2 * LANE).unwrap();
const LANE: usize = HEADER + SIZE;
const HEADER: usize = 4096;

/// Fields of a header, on cache lines of their own; lib/child_process/lane.js has the same.
const WRITTEN: usize = 0;
const READ: usize = 64;
const READER_SLEEPS: usize = 128;
const WRITER_WAITS: usize = 192;

/// The other side has written nonsense into the shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// Both directions, as one side has them.
#[derive(Debug)]
pub struct Ring {
    /// What this side sends.
    pub producer: Producer,
    /// What it receives.
    pub consumer: Consumer,
}

impl Ring {
    /// Makes the memory; the descriptor is for the other side.
    pub fn create() -> Result<(Self, OwnedFd), Errno> {
        let (memory, fd) = Memory::create(LENGTH)?;
        Ok((Self::new(memory, 0, 1), fd))
    }

    /// Opens what the other side has made.
    pub fn open(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        Ok(Self::new(Memory::open(fd, LENGTH)?, 1, 0))
    }

    fn new(memory: Memory, sending: usize, receiving: usize) -> Self {
        let memory = Rc::new(memory);
        let consumer = Consumer { lane: Lane { memory: memory.clone(), start: receiving * LANE }, read: 0 };
        // Until it has looked for the first time.
        consumer.lane.raise(READER_SLEEPS);
        Self { producer: Producer { lane: Lane { memory, start: sending * LANE }, written: 0 }, consumer }
    }
}

/// One direction.
#[derive(Debug)]
struct Lane {
    memory: Rc<Memory>,
    start: usize,
}

impl Lane {
    fn field(&self, field: usize) -> &AtomicU32 {
        self.memory.number(self.start + field)
    }

    /// Whether a flag was raised; it is down afterwards.
    ///
    /// Together with `raise` this is Dekker's: one side publishes and then looks at the flag, the other raises the
    /// flag and then looks at what is published. With a fence between, at least one of them sees the other.
    fn lower(&self, flag: usize) -> bool {
        let flag = self.field(flag);
        fence(Ordering::SeqCst);
        flag.load(Ordering::Relaxed) != 0 && flag.swap(0, Ordering::SeqCst) != 0
    }

    fn raise(&self, flag: usize) {
        self.field(flag).store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Bytes under way between a writer and a reader.
    fn under_way(written: u32, read: u32) -> Result<usize, Corrupt> {
        let count = written.wrapping_sub(read);
        if count > SIZE as u32 { Err(Corrupt) } else { Ok(count as usize) }
    }

    /// The part of `length` bytes from byte number `count` on that lies before the end of the memory: its place
    /// and length.
    fn piece(&self, count: u32, length: usize) -> (usize, usize) {
        let place = count as usize % SIZE;
        (self.start + HEADER + place, length.min(SIZE - place))
    }
}

/// The sending end.
#[derive(Debug)]
pub struct Producer {
    lane: Lane,
    written: u32,
}

impl Producer {
    /// The lane, for somebody else to write to, and how many bytes have been written. Until `resume`.
    pub fn lend(&self) -> (Part, u32) {
        (Part { memory: self.lane.memory.clone(), start: self.lane.start, length: LANE }, self.written)
    }

    /// Goes on where whom the lane was lent to has come to.
    pub fn resume(&mut self, written: u32) {
        self.written = written;
    }

    /// How many bytes there is room for.
    pub fn room(&self) -> Result<usize, Corrupt> {
        let read = self.lane.field(READ).load(Ordering::Acquire);
        Ok(SIZE - Lane::under_way(self.written, read)?)
    }

    /// Sends as much of `bytes` as there is room for; returns how much.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, Corrupt> {
        let taken = bytes.len().min(self.room()?);
        let (place, length) = self.lane.piece(self.written, taken);
        self.lane.memory.write(place, &bytes[..length]);
        if length < taken {
            self.lane.memory.write(self.lane.start + HEADER, &bytes[length..taken]);
        }
        self.written = self.written.wrapping_add(taken as u32);
        self.lane.field(WRITTEN).store(self.written, Ordering::Release);
        Ok(taken)
    }

    /// Whether the reader sleeps and is to be woken, now that something has been sent; said once.
    pub fn must_wake(&self) -> bool {
        self.lane.lower(READER_SLEEPS)
    }

    /// The reader could not be woken, nor will it be: whoever sends next is to hear of that too.
    pub fn sleeps_on(&self) {
        self.lane.raise(READER_SLEEPS);
    }

    /// Asks the reader to wake this side once there is room; false if there is some already.
    pub fn wait_for_room(&self) -> Result<bool, Corrupt> {
        self.lane.raise(WRITER_WAITS);
        let waits = self.room()? == 0;
        if !waits {
            self.lane.lower(WRITER_WAITS);
        }
        Ok(waits)
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Consumer {
    lane: Lane,
    read: u32,
}

impl Consumer {
    /// How many bytes have arrived.
    pub fn available(&self) -> Result<usize, Corrupt> {
        let written = self.lane.field(WRITTEN).load(Ordering::Acquire);
        Lane::under_way(written, self.read)
    }

    /// Appends what has arrived to `to`, up to `limit` bytes; returns how many.
    pub fn pop(&mut self, limit: usize, to: &mut Vec<u8>) -> Result<usize, Corrupt> {
        let taken = self.available()?.min(limit);
        let (place, length) = self.lane.piece(self.read, taken);
        self.lane.memory.read(place, length, to);
        if length < taken {
            self.lane.memory.read(self.lane.start + HEADER, taken - length, to);
        }
        self.read = self.read.wrapping_add(taken as u32);
        self.lane.field(READ).store(self.read, Ordering::Release);
        Ok(taken)
    }

    /// Whether the writer waits for the room made by `pop`; said once.
    pub fn must_wake(&self) -> bool {
        self.lane.lower(WRITER_WAITS)
    }

    /// Asks the writer to wake this side once something has been sent; false if something has been already.
    pub fn sleep(&self) -> Result<bool, Corrupt> {
        self.lane.raise(READER_SLEEPS);
        let sleeps = self.available()? == 0;
        if !sleeps {
            self.lane.lower(READER_SLEEPS);
        }
        Ok(sleeps)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (Ring, Ring) {
        let (ours, fd) = Ring::create().unwrap();
        let theirs = Ring::open(fd.as_fd()).unwrap();
        (ours, theirs)
    }

    /// A small generator of numbers: the same ones each time.
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn both_directions_carry_any_sizes_past_the_end_of_the_memory() {
        let (mut ours, mut theirs) = pair();
        let mut seed = 1;
        for (from, to) in
            [(&mut ours.producer, &mut theirs.consumer), (&mut theirs.producer, &mut ours.consumer)]
        {
            let (mut sent, mut received, mut count) = (0_usize, 0_usize, 0);
            let mut buffer = Vec::new();
            while received < 5 * SIZE {
                let size = random(&mut seed) as usize % (SIZE / 3);
                let bytes: Vec<u8> = (sent..sent + size).map(|number| number as u8).collect();
                sent += from.push(&bytes).unwrap();
                buffer.clear();
                let taken = to.pop(random(&mut seed) as usize % (SIZE / 2), &mut buffer).unwrap();
                assert_eq!(taken, buffer.len());
                assert!(buffer.iter().enumerate().all(|(at, &byte)| byte == (received + at) as u8));
                received += taken;
                assert_eq!(from.room(), Ok(SIZE - (sent - received)));
                count += 1;
            }
            assert!(count > 10);
        }
    }

    #[test]
    fn counts_wrap_around() {
        let (mut ours, mut theirs) = pair();
        for number in [&ours.producer.lane, &theirs.consumer.lane] {
            number.field(WRITTEN).store(u32::MAX - 2, Ordering::Relaxed);
            number.field(READ).store(u32::MAX - 2, Ordering::Relaxed);
        }
        ours.producer.resume(u32::MAX - 2);
        theirs.consumer.read = u32::MAX - 2;
        assert_eq!(ours.producer.push(b"across"), Ok(6));
        let mut bytes = Vec::new();
        assert_eq!(theirs.consumer.pop(100, &mut bytes), Ok(6));
        assert_eq!((bytes.as_slice(), ours.producer.room()), (&b"across"[..], Ok(SIZE)));
    }

    #[test]
    fn a_sleeper_is_woken_once_and_only_if_there_is_something_for_it() {
        let (mut ours, mut theirs) = pair();
        let mut bytes = Vec::new();
        ours.producer.push(b"1").unwrap();
        assert!(ours.producer.must_wake());
        assert!(!ours.producer.must_wake());
        assert_eq!(theirs.consumer.sleep(), Ok(false));
        theirs.consumer.pop(10, &mut bytes).unwrap();
        assert_eq!(theirs.consumer.sleep(), Ok(true));
        assert!(!theirs.consumer.must_wake());
        ours.producer.push(&vec![0; SIZE]).unwrap();
        assert_eq!(ours.producer.wait_for_room(), Ok(true));
        theirs.consumer.pop(10, &mut bytes).unwrap();
        assert!(theirs.consumer.must_wake());
        assert!(!theirs.consumer.must_wake());
        assert_eq!(ours.producer.wait_for_room(), Ok(false));
    }

    #[test]
    fn nonsense_in_a_header_is_found_and_never_leads_outside() {
        let mut seed = 7;
        let mut found = 0;
        for _ in 0..20_000 {
            thread_local!(static PAIR: std::cell::RefCell<(Ring, Ring)> = std::cell::RefCell::new(pair()));
            PAIR.with_borrow_mut(|(ours, theirs)| {
                let field = [WRITTEN, READ, READER_SLEEPS, WRITER_WAITS][random(&mut seed) as usize % 4];
                let lane = if random(&mut seed).is_multiple_of(2) {
                    &theirs.producer.lane
                } else {
                    &theirs.consumer.lane
                };
                lane.field(field).store(random(&mut seed) as u32, Ordering::Relaxed);
                let mut bytes = Vec::new();
                let outcomes = [
                    ours.producer.push(b"some bytes").map(drop),
                    ours.producer.wait_for_room().map(drop),
                    ours.consumer.pop(SIZE, &mut bytes).map(drop),
                    ours.consumer.sleep().map(drop),
                ];
                let _ = (ours.producer.must_wake(), ours.consumer.must_wake());
                assert!(bytes.len() <= SIZE);
                found += outcomes.iter().filter(|outcome| outcome.is_err()).count();
            });
        }
        assert!(found > 1000);
    }

    #[test]
    fn two_threads_hand_over_everything_and_neither_sleeps_too_long() {
        let (mut ours, fd) = Ring::create().unwrap();
        let (bell, doorbell) = std::sync::mpsc::channel::<()>();
        const COUNT: usize = 200_000;
        let reader = std::thread::spawn(move || {
            let mut theirs = Ring::open(fd.as_fd()).unwrap();
            let mut bytes = Vec::new();
            while bytes.len() < COUNT * 4 {
                while theirs.consumer.pop(1000, &mut bytes).unwrap() > 0 {}
                if bytes.len() < COUNT * 4 && theirs.consumer.sleep().unwrap() {
                    doorbell.recv_timeout(std::time::Duration::from_secs(10)).expect("a wake-up was lost");
                }
            }
            bytes
        });
        for number in 0..COUNT as u32 {
            let mut rest = &number.to_le_bytes()[..];
            while !rest.is_empty() {
                rest = &rest[ours.producer.push(rest).unwrap()..];
                if ours.producer.must_wake() {
                    bell.send(()).unwrap();
                }
            }
        }
        let bytes = reader.join().unwrap();
        assert!(bytes.chunks(4).enumerate().all(|(at, chunk)| chunk == (at as u32).to_le_bytes()));
    }
}
