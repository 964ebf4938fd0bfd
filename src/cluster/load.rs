//! What is known of how busy a worker is: a page of memory shared by the primary and that worker.
//!
//! The worker writes the first cache line, from its event loop; the accept thread writes one word of the second;
//! `told` is what a supervised worker adds. Each word has one writer, so nothing here locks or retries. The one
//! exchange is that of a stack: the primary asks, and a thread of the worker answers. Further words are for `turns`.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use crate::sys::shm::Page;

/// How often a worker tells that its event loop turns, in milliseconds.
pub const HEARTBEAT_INTERVAL: u64 = 100;
/// A worker that has not told for so long hangs.
const HUNG_AFTER: u64 = 1000;
/// Utilisation of an event loop that never waits.
pub const FULLY_USED: u32 = 1000;

// The worker's line.
const TAKEN: usize = 0;
const REFUSED: usize = 1;
const OPEN: usize = 2;
const UTILISATION: usize = 3;
const HEARTBEAT: usize = 4;
const HEAP: usize = 5;
const ACCEPTED: usize = 6;
// The accept thread's line.
const SENT: usize = 8;
// The exchange of a stack: how many times the primary has asked, and what the worker has answered.
const STACK_ASKED: usize = 9;
const STACK_ANSWERED: usize = 10;
const STACK_LENGTH: usize = 11;
// The supervised worker's lines.
const TOLD: usize = 16;
/// Numbers that a supervised worker tells of itself, in the order of `lib/supervisor/numbers.js`.
pub const TOLD_NUMBERS: usize = 24;

/// Where among them the native side writes, and JavaScript does not.
pub mod told {
    /// Bytes of V8's heap in use.
    pub const HEAP_USED: usize = 0;
    /// Where V8 gives up.
    pub const HEAP_LIMIT: usize = 2;
    /// Collections.
    pub const GC_COUNT: usize = 5;
    /// Seconds spent in them.
    pub const GC_TIME: usize = 6;
    /// Seconds that the loop was late, on average in the last while; then the median, the 99th percentile, the worst.
    pub const DELAY_MEAN: usize = 7;
    /// See `DELAY_MEAN`.
    pub const DELAY_P50: usize = 8;
    /// See `DELAY_MEAN`.
    pub const DELAY_P99: usize = 9;
    /// Requests that have come.
    pub const REQUESTS: usize = 10;
    /// See `DELAY_MEAN`.
    pub const DELAY_MAX: usize = 12;
    /// How often V8 was about to give up for lack of heap.
    pub const NEAR_HEAP_LIMIT: usize = 13;
    /// Those of the native side.
    pub const NATIVE: [usize; 7] =
        [GC_COUNT, GC_TIME, DELAY_MEAN, DELAY_P50, DELAY_P99, DELAY_MAX, NEAR_HEAP_LIMIT];
}

/// Nanoseconds on the clock that all processes of the machine share.
pub fn nanoseconds() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Milliseconds on the same clock.
pub fn now() -> u64 {
    nanoseconds() / 1_000_000
}

/// One moment of a worker's load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections its servers have got.
    pub adopted: u64,
    /// Of those, the ones that are open.
    pub open: u64,
    /// Connections on their way to it.
    pub pending: u64,
    /// How much of its time its event loop does not wait, in thousandths.
    pub utilisation: u32,
    /// Milliseconds since its event loop turned; `None` before it has told for the first time.
    pub silent_for: Option<u64>,
    /// Bytes of its JavaScript heap that are used.
    pub heap: u64,
}

impl Snapshot {
    /// Its event loop has not turned for long, or the whole process is stopped.
    pub fn is_hung(&self) -> bool {
        self.silent_for.is_some_and(|silent_for| silent_for >= HUNG_AFTER)
    }
}

/// The load of one worker, from either side.
#[derive(Debug)]
pub struct Load(Page);

