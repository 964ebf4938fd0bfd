//! One worker that is watched: its process, what may be wrong with it, and what is done about a stuck one.

use std::sync::Arc;
use std::time::Duration;

use super::health::{self, Limits, Seen, Trouble};
use super::sample;
use super::warden::{Event, Events, Id};
use crate::cluster::load::{Load, TOLD_NUMBERS, told};
use crate::process::tree;
use crate::sys::pidfd::signal_if;

/// How long a stuck worker may take to say where.
const STACK_WAIT: Duration = Duration::from_millis(500);
/// How often memory and requests are looked at, in milliseconds.
const LIMITS_INTERVAL: u64 = 250;

/// A process that is watched: its id, and when it started, so that a reused id is never hit.
#[derive(Debug, Clone)]
pub struct Process {
    pid: i32,
    started: u64,
    mark: Option<String>,
}

impl Process {
    /// A child of this process that has not been collected; `mark` is that of its tree.
    pub fn of_child(pid: i32, mark: Option<String>) -> Self {
        Self { pid, started: tree::started(pid).unwrap_or(0), mark }
    }

    /// Kills it and all that came from it.
    pub(super) fn kill_tree(&self) {
        let is_same = || tree::started(self.pid) == Some(self.started);
        // Its descendants could not be found without it, and may be somebody else's where the id was reused.
        if is_same() {
            tree::signal(self.pid, self.mark.as_deref(), libc::SIGKILL, || {
                signal_if(self.pid, libc::SIGKILL, is_same)
            });
        }
    }
}

/// A worker, as the thread knows it.
pub(super) struct Watched {
    pub(super) process: Process,
    pub(super) load: Option<Arc<Load>>,
    pub(super) group: Id,
    pub(super) events: Events,
    pub(super) limits: Limits,
    /// It has reached a limit, and that was told.
    pub(super) is_told: bool,
    pub(super) is_killed: bool,
    pub(super) is_ready: bool,
    pub(super) deadline: Option<u64>,
}

impl Watched {
    /// Without limits.
    pub(super) fn new(process: Process, load: Option<Arc<Load>>, group: Id, events: Events) -> Self {
        Self {
            process,
            load,
            group,
            events,
            limits: Limits::default(),
            is_told: false,
            is_killed: false,
            is_ready: false,
            deadline: None,
        }
    }

    /// How often it is to be looked at; `None` where nothing is looked for.
    pub(super) fn interval(&self) -> Option<u64> {
        let limits = &self.limits;
        let hang = (limits.hang > 0).then(|| (limits.hang / 8).clamp(50, 1000));
        let others = limits.rss > 0 || limits.heap > 0.0 || limits.requests > 0;
        [hang, others.then_some(LIMITS_INTERVAL)].into_iter().flatten().min()
    }

    /// Looks at it, and tells what is wrong.
    pub(super) fn check(&mut self, id: Id, now: u64, trusted_for: u64) {
        if self.is_killed || self.is_told || self.limits == Limits::default() {
            return;
        }
        let numbers = self.load.as_ref().map_or([0.0; TOLD_NUMBERS], |load| load.told());
        let silent_for = self.load.as_ref().and_then(|load| load.at(now).silent_for);
        let rss = if self.limits.rss > 0 { sample::read(self.process.pid).map_or(0, |s| s.rss) } else { 0 };
        let seen = Seen {
            silent_for: silent_for.map(|silent_for| silent_for.min(trusted_for)),
            rss,
            heap_used: numbers[told::HEAP_USED],
            heap_limit: numbers[told::HEAP_LIMIT],
            is_near_limit: numbers[told::NEAR_HEAP_LIMIT] > 0.0,
            requests: numbers[told::REQUESTS] as u64,
        };
        match health::check(&self.limits, &seen) {
            Some(Trouble::Hung) => self.end_hung(id, silent_for.unwrap_or(0)),
            Some(trouble) => {
                self.is_told = true;
                let value = match trouble {
                    Trouble::Rss => rss as f64,
                    Trouble::Heap => seen.heap_used,
                    _ => numbers[told::REQUESTS],
                };
                self.events.send(Event::Over(id, trouble, value));
            }
            None => {}
        }
    }

    fn end_hung(&mut self, id: Id, silent_for: u64) {
        let pid = self.process.pid;
        let state = sample::read(pid).map_or('\0', |sample| sample.state);
        // A process that is stopped, or waits for a disk, runs no JavaScript that could tell.
        let stack = match (&self.load, state) {
            (Some(load), 'R' | 'S') => {
                load.ask_stack();
                load.wait_for_stack(STACK_WAIT)
            }
            _ => None,
        };
        let stack = stack.or_else(|| sample::waits_in(pid).map(|place| format!("in the kernel: {place}")));
        self.is_killed = true;
        self.events.send(Event::Hung { worker: id, silent_for, state, stack });
        self.process.kill_tree();
    }
}
