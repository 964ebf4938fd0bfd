//! The way back: completions for one submitting environment, from any thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::sync::{AtomicBool, Mutex, lock};
use super::task::Completion;
use crate::sys::landing::Landing;

/// Wakes the environment that reads a hub.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Completions on their way to one environment.
pub struct Hub {
    sender: channel::Sender<Completion>,
    receiver: channel::Receiver<Completion>,
    /// What threads wait for: read before anything else.
    requests: (channel::Sender<Completion>, channel::Receiver<Completion>),
    /// Whether the reader is awake, or will be: no further wake-up is needed.
    awake: AtomicBool,
    waker: Waker,
    /// Where threads may put big results.
    offers: Mutex<Vec<Arc<Landing>>>,
}

impl Hub {
    /// A hub whose reader `waker` wakes.
    pub fn new(waker: Waker) -> Self {
        let (sender, receiver) = channel::unbounded();
        let (awake, offers) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        Self { sender, receiver, requests: channel::unbounded(), awake, waker, offers }
    }

    /// Adds a completion, and wakes the reader unless it is awake.
    pub fn push(&self, completion: Completion) {
        // The hub owns the receiver, so the channel cannot be closed.
        let _ = self.sender.send(completion);
        self.wake();
    }

    /// Adds what a thread needs to go on, which overtakes completions: reading those may take long.
    pub fn request(&self, request: Completion) {
        let _ = self.requests.0.send(request);
        self.wake();
    }

    fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            (self.waker)();
        }
    }

    /// The next request, or if there is none the next completion.
    pub fn take(&self) -> Option<Completion> {
        self.requests.1.try_recv().or_else(|_| self.receiver.try_recv()).ok()
    }

    /// Offers a place for a big result.
    pub fn offer(&self, landing: Arc<Landing>) {
        lock(&self.offers).push(landing);
    }

    /// A place for a result of so many bytes.
    pub fn claim(&self, length: usize) -> Option<Arc<Landing>> {
        let mut offers = lock(&self.offers);
        let index = offers.iter().position(|landing| landing.length() == length)?;
        Some(offers.swap_remove(index))
    }

    /// Takes back the places that no thread has claimed.
    pub fn withdraw(&self) -> Vec<Arc<Landing>> {
        std::mem::take(&mut *lock(&self.offers))
    }

    /// The reader is about to sleep, and may unless this is false: then something came in meanwhile.
    pub fn rest(&self) -> bool {
        // A push that found the reader awake, and woke nobody, is seen through this swap; one after it wakes.
        self.awake.swap(false, Ordering::AcqRel);
        (self.requests.1.is_empty() && self.receiver.is_empty()) || self.awake.swap(true, Ordering::AcqRel)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hub").finish_non_exhaustive()
    }
}

#[cfg(not(loom))]
use crossbeam_channel as channel;

/// The same channel out of loom's primitives.
#[cfg(loom)]
mod channel {
    use loom::sync::{Arc, Mutex};
    use std::collections::VecDeque;

    pub(super) struct Sender<T>(Arc<Mutex<VecDeque<T>>>);
    pub(super) struct Receiver<T>(Arc<Mutex<VecDeque<T>>>);

    pub(super) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let queue = Arc::new(Mutex::new(VecDeque::new()));
        (Sender(queue.clone()), Receiver(queue))
    }

    impl<T> Sender<T> {
        pub(super) fn send(&self, value: T) -> Result<(), ()> {
            self.0.lock().unwrap().push_back(value);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        pub(super) fn try_recv(&self) -> Result<T, ()> {
            self.0.lock().unwrap().pop_front().ok_or(())
        }

        pub(super) fn is_empty(&self) -> bool {
            self.0.lock().unwrap().is_empty()
        }
    }
}