impl Load {
    /// Makes the load of a new worker, and the descriptor by which it opens it.
    pub fn create() -> Result<(Self, OwnedFd), Errno> {
        Page::create().map(|(page, fd)| (Self(page), fd))
    }

    /// In the worker: opens what the primary has made.
    pub fn open(fd: &OwnedFd) -> Result<Self, Errno> {
        Page::open(fd).map(Self)
    }

    pub(super) fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }

    fn get(&self, index: usize) -> u64 {
        self.word(index).load(Ordering::Relaxed)
    }

    /// Adds to a word that only the caller writes.
    fn add(&self, index: usize, count: u64) {
        self.word(index).store(self.get(index).wrapping_add(count), Ordering::Relaxed);
    }

    /// In the worker: a connection has come out of the socket.
    pub fn taken(&self) {
        self.add(TAKEN, 1);
    }

    /// In the worker: a connection has been given back.
    pub fn refused(&self) {
        self.add(REFUSED, 1);
    }

    /// In the worker: it has accepted a connection by itself.
    pub fn accepted(&self) {
        self.add(ACCEPTED, 1);
        self.go_on();
    }

    /// In the worker: there was none to accept after all.
    pub fn accepted_none(&self) {
        self.add(ACCEPTED, 1_u64.wrapping_neg());
    }

    /// In the worker: so many bytes of its heap are used.
    pub fn set_heap(&self, bytes: u64) {
        self.word(HEAP).store(bytes, Ordering::Relaxed);
    }

    /// In the worker: so many connections of its servers are open.
    pub fn set_open(&self, count: u32) {
        self.word(OPEN).store(u64::from(count), Ordering::Relaxed);
    }

    /// In the worker: its event loop turns, and was used that much, in thousandths.
    pub fn beat(&self, utilisation: u32) {
        self.word(UTILISATION).store(u64::from(utilisation), Ordering::Relaxed);
        self.word(HEARTBEAT).store(now(), Ordering::Relaxed);
    }

    /// In a supervised worker: what else it tells of itself.
    pub fn tell(&self, numbers: &[f64]) {
        for (at, &number) in numbers.iter().take(TOLD_NUMBERS).enumerate() {
            if !told::NATIVE.contains(&at) {
                self.note(at, number);
            }
        }
    }

    /// In a supervised worker: one number, of `told`.
    pub fn note(&self, at: usize, number: f64) {
        self.word(TOLD + at).store(number.to_bits(), Ordering::Relaxed);
    }

    /// In a supervised worker: adds to one number.
    pub fn note_more(&self, at: usize, more: f64) {
        self.note(at, f64::from_bits(self.get(TOLD + at)) + more);
    }

    /// What a supervised worker has told last; zeros before.
    pub fn told(&self) -> [f64; TOLD_NUMBERS] {
        std::array::from_fn(|at| f64::from_bits(self.get(TOLD + at)))
    }

    /// In the primary: asks a thread of the worker where its JavaScript is.
    pub fn ask_stack(&self) {
        self.add(STACK_ASKED, 1);
        self.0.wake(STACK_ASKED);
    }

    /// In a thread of the worker: waits until the primary asks; gives how many times it has. `seen` is the last count.
    pub fn wait_for_question(&self, seen: u64) -> u64 {
        loop {
            let asked = self.get(STACK_ASKED);
            if asked != seen {
                return asked;
            }
            self.0.wait(STACK_ASKED, seen as u32, None);
        }
    }

    /// In the worker: where its JavaScript is, in answer to all questions so far.
    pub fn answer_stack(&self, stack: &str) {
        let asked = self.get(STACK_ASKED);
        let length = self.0.write_text(stack.as_bytes());
        self.word(STACK_LENGTH).store(length as u64, Ordering::Relaxed);
        self.word(STACK_ANSWERED).store(asked, Ordering::Release);
        self.0.wake(STACK_ANSWERED);
    }

    /// In the primary: waits for the answer to the last question.
    pub fn wait_for_stack(&self, timeout: Duration) -> Option<String> {
        let deadline = now() + timeout.as_millis() as u64;
        loop {
            let answered = self.word(STACK_ANSWERED).load(Ordering::Acquire);
            if answered == self.get(STACK_ASKED) {
                let text = self.0.read_text(self.get(STACK_LENGTH) as usize);
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
            let left = deadline.checked_sub(now()).filter(|&left| left > 0)?;
            self.0.wait(STACK_ANSWERED, answered as u32, Some(Duration::from_millis(left)));
        }
    }

    /// In the accept thread: a connection has been put into the socket.
    pub fn sent(&self) {
        self.add(SENT, 1);
    }

    /// In the accept thread: so many connections have been taken back out of the socket.
    pub fn unsent(&self, count: u64) {
        self.add(SENT, count.wrapping_neg());
    }

    /// In the accept thread: the worker has ended, and what it had left in the socket has been taken back. The rest it had
    /// taken, the last maybe without having told.
    pub fn settle(&self) {
        self.word(TAKEN).store(self.get(SENT), Ordering::Relaxed);
    }

    /// When it last told that its event loop turns; 0 before the first time.
    pub fn heartbeat(&self) -> u64 {
        self.get(HEARTBEAT)
    }

    /// Connections of its servers that are open, as it has told last.
    pub fn connections(&self) -> u64 {
        self.get(OPEN)
    }

    /// Connections on their way to it.
    pub fn pending(&self) -> u64 {
        // The worker may take one between the two reads; and one that cannot tell takes none.
        let sent = if self.heartbeat() == 0 { 0 } else { self.get(SENT).saturating_sub(self.get(TAKEN)) };
        sent.saturating_add(self.turns_under_way())
    }

    /// The load at a time.
    pub fn at(&self, now: u64) -> Snapshot {
        let heartbeat = self.heartbeat();
        let silent_for = (heartbeat != 0).then(|| now.saturating_sub(heartbeat));
        let adopted = self.get(TAKEN).saturating_add(self.get(ACCEPTED)).saturating_sub(self.get(REFUSED));
        // What it told last is out of date once it is late: its loop is busy with one thing.
        let is_late = silent_for.is_some_and(|silent_for| silent_for > 2 * HEARTBEAT_INTERVAL);
        Snapshot {
            adopted,
            open: self.get(OPEN),
            pending: self.pending(),
            utilisation: if is_late { FULLY_USED } else { self.get(UTILISATION) as u32 },
            silent_for,
            heap: self.get(HEAP),
        }
    }
}

