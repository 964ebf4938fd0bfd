//! The children of one environment: which exec is under way, which child has ended. Runs on the loop's thread.
//!
//! One epoll descriptor holds a pidfd and, until the exec is known, a status descriptor for each child; the
//! loop watches that one. A start is reported as it is seen; an end is kept for `reap`, which runs after the
//! turn's other input, so that what a child wrote or sent before it ended is seen before its end.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::error::{Named, OsResult};
use crate::sys::clone::{Cloned, Spawning};
use crate::sys::pidfd::{Exit, PidFd};

/// What happened to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its exec worked.
    Started(u32),
    /// Its exec failed; it is gone.
    NotStarted(u32, Errno),
    /// It ended and has been collected.
    Exited(u32, Exit),
    /// It ended and somebody else in this process collected it: how is not known.
    Lost(u32),
}

struct Child {
    pidfd: PidFd,
    /// Present until the outcome of the exec is known.
    spawning: Option<Spawning>,
    /// Whether it keeps the loop alive.
    referenced: bool,
}

impl Child {
    /// A pending exec keeps the loop alive too: its outcome is always reported.
    fn holds_loop(&self) -> bool {
        self.referenced || self.spawning.is_some()
    }

    /// Waits for the outcome of a pending exec and collects a child that failed to exec.
    fn settle(&mut self) -> Option<Result<(), Errno>> {
        let outcome = self.spawning.take()?.settled();
        if outcome.is_err() {
            let _ = self.pidfd.wait();
        }
        Some(outcome)
    }
}

/// The children of one environment.
pub struct Registry {
    epoll: Epoll,
    children: HashMap<u32, Child>,
    next_id: u32,
    /// Children seen to have ended, for `reap`.
    ended: Vec<u32>,
}

const EVENTS_PER_TURN: usize = 64;
const ENDED: u64 = 1 << 32;

impl Registry {
    /// An empty registry.
    pub fn new() -> OsResult<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).named("epoll_create1")?;
        Ok(Self { epoll, children: HashMap::new(), next_id: 0, ended: Vec::new() })
    }

    /// Readable when `poll` has something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Takes charge of a child; returns its id here.
    pub fn insert(&mut self, cloned: Cloned) -> OsResult<u32> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let Cloned { pidfd, spawning, .. } = cloned;
        self.epoll
            .add(spawning.status_fd(), EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id)))
            .and_then(|()| self.epoll.add(pidfd.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id) | ENDED)))
            .named("epoll_ctl")?;
        self.children.insert(id, Child { pidfd, spawning: Some(spawning), referenced: true });
        Ok(id)
    }

    /// Looks at what has become ready; returns the starts. Ends are kept for `reap`.
    pub fn poll(&mut self) -> Vec<Event> {
        let mut ready = [EpollEvent::empty(); EVENTS_PER_TURN];
        let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
        let mut events = Vec::new();
        for entry in &ready[..count] {
            let id = entry.data() as u32;
            if entry.data() & ENDED == 0 {
                events.extend(self.settle(id).map(|outcome| match outcome {
                    Ok(()) => Event::Started(id),
                    Err(errno) => Event::NotStarted(id, errno),
                }));
            } else {
                self.ended.push(id);
            }
        }
        events
    }

    /// Whether `reap` has something to do.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Collects the children that have ended and forgets them.
    pub fn reap(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for id in std::mem::take(&mut self.ended) {
            // A child killed before its exec ends with its start still unreported; the start comes first.
            if let Some(Ok(())) = self.settle(id) {
                events.push(Event::Started(id));
            }
            let Some(child) = self.children.get(&id) else { continue };
            let event = match child.pidfd.try_wait() {
                Ok(None) => continue,
                Ok(Some(exit)) => Event::Exited(id, exit),
                Err(_) => Event::Lost(id),
            };
            self.children.remove(&id);
            events.push(event);
        }
        events
    }

    /// Waits for the outcome of a child's exec; `None` if it is known already. A child that failed is forgotten.
    pub fn settle(&mut self, id: u32) -> Option<Result<(), Errno>> {
        let outcome = self.children.get_mut(&id)?.settle()?;
        if outcome.is_err() {
            self.children.remove(&id);
        }
        Some(outcome)
    }

    /// Sends a signal; `ESRCH` for a child that has been collected.
    pub fn kill(&self, id: u32, signal: i32) -> Result<(), Errno> {
        self.children.get(&id).ok_or(Errno::ESRCH)?.pidfd.kill(signal)
    }

    /// Chooses whether a child keeps the loop alive.
    pub fn set_ref(&mut self, id: u32, on: bool) {
        if let Some(child) = self.children.get_mut(&id) {
            child.referenced = on;
        }
    }

    /// Whether any child keeps the loop alive.
    pub fn holds_loop(&self) -> bool {
        self.children.values().any(Child::holds_loop)
    }
}
