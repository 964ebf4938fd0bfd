//! What the warden's thread does: it keeps times, looks at the workers, kills, and tells.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::health;
use super::scale::{self, Rule};
use super::warden::{Command, Event, Events, Id};
use super::watched::Watched;
use crate::cluster::load::now;
use crate::sys::wake::Wake;

/// How often the use of a group is, where a rule decides its size.
const RULE_INTERVAL: u64 = 500;

struct Group {
    wanted: u32,
    rule: Rule,
    history: scale::History,
    events: Events,
}

/// What the thread owns.
pub(super) struct Watch {
    commands: Receiver<Command>,
    wake: Arc<Wake>,
    workers: HashMap<Id, Watched>,
    groups: HashMap<Id, Group>,
    timers: BTreeMap<(u64, Id), Events>,
    /// When the workers are to be looked at next, where they are.
    next_look: Option<u64>,
    /// The machine has let this thread run in time since then.
    trusted_since: u64,
}

impl Watch {
    pub(super) fn new(commands: Receiver<Command>, wake: Arc<Wake>) -> Self {
        Self {
            commands,
            wake,
            workers: HashMap::new(),
            groups: HashMap::new(),
            timers: BTreeMap::new(),
            next_look: None,
            trusted_since: now(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let timeout = self.next_time().map_or(PollTimeout::NONE, |at| {
                PollTimeout::try_from(at.saturating_sub(now()).min(i32::MAX as u64) as i32)
                    .unwrap_or(PollTimeout::ZERO)
            });
            let mut wait = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut wait, timeout);
            self.wake.clear();
            while let Ok(command) = self.commands.try_recv() {
                self.execute(command);
            }
            let now = now();
            self.run_timers(now);
            self.keep_deadlines(now);
            if self.next_look.is_some_and(|at| now >= at) {
                self.look(now);
            }
        }
    }

    fn next_time(&self) -> Option<u64> {
        let timer = self.timers.keys().next().map(|&(at, _)| at);
        let deadline = self.workers.values().filter_map(|worker| worker.deadline).min();
        [timer, deadline, self.next_look].into_iter().flatten().min()
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Watch { worker, process, load, group, events } => {
                let watched = Watched::new(process, load, group, events);
                self.workers.insert(worker, watched);
            }
            Command::Limits { worker, limits } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    (worker.limits, worker.is_told) = (limits, false);
                }
            }
            Command::Ready { worker, ready } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.is_ready = ready;
                }
            }
            Command::Deadline { worker, at } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.deadline = at.filter(|_| !worker.is_killed);
                }
            }
            Command::Unwatch { worker } => drop(self.workers.remove(&worker)),
            Command::Time { timer, at, events } => drop(self.timers.insert((at, timer), events)),
            Command::Cancel { timer } => self.timers.retain(|&(_, id), _| id != timer),
            Command::Group { group, wanted, rule: Some(rule), events } => {
                let history = self.groups.get(&group).map_or_else(Default::default, |group| group.history);
                self.groups.insert(group, Group { wanted, rule, history, events });
            }
            Command::Group { group, rule: None, .. } => drop(self.groups.remove(&group)),
        }
        self.plan_look();
    }

    /// How often the workers are looked at; `None` where nothing is looked for.
    fn interval(&self) -> Option<u64> {
        let rule = (!self.groups.is_empty()).then_some(RULE_INTERVAL);
        self.workers.values().filter_map(Watched::interval).chain(rule).min()
    }

    fn plan_look(&mut self) {
        match (self.interval(), self.next_look) {
            (None, _) => self.next_look = None,
            (Some(interval), None) => {
                self.trusted_since = now();
                self.next_look = Some(self.trusted_since + interval);
            }
            (Some(interval), Some(at)) => self.next_look = Some(at.min(now() + interval)),
        }
    }

    fn run_timers(&mut self, now: u64) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let ((_, timer), events) = entry.remove_entry();
            events.send(Event::Due(timer));
        }
    }

    fn keep_deadlines(&mut self, now: u64) {
        for (&id, worker) in &mut self.workers {
            if worker.deadline.is_some_and(|at| now >= at) {
                worker.deadline = None;
                worker.is_killed = true;
                // Told first: the end is seen after what was told before it.
                worker.events.send(Event::Killed(id));
                worker.process.kill_tree();
            }
        }
    }

    fn look(&mut self, now: u64) {
        let Some(interval) = self.interval() else { return };
        if self.next_look.is_some_and(|expected| health::is_late(expected, now, interval)) {
            self.trusted_since = now;
        }
        self.next_look = Some(now + interval);
        let trusted_for = now - self.trusted_since;
        for (&id, worker) in &mut self.workers {
            worker.check(id, now, trusted_for);
        }
        for (&id, group) in &mut self.groups {
            let ready: Vec<_> = self
                .workers
                .values()
                .filter(|worker| worker.group == id && worker.is_ready)
                .filter_map(|worker| worker.load.as_ref())
                .collect();
            // While workers come or go their use says little.
            if ready.len() as u32 != group.wanted || ready.is_empty() {
                continue;
            }
            let used: u32 = ready.iter().map(|load| load.at(now).utilisation).sum();
            let utilisation = f64::from(used) / 1000.0 / ready.len() as f64;
            if let Some(count) =
                scale::decide(&group.rule, &mut group.history, group.wanted, utilisation, now)
            {
                group.wanted = count;
                group.events.send(Event::Scale(id, count, utilisation));
            }
        }
    }
}