/// How much of the time since the last call an event loop did not wait.
#[derive(Debug, Default)]
pub struct Meter {
    last: Option<(u64, u64)>,
    utilisation: u32,
}

impl Meter {
    /// Takes the time and the time spent waiting so far, in nanoseconds; gives thousandths, smoothed by half.
    pub fn measure(&mut self, time: u64, waited: u64) -> u32 {
        if let Some((last_time, last_waited)) = self.last.replace((time, waited)) {
            let passed = time.saturating_sub(last_time).max(1);
            let waited = waited.saturating_sub(last_waited).min(passed);
            let used = ((passed - waited) * u64::from(FULLY_USED) / passed) as u32;
            self.utilisation = (self.utilisation + used) / 2;
        }
        self.utilisation
    }
}

/// How late an event loop was at each of its last heartbeats.
#[derive(Debug, Default)]
pub struct Delays {
    last: Option<u64>,
    /// Nanoseconds; the oldest is written over.
    kept: Vec<u64>,
    next: usize,
}

/// As many as are kept: about 25 seconds' worth.
const KEPT_DELAYS: usize = 256;

impl Delays {
    /// A heartbeat at this time, in nanoseconds.
    pub fn beat(&mut self, time: u64) {
        if let Some(last) = self.last.replace(time) {
            let late = time.saturating_sub(last).saturating_sub(HEARTBEAT_INTERVAL * 1_000_000);
            if self.kept.len() < KEPT_DELAYS {
                self.kept.push(late);
            } else {
                self.kept[self.next] = late;
            }
            self.next = (self.next + 1) % KEPT_DELAYS;
        }
    }

