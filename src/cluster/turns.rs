//! Turns: the right to accept one connection, given to a worker through the memory it shares with the primary.
//!
//! A worker that has a listening socket of the primary's accepts once for each turn it is given. Until then the
//! connection waits in the kernel and is nobody's: turns that have not begun are taken back at any time, and a worker
//! that dies leaves its connections where they are.
//!
//! Two pairs of words are each written by one side and then read from the other, in sequentially consistent order,
//! so that no wake-up is lost: a worker that falls asleep looks for turns after it has said so, and the accept thread
//! looks whether it sleeps after it has given one. Likewise with what the accept thread waits for.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::load::{Load, nanoseconds};

/// How many listening sockets a worker can have turns at.
pub const SLOTS: usize = 32;

/// The worker: `SLEEPS` or `POLLS` until its event loop has dealt with its input. Whoever rings puts it back to 0.
const ASLEEP: usize = 64;
/// The worker: when its event loop turned or it accepted a connection, in nanoseconds.
const WENT_ON: usize = 65;
/// The accept thread: 1 while it wants to be told when the worker has gone on.
const WANTED: usize = 72;
/// The accept thread: the highest slot in use, and one.
const USED: usize = 73;
/// The accept thread: a bit for each slot where it is always the same clients that wait.
const STEADY: usize = 74;
/// One word a slot: turns given, then turns begun and not ended, then how often the worker has written it.
const FIRST_SLOT: usize = 80;

const GIVEN: u64 = 1;
const GIVEN_MASK: u64 = 0xffff;
const BEGUN: u64 = 1 << 16;
const WRITTEN: u64 = 1 << 32;

/// Its event loop waits for input, or is about to.
const SLEEPS: u64 = 1;
/// It is about to look at input that is there already. So it may be in the middle of that, or find it gone and sleep.
const POLLS: u64 = 2;

/// The turns at one socket that a worker has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turns {
    /// Given, and not begun.
    pub given: u64,
    /// Begun, and not ended: a connection is being accepted.
    pub begun: u64,
    /// Changes with every change that the worker makes.
    pub version: u64,
}

impl Load {
    fn slot(&self, slot: usize) -> &AtomicU64 {
        self.word(FIRST_SLOT + slot % SLOTS)
    }

    /// In the accept thread: the worker may accept once more. How many turns it had already.
    pub fn give_turn(&self, slot: usize) -> u64 {
        self.slot(slot).fetch_add(GIVEN, SeqCst) & GIVEN_MASK
    }

    /// From either side: takes back what has not begun.
    pub fn take_turns_back(&self, slot: usize) -> u64 {
        let before = self.slot(slot).fetch_and(!GIVEN_MASK, SeqCst);
        before & GIVEN_MASK
    }

    /// In the accept thread: what it knows of the turns at one socket.
    pub fn turns(&self, slot: usize) -> Turns {
        let word = self.slot(slot).load(SeqCst);
        Turns { given: word & GIVEN_MASK, begun: (word & !GIVEN_MASK & (WRITTEN - 1)) / BEGUN, version: word }
    }

    /// In the accept thread: slots up to this one are in use.
    pub fn use_slot(&self, slot: usize) {
        let used = self.word(USED);
        used.store(used.load(Relaxed).max(slot as u64 + 1), SeqCst);
        // Of the server that had it before.
        self.set_steady(slot, false);
    }

    /// In the accept thread: whether it is always the same clients that wait at this socket.
    pub fn set_steady(&self, slot: usize, is_steady: bool) {
        let word = self.word(STEADY);
        let bit = 1 << (slot % SLOTS);
        let others = word.load(Relaxed) & !bit;
        word.store(if is_steady { others | bit } else { others }, Relaxed);
    }

    /// In the worker: whether to take several turns at this socket before anything else.
    pub fn is_steady(&self, slot: usize) -> bool {
        self.word(STEADY).load(Relaxed) & (1 << (slot % SLOTS)) != 0
    }

    /// Turns given at all sockets.
    pub fn turns_given(&self) -> u64 {
        let used = (self.word(USED).load(Relaxed) as usize).min(SLOTS);
        (0..used).map(|slot| self.slot(slot).load(SeqCst) & GIVEN_MASK).sum()
    }

    /// Turns given or begun, at all sockets.
    pub fn turns_under_way(&self) -> u64 {
        let used = (self.word(USED).load(Relaxed) as usize).min(SLOTS);
        (0..used).map(|slot| self.turns(slot)).map(|turns| turns.given + turns.begun.min(1)).sum()
    }

    /// In the worker: begins a turn, if it has one. `end_turn` has to follow.
    pub fn begin_turn(&self, slot: usize) -> bool {
        self.slot(slot)
            .fetch_update(SeqCst, SeqCst, |word| {
                (word & GIVEN_MASK != 0).then(|| word.wrapping_add(WRITTEN + BEGUN - GIVEN))
            })
            .is_ok()
    }

