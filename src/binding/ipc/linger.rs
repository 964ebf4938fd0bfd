//! Looking into rings for a moment before the loop goes to sleep, where answers come soon.
//!
//! While a ring is looked at, its reader does not sleep, so the other side rings no bell: neither pays for a system
//! call. The loop's other input ends it at once.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use nix::sched::sched_yield;

use super::{Channels, Open, State};
use crate::sys::linger::PROCESSORS;
use crate::sys::uv::Prepare;

/// In which timers and whatever else the loop does not tell of may have to wait.
const TURN: Duration = Duration::from_micros(500);

/// How often the loop's other input is asked for.
const GLANCE: Duration = Duration::from_micros(5);

/// The channels whose readers stay awake. None does while the loop waits: only its poll phase and what runs just before
/// the next one keep them so.
#[derive(Default)]
pub(super) struct Lingering {
    ids: RefCell<Vec<u32>>,
    prepare: RefCell<Option<Rc<Prepare>>>,
}

impl Lingering {
    fn prepare(&self) -> Option<Rc<Prepare>> {
        self.prepare.borrow().clone()
    }

    /// That of the most patient.
    fn patience(&self, channels: &Channels) -> Duration {
        let of = |id: &u32| channels.get(*id).map(|open| open.linger.borrow().patience());
        self.ids.borrow().iter().filter_map(of).max().unwrap_or_default()
    }

    /// Before the environment ends.
    pub(super) fn close(&self) {
        self.ids.take();
        self.prepare.take();
    }
}

impl Channels {
    /// Where a loop has no such phase, readers sleep.
    pub(super) fn prepare_to_linger(&self, state: &Rc<State>) {
        if self.lingering.prepare().is_some() {
            return;
        }
        let weak: Weak<State> = Rc::downgrade(state);
        let on_turn = move || {
            if let Some(state) = weak.upgrade() {
                state.channels.linger(&state);
            }
        };
        let prepare = Prepare::new(state.uv_loop, on_turn).ok();
        self.lingering.prepare.replace(prepare.map(Rc::new));
    }

    /// A channel's ring is empty after messages have come: whether its reader stays awake, rather than sleep.
    pub(super) fn stays_awake(&self, id: u32, open: &Open) -> bool {
        let Some(prepare) = self.lingering.prepare() else { return false };
        if !open.linger.borrow_mut().rests(Instant::now(), *PROCESSORS) {
            return false;
        }
        let mut ids = self.lingering.ids.borrow_mut();
        if !ids.contains(&id) {
            ids.push(id);
        }
        prepare.start();
        true
    }

    /// Runs just before the loop would wait.
    fn linger(&self, state: &State) {
        let start = Instant::now();
        let patience = self.lingering.patience(self);
        let (mut idle_since, mut glanced) = (start, start);
        while state.uv_loop.would_wait() && !self.lingering.ids.borrow().is_empty() {
            if self.serve_one(state) {
                idle_since = Instant::now();
            } else {
                // The other side may have been put on this processor.
                let _ = sched_yield();
            }
            let now = Instant::now();
            if now.duration_since(idle_since) >= patience || now.duration_since(start) >= TURN {
                break;
            }
            if now.duration_since(glanced) >= GLANCE {
                glanced = now;
                if state.uv_loop.has_input() {
                    break;
                }
            }
        }
        if let Some(prepare) = self.lingering.prepare() {
            prepare.stop();
        }
        for id in self.lingering.ids.take() {
            // A bell is taken here too, with the descriptor of a message that has come: what is queued goes on.
            self.serve_ring(state, id, false);
        }
    }

    /// Delivers what has come for one of those who stay awake; false if nothing has.
    fn serve_one(&self, state: &State) -> bool {
        let has_come = |id: &u32| self.get(*id).is_none_or(|open| open.channel.borrow().has_come());
        let position = self.lingering.ids.borrow().iter().position(has_come);
        let Some(position) = position else { return false };
        let id = self.lingering.ids.borrow_mut().swap_remove(position);
        self.serve_ring(state, id, true);
        true
    }
}