    /// The mean, the median, the 99th percentile and the longest, in seconds.
    pub fn summary(&self) -> [f64; 4] {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let Some(&longest) = sorted.last() else { return [0.0; 4] };
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        let mean = sorted.iter().sum::<u64>() / sorted.len() as u64;
        [mean, at(0.5), at(0.99), longest].map(|time| time as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_what_was_sent_less_what_was_taken_or_taken_back() {
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        theirs.beat(0);
        (0..5).for_each(|_| ours.sent());
        theirs.taken();
        theirs.taken();
        theirs.refused();
        theirs.accepted();
        theirs.accepted();
        theirs.accepted_none();
        theirs.set_open(1);
        theirs.set_heap(77);
        ours.unsent(2);
        let load = ours.at(now());
        assert_eq!((load.adopted, load.open, load.pending, load.heap), (2, 1, 1, 77));
        // The fifth went with it.
        ours.settle();
        let load = ours.at(now());
        assert_eq!((load.adopted, load.pending), (3, 0));
    }

    #[test]
    fn a_worker_hangs_when_it_has_told_once_and_then_not_for_long() {
        let (load, _fd) = Load::create().unwrap();
        assert!(!load.at(u64::MAX).is_hung());
        load.beat(300);
        let beat = load.heartbeat();
        assert!(!load.at(beat + 999).is_hung());
        assert!(load.at(beat + 1000).is_hung());
        assert_eq!(load.at(beat + 200).utilisation, 300);
        assert_eq!(load.at(beat + 201).utilisation, FULLY_USED);
    }

    #[test]
    fn a_worker_is_asked_for_its_stack_and_answers() {
        let (ours, fd) = Load::create().unwrap();
        let theirs = Load::open(&fd).unwrap();
        let answering = std::thread::spawn(move || {
            let asked = theirs.wait_for_question(0);
            theirs.answer_stack("at spin (app.js:3:5)");
            asked
        });
        ours.ask_stack();
        assert_eq!(ours.wait_for_stack(Duration::from_secs(5)).as_deref(), Some("at spin (app.js:3:5)"));
        assert_eq!(answering.join().unwrap(), 1);
        ours.ask_stack();
        assert_eq!(ours.wait_for_stack(Duration::from_millis(5)), None);
    }

    #[test]
    fn delays_are_what_a_heartbeat_comes_late_and_the_old_ones_are_forgotten() {
        let mut delays = Delays::default();
        assert_eq!(delays.summary(), [0.0; 4]);
        let mut time = 0;
        delays.beat(time);
        for late in [0, 0, 0, 3000] {
            time += (HEARTBEAT_INTERVAL + late) * 1_000_000;
            delays.beat(time);
        }
        assert_eq!(delays.summary(), [0.75, 0.0, 3.0, 3.0]);
        for _ in 0..KEPT_DELAYS {
            time += HEARTBEAT_INTERVAL * 1_000_000;
            delays.beat(time);
        }
        assert_eq!(delays.summary(), [0.0; 4]);
    }

    #[test]
    fn what_a_supervised_worker_tells_is_what_is_read() {
        let (ours, fd) = Load::create().unwrap();
        Load::open(&fd).unwrap().tell(&[1.5, 2.0]);
        assert_eq!(ours.told()[..3], [1.5, 2.0, 0.0]);
    }

    #[test]
    fn utilisation_is_the_time_not_waited() {
        let mut meter = Meter::default();
        assert_eq!(meter.measure(1000, 0), 0);
        assert_eq!(meter.measure(2000, 0), 500);
        assert_eq!(meter.measure(3000, 0), 750);
        for turn in 4..30 {
            meter.measure(turn * 1000, (turn - 3) * 500);
        }
        assert_eq!(meter.utilisation, 500);
        assert!(meter.measure(30_000, 1_000_000) <= 250);
    }
}
