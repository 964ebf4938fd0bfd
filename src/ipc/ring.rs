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
//!
//! What is large goes through the first part of the memory again and again, which so stays in the processor's cache:
//! where it would leave that part, the writer jumps to its beginning. A jump leaves out bytes, which count as written
//! and as read; the header says from where to where the last one went, and there is none before the reader has made it.

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

/// The first part of the memory, for what is as large.
pub const FRONT: usize = 1 << 18;

/// Fields of a header, on cache lines of their own; lib/child_process/lane.js has the same.
const WRITTEN: usize = 0;
const READ: usize = 64;
const READER_SLEEPS: usize = 128;
const WRITER_WAITS: usize = 192;
const JUMP_FROM: usize = 256;
const JUMP_TO: usize = 320;

/// The other side has written nonsense into the shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// Where bytes are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind those before.
    Next,
    /// In the first part of the memory.
    Front,
}

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
        let lane = Lane { memory, start: sending * LANE };
        Self { producer: Producer { lane, written: 0, jumped_to: None }, consumer }
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
    /// Where the last jump went, if the reader may not have made it.
    jumped_to: Option<u32>,
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

    /// How many bytes there is room for, in a row where they go to the front.
    pub fn room(&self, place: Place) -> Result<usize, Corrupt> {
        let (under_way, left_out) = (self.under_way()?, self.left_out(place));
        if place == Place::Next {
            return Ok(SIZE - under_way);
        }
        if left_out > 0 && self.is_jump_ahead(under_way) {
            return Ok(0);
        }
        let start = (self.written as usize + left_out) % SIZE;
        Ok((SIZE - under_way).saturating_sub(left_out).min(FRONT - start))
    }

    fn under_way(&self) -> Result<usize, Corrupt> {
        Lane::under_way(self.written, self.lane.field(READ).load(Ordering::Acquire))
    }

    /// How many bytes a jump leaves out, if there is to be one.
    fn left_out(&self, place: Place) -> usize {
        let at = self.written as usize % SIZE;
        if place == Place::Next || at < FRONT { 0 } else { SIZE - at }
    }

    /// Whether the last jump is among the bytes that the reader has not read.
    fn is_jump_ahead(&self, under_way: usize) -> bool {
        self.jumped_to.is_some_and(|to| (self.written.wrapping_sub(to) as usize) < under_way)
    }

    /// Sends as much of `bytes` as there is room for; returns how much.
    pub fn push(&mut self, bytes: &[u8], place: Place) -> Result<usize, Corrupt> {
        let taken = bytes.len().min(self.room(place)?);
        if taken == 0 {
            return Ok(0);
        }
        self.jump(self.left_out(place))?;
        let (place, length) = self.lane.piece(self.written, taken);
        self.lane.memory.write(place, &bytes[..length]);
        if length < taken {
            self.lane.memory.write(self.lane.start + HEADER, &bytes[length..taken]);
        }
        self.written = self.written.wrapping_add(taken as u32);
        self.lane.field(WRITTEN).store(self.written, Ordering::Release);
        Ok(taken)
    }

    /// Leaves bytes out. The reader hears of it together with what comes behind them.
    fn jump(&mut self, left_out: usize) -> Result<(), Corrupt> {
        if self.jumped_to.is_some() && !self.is_jump_ahead(self.under_way()?) {
            // Or it would be taken for another one when counts have wrapped around.
            self.lane.field(JUMP_FROM).store(0, Ordering::Relaxed);
            self.lane.field(JUMP_TO).store(0, Ordering::Relaxed);
            self.jumped_to = None;
        }
        if left_out > 0 {
            let to = self.written.wrapping_add(left_out as u32);
            self.lane.field(JUMP_FROM).store(self.written, Ordering::Relaxed);
            self.lane.field(JUMP_TO).store(to, Ordering::Relaxed);
            self.jumped_to = Some(to);
            self.written = to;
        }
        Ok(())
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
    pub fn wait_for_room(&self, place: Place) -> Result<bool, Corrupt> {
        self.lane.raise(WRITER_WAITS);
        let waits = self.room(place)? == 0;
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
        let taken = self.make_jump()?.min(limit);
        let (place, length) = self.lane.piece(self.read, taken);
        self.lane.memory.read(place, length, to);
        if length < taken {
            self.lane.memory.read(self.lane.start + HEADER, taken - length, to);
        }
        self.read = self.read.wrapping_add(taken as u32);
        self.lane.field(READ).store(self.read, Ordering::Release);
        Ok(taken)
    }

    /// Makes the writer's jump, if it is next; returns how many bytes have arrived before another.
    fn make_jump(&mut self) -> Result<usize, Corrupt> {
        let available = self.available()?;
        let from = self.lane.field(JUMP_FROM).load(Ordering::Relaxed);
        let to = self.lane.field(JUMP_TO).load(Ordering::Relaxed);
        let (before, left_out) = (from.wrapping_sub(self.read) as usize, to.wrapping_sub(from) as usize);
        if left_out == 0 || before >= available {
            return Ok(available);
        }
        if before > 0 {
            return Ok(before);
        }
        if left_out >= available {
            return Err(Corrupt);
        }
        self.read = to;
        Ok(available - left_out)
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
                let place = if size > SIZE / 6 { Place::Front } else { Place::Next };
                sent += from.push(&bytes, place).unwrap();
                buffer.clear();
                let taken = to.pop(random(&mut seed) as usize % (SIZE / 2), &mut buffer).unwrap();
                assert_eq!(taken, buffer.len());
                assert!(buffer.iter().enumerate().all(|(at, &byte)| byte == (received + at) as u8));
                received += taken;
                count += 1;
            }
            while to.pop(SIZE, &mut buffer).unwrap() > 0 {}
            assert_eq!(from.room(Place::Next), Ok(SIZE));
            assert!(count > 10);
        }
    }

    #[test]
    fn what_is_large_stays_at_the_front() {
        let (mut ours, mut theirs) = pair();
        let (from, to) = (&mut ours.producer, &mut theirs.consumer);
        // Counts wrap around on the way.
        let start = 0_u32.wrapping_sub(3 * SIZE as u32 + 10);
        for count in [WRITTEN, READ] {
            from.lane.field(count).store(start, Ordering::Relaxed);
        }
        from.resume(start);
        to.read = start;
        let large: Vec<u8> = (0..10 * SIZE).map(|number| (number / 7) as u8).collect();
        let (mut sent, mut buffer) = (0, Vec::new());
        while buffer.len() < large.len() {
            let count = from.push(&large[sent..], Place::Front).unwrap();
            assert!(from.written as usize % SIZE <= FRONT);
            sent += count;
            if count == 0 {
                assert!(to.pop(FRONT / 3, &mut buffer).unwrap() > 0);
            }
        }
        assert!(buffer == large);
        // What comes next may lie behind, and large things wait until it is read.
        let small = vec![1; FRONT + 1];
        assert_eq!(from.push(&small, Place::Next), Ok(small.len()));
        assert_eq!(from.push(b"large", Place::Front), Ok(5));
        buffer.clear();
        assert_eq!(to.pop(100, &mut buffer), Ok(100));
        assert_eq!(from.push(&small, Place::Next), Ok(small.len()));
        assert_eq!(from.push(b"large", Place::Front), Ok(0));
        assert_eq!(from.wait_for_room(Place::Front), Ok(true));
        while to.pop(SIZE, &mut buffer).unwrap() > 0 {}
        assert!(buffer == [&small[..], b"large", &small].concat());
        assert_eq!(from.push(b"large", Place::Front), Ok(5));
        assert!(from.push(b"s", Place::Next).is_ok() && from.jumped_to.is_some());
        while to.pop(SIZE, &mut buffer).unwrap() > 0 {}
        from.push(b"s", Place::Next).unwrap();
        assert_eq!((from.jumped_to, from.lane.field(JUMP_TO).load(Ordering::Relaxed)), (None, 0));
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
        assert_eq!(ours.producer.push(b"across", Place::Next), Ok(6));
        let mut bytes = Vec::new();
        assert_eq!(theirs.consumer.pop(100, &mut bytes), Ok(6));
        assert_eq!((bytes.as_slice(), ours.producer.room(Place::Next)), (&b"across"[..], Ok(SIZE)));
    }

    #[test]
    fn a_sleeper_is_woken_once_and_only_if_there_is_something_for_it() {
        let (mut ours, mut theirs) = pair();
        let mut bytes = Vec::new();
        ours.producer.push(b"1", Place::Next).unwrap();
        assert!(ours.producer.must_wake());
        assert!(!ours.producer.must_wake());
        assert_eq!(theirs.consumer.sleep(), Ok(false));
        theirs.consumer.pop(10, &mut bytes).unwrap();
        assert_eq!(theirs.consumer.sleep(), Ok(true));
        assert!(!theirs.consumer.must_wake());
        ours.producer.push(&vec![0; SIZE], Place::Next).unwrap();
        assert_eq!(ours.producer.wait_for_room(Place::Next), Ok(true));
        theirs.consumer.pop(10, &mut bytes).unwrap();
        assert!(theirs.consumer.must_wake());
        assert!(!theirs.consumer.must_wake());
        assert_eq!(ours.producer.wait_for_room(Place::Next), Ok(false));
    }

    #[test]
    fn nonsense_in_a_header_is_found_and_never_leads_outside() {
        let mut seed = 7;
        let mut found = 0;
        for _ in 0..20_000 {
            thread_local!(static PAIR: std::cell::RefCell<(Ring, Ring)> = std::cell::RefCell::new(pair()));
            PAIR.with_borrow_mut(|(ours, theirs)| {
                let field = [WRITTEN, READ, READER_SLEEPS, WRITER_WAITS, JUMP_FROM, JUMP_TO]
                    [random(&mut seed) as usize % 6];
                let place = [Place::Next, Place::Front][random(&mut seed) as usize % 2];
                let lane = if random(&mut seed).is_multiple_of(2) {
                    &theirs.producer.lane
                } else {
                    &theirs.consumer.lane
                };
                lane.field(field).store(random(&mut seed) as u32, Ordering::Relaxed);
                let mut bytes = Vec::new();
                let outcomes = [
                    ours.producer.push(b"some bytes", place).map(drop),
                    ours.producer.wait_for_room(place).map(drop),
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
                rest = &rest[ours.producer.push(rest, Place::Next).unwrap()..];
                if ours.producer.must_wake() {
                    bell.send(()).unwrap();
                }
            }
        }
        let bytes = reader.join().unwrap();
        assert!(bytes.chunks(4).enumerate().all(|(at, chunk)| chunk == (at as u32).to_le_bytes()));
    }
}
