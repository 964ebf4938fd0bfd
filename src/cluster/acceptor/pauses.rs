//! Pauses: when something is to be tried again.

use std::time::{Duration, Instant};

use nix::sys::epoll::EpollTimeout;

use super::{Acceptor, Listener, Way};

/// How often workers are looked at that have connections to take.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

impl Acceptor {
    pub(super) fn pause(&mut self, until: Option<Instant>) {
        self.pause_end = self.pause_end.into_iter().chain(until).min();
    }

    /// Until when to wait at the longest.
    pub(super) fn timeout(&self) -> EpollTimeout {
        let ends = self.pause_end.into_iter().chain(self.progress_check);
        let Some(next) = ends.chain(self.late_check).chain(self.peek_end()).min() else {
            return EpollTimeout::NONE;
        };
        // In whole milliseconds, and not to be early.
        let left = next.saturating_duration_since(Instant::now()) + Duration::from_nanos(999_999);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::NONE)
    }

    /// A connection is on its way to a worker, which might hang.
    pub(super) fn expect_progress(&mut self) {
        if self.progress_check.is_none() {
            self.progress_check = Some(Instant::now() + PROGRESS_INTERVAL);
        }
    }

    /// Has no connection wait for a worker that hangs while another could take it.
    pub(super) fn check_progress(&mut self) {
        if self.progress_check.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.progress_check = None;
        if self.relieve_hung() {
            self.expect_progress();
        }
    }

    pub(super) fn end_pauses(&mut self) {
        let now = Instant::now();
        if self.pause_end.is_none_or(|end| end > now) {
            return;
        }
        let over = |until: &mut Option<Instant>| until.take_if(|until| *until <= now).is_some();
        let mut resumed = Vec::new();
        for (&id, listener) in &mut self.listeners {
            let mut any = over(&mut listener.paused_until);
            for member in &mut listener.members {
                if let Way::Message { paused_until, .. } = &mut member.way {
                    any |= over(paused_until);
                }
            }
            if any {
                resumed.push(id);
            }
        }
        self.pause_end = self.listeners.values().flat_map(Listener::pauses).min();
        for id in resumed {
            self.serve(id);
        }
    }
}

impl Listener {
    fn pauses(&self) -> impl Iterator<Item = Instant> {
        let members = self.members.iter().filter_map(|member| match member.way {
            Way::Message { paused_until, .. } => paused_until,
            Way::Handoff { .. } => None,
        });
        members.chain(self.paused_until)
    }
}
