//! Looking for messages for a moment before the loop goes to sleep, where answers come soon.
//!
//! While a ring is looked at, its reader does not sleep, so the other side rings no bell: neither pays for a system
//! call. At a socket the other side need not wake a processor that sleeps. The loop's other input has its turn at once.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::sched_yield;

use super::{Channels, Open, State};
use crate::sys::linger::PROCESSORS;
use crate::sys::uv::{Idle, Loop, Prepare};

/// In which timers and whatever else the loop does not tell of may have to wait.
const TURN: Duration = Duration::from_micros(500);

/// How often the loop's other input is asked for.
const GLANCE: Duration = Duration::from_micros(5);

/// How often some memory is fetched between two looks at all: a few microseconds in all.
const FETCHES: usize = 8;

/// The channels whose readers stay awake. None does while the loop waits: only its poll phase and what runs just before
/// the next one keep them so, and `Idle` from one turn to the next.
#[derive(Default)]
pub(super) struct Lingering {
    ids: RefCell<Vec<u32>>,
    /// Since when nothing has come for them, if they are looked at for more than one turn.
    since: Cell<Option<Instant>>,
    phases: RefCell<Option<Rc<Phases>>>,
}

/// What it needs of the loop.
struct Phases {
    prepare: Prepare,
    idle: Idle,
}

impl Phases {
    fn new(uv_loop: Loop, on_turn: impl Fn() + 'static) -> Result<Self, Errno> {
        Ok(Self { prepare: Prepare::new(uv_loop, on_turn)?, idle: Idle::new(uv_loop)? })
    }
}

impl Lingering {
    fn phases(&self) -> Option<Rc<Phases>> {
        self.phases.borrow().clone()
    }

    /// That of the most patient.
    fn patience(&self, channels: &Channels) -> Duration {
        let of = |id: &u32| channels.get(*id).map(|open| open.linger.borrow().patience());
        self.ids.borrow().iter().filter_map(of).max().unwrap_or_default()
    }

    /// Before the environment ends.
    pub(super) fn close(&self) {
        self.ids.take();
        self.phases.take();
    }
}

impl Channels {
    /// Where a loop has no such phases, readers sleep.
    pub(super) fn prepare_to_linger(&self, state: &Rc<State>) {
        if self.lingering.phases().is_some() {
            return;
        }
        let weak: Weak<State> = Rc::downgrade(state);
        let on_turn = move || {
            if let Some(state) = weak.upgrade() {
                state.channels.linger(&state);
            }
        };
        let phases = Phases::new(state.uv_loop, on_turn).ok();
        self.lingering.phases.replace(phases.map(Rc::new));
    }

    /// Nothing more is there for a channel after messages have come: whether its reader stays awake, rather than sleep.
    pub(super) fn stays_awake(&self, id: u32, open: &Open) -> bool {
        let Some(phases) = self.lingering.phases() else { return false };
        if !open.linger.borrow_mut().rests(Instant::now(), *PROCESSORS) {
            return false;
        }
        let mut ids = self.lingering.ids.borrow_mut();
        if !ids.contains(&id) {
            ids.push(id);
        }
        phases.prepare.start();
        true
    }

    /// Runs just before the loop would wait.
    fn linger(&self, state: &State) {
        let Some(phases) = self.lingering.phases() else { return };
        phases.idle.stop();
        let start = Instant::now();
        let patience = self.lingering.patience(self);
        let mut idle_since = self.lingering.since.take().unwrap_or(start);
        let mut glanced = start;
        while !self.lingering.ids.borrow().is_empty() {
            let now = if self.serve_one(state) {
                idle_since = Instant::now();
                idle_since
            } else {
                self.fetch_ahead();
                // The other side may have been put on this processor.
                let _ = sched_yield();
                Instant::now()
            };
            if now.duration_since(idle_since) >= patience {
                break;
            }
            let has_input = now.duration_since(glanced) >= GLANCE && {
                glanced = now;
                state.uv_loop.has_input()
            };
            if has_input || now.duration_since(start) >= TURN || !state.uv_loop.would_wait() {
                // Others have their turn, and these the next.
                self.lingering.since.set(Some(idle_since));
                phases.idle.start();
                return;
            }
        }
        phases.prepare.stop();
        for id in self.lingering.ids.take() {
            // A bell is taken here too, with the descriptor of a message that has come: what is queued goes on.
            self.serve_ring(state, id, false);
        }
    }

    /// Has the processor fetch some of the memory for what comes next, where that is likely to be large: what V8 has not
    /// collected yet lies between two uses of it, much more than the cache holds.
    fn fetch_ahead(&self) {
        let ids = self.lingering.ids.borrow();
        let expecting = ids.iter().filter_map(|&id| self.get(id)).find(|open| {
            let mut channel = open.channel.borrow_mut();
            channel.decoder().fetch_ahead()
        });
        let Some(open) = expecting else { return };
        let mut channel = open.channel.borrow_mut();
        for _ in 1..FETCHES {
            if channel.has_come() || !channel.decoder().fetch_ahead() {
                return;
            }
        }
    }

    /// Delivers what has come for one of those who stay awake; false if nothing has.
    fn serve_one(&self, state: &State) -> bool {
        let count = self.lingering.ids.borrow().len();
        for index in 0..count {
            let id = self.lingering.ids.borrow().get(index).copied();
            let Some(id) = id else { return false };
            let Some(open) = self.get(id).filter(|open| !open.has_ended.get()) else {
                self.lingering.ids.borrow_mut().swap_remove(index);
                return true;
            };
            if !open.channel.borrow().receives_by_ring() {
                if !open.is_paused.get() && self.serve_socket(state, id, &open, false) {
                    return true;
                }
            } else if open.channel.borrow().has_come() {
                self.lingering.ids.borrow_mut().swap_remove(index);
                self.serve_ring(state, id, true);
                return true;
            }
        }
        false
    }
}