    /// In the worker: the connection is accepted, or there was none.
    pub fn end_turn(&self, slot: usize) {
        self.slot(slot).fetch_add(WRITTEN - BEGUN, SeqCst);
    }

    /// In the worker: its event loop is about to sleep, unless this says that there are turns. `has_input`: it is known
    /// to have something to do first.
    pub fn fall_asleep(&self, has_input: bool) -> bool {
        self.word(ASLEEP).store(if has_input { POLLS } else { SLEEPS }, SeqCst);
        if self.turns_given() == 0 {
            return true;
        }
        self.word(ASLEEP).store(0, SeqCst);
        false
    }

    /// In the worker: its event loop has turned.
    pub fn wake_up(&self) {
        self.word(ASLEEP).store(0, Relaxed);
        self.go_on();
    }

    /// In the worker: it is done with what it did before.
    pub(super) fn go_on(&self) {
        self.word(WENT_ON).store(nanoseconds(), Relaxed);
    }

    /// When the event loop of the worker turned last, or when it accepted a connection since, in nanoseconds.
    pub fn went_on_at(&self) -> u64 {
        self.word(WENT_ON).load(SeqCst)
    }

    /// Whether the event loop of the worker sleeps, as far as can be seen: what it does with input that has come
    /// meanwhile looks the same until it turns, as libuv does not tell when it has ceased to wait.
    pub fn is_asleep(&self) -> bool {
        self.word(ASLEEP).load(SeqCst) == SLEEPS
    }

    /// In the accept thread: whether to ring the worker's bell. Once only for each sleep.
    pub fn wake(&self) -> bool {
        self.word(ASLEEP).swap(0, SeqCst) != 0
    }

    /// In the accept thread: it wants to know when the worker has gone on.
    pub fn want_news(&self) {
        self.word(WANTED).store(1, SeqCst);
    }

    /// In the worker: whether the accept thread wants to know that it has gone on. Once only for each wish.
    pub fn is_news_wanted(&self) -> bool {
        let wanted = self.word(WANTED);
        wanted.load(SeqCst) != 0 && wanted.swap(0, SeqCst) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_clients_at_one_socket_is_not_of_another() {
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        ours.use_slot(1);
        ours.set_steady(1, true);
        ours.set_steady(2, true);
        assert!(theirs.is_steady(1) && theirs.is_steady(2) && !theirs.is_steady(0));
        ours.set_steady(2, false);
        assert!(theirs.is_steady(1) && !theirs.is_steady(2));
        ours.use_slot(1);
        assert!(!theirs.is_steady(1));
    }

    #[test]
    fn a_turn_is_begun_once_and_not_after_it_was_taken_back() {
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        ours.use_slot(3);
        assert!(!theirs.begin_turn(3));
        (0..3).for_each(|had| assert_eq!(ours.give_turn(3), had));
        assert_eq!(ours.turns_given(), 3);
        assert!(theirs.begin_turn(3));
        let Turns { given, begun, version } = ours.turns(3);
        assert_eq!((given, begun), (2, 1));
        assert_eq!(ours.take_turns_back(3), 2);
        assert!(!theirs.begin_turn(3));
        theirs.end_turn(3);
        let after = ours.turns(3);
        assert_eq!((after.given, after.begun), (0, 0));
        assert_ne!(after.version, version);
    }

    #[test]
    fn a_bell_rings_once_for_each_sleep_and_nobody_sleeps_on_a_turn() {
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        ours.use_slot(0);
        assert!(!ours.wake());
        assert!(theirs.fall_asleep(false));
        assert!(ours.is_asleep() && ours.wake() && !ours.wake());
        ours.give_turn(0);
        assert!(!theirs.fall_asleep(false));
        assert!(!ours.wake());
    }

    #[test]
    fn a_worker_with_input_does_not_pass_for_one_that_sleeps_and_is_woken_all_the_same() {
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        assert!(theirs.fall_asleep(true) && !ours.is_asleep());
        let before = ours.went_on_at();
        theirs.wake_up();
        assert!(ours.went_on_at() > before && !ours.wake());
        assert!(theirs.fall_asleep(true) && ours.wake() && !ours.wake());
    }

    #[test]
    fn every_turn_is_used_or_taken_back_whatever_the_timing() {
        const TURNS: u64 = 200_000;
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        let worker = std::thread::spawn(move || {
            let mut used = 0;
            // Told that it is over by a turn at another socket.
            while !theirs.begin_turn(1) {
                while theirs.begin_turn(0) {
                    used += 1;
                    theirs.end_turn(0);
                }
            }
            used
        });
        let mut back = 0;
        for turn in 0..TURNS {
            ours.give_turn(0);
            if turn % 3 == 0 {
                back += ours.take_turns_back(0);
            }
            while ours.turns(0).given > 1000 {
                std::thread::yield_now();
            }
        }
        back += ours.take_turns_back(0);
        ours.give_turn(1);
        assert_eq!(worker.join().unwrap() + back, TURNS);
    }
}
