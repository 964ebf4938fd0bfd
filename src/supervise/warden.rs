//! The thread that watches workers, keeps times and kills, whatever JavaScript is doing.
//!
//! There is one a process, started by the first supervisor. It sleeps until the next time it has to keep, and looks at
//! the workers in between only as often as their limits need. It alone owns what it knows; others send it commands and
//! are told events, and never wait.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::health::{self, Limits, Seen, Trouble};
use super::sample;
use super::scale::{self, Rule};
use crate::cluster::load::{Load, TOLD_NUMBERS, now, told};
use crate::process::tree;
use crate::sys::pidfd::signal_if;
use crate::sys::thread;
use crate::sys::wake::Wake;

/// Number of a worker, a timer or a group in this process.
pub type Id = u32;

/// How long a stuck worker may take to say where.
const STACK_WAIT: Duration = Duration::from_millis(500);
/// How often memory and requests are looked at, in milliseconds.
const LIMITS_INTERVAL: u64 = 250;
/// How often the use of a group is, where a rule decides its size.
const RULE_INTERVAL: u64 = 500;

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
    fn kill_tree(&self) {
        let is_same = || tree::started(self.pid) == Some(self.started);
        // Its descendants could not be found without it, and may be somebody else's where the id was reused.
        if is_same() {
            tree::signal(self.pid, self.mark.as_deref(), libc::SIGKILL, || {
                signal_if(self.pid, libc::SIGKILL, is_same)
            });
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A time is over.
    Due(Id),
    /// The deadline of a worker has passed, and it was killed.
    Killed(Id),
    /// A worker is stuck, and was killed.
    Hung {
        /// Which.
        worker: Id,
        /// Since how many milliseconds.
        silent_for: u64,
        /// The state of its process, as in proc(5).
        state: char,
        /// Where its JavaScript is, or where in the kernel it waits.
        stack: Option<String>,
    },
    /// A worker has reached one of its limits. Told once until the limits are set anew.
    Over(Id, Trouble, f64),
    /// A group should have so many workers; it is used by so much.
    Scale(Id, u32, f64),
}

/// The way of events to one JavaScript thread.
#[derive(Debug, Clone)]
struct Events {
    sender: Sender<Event>,
    wake: Arc<Wake>,
}

impl Events {
    fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            self.wake.wake();
        }
    }
}

enum Command {
    Watch { worker: Id, process: Process, load: Option<Arc<Load>>, group: Id, events: Events },
    Limits { worker: Id, limits: Limits },
    Ready { worker: Id, ready: bool },
    Deadline { worker: Id, at: Option<u64> },
    Unwatch { worker: Id },
    Time { timer: Id, at: u64, events: Events },
    Cancel { timer: Id },
    Group { group: Id, wanted: u32, rule: Option<Rule>, events: Events },
}

/// The thread as one JavaScript thread sees it.
pub struct Warden {
    thread: &'static Thread,
    events: Events,
    receiver: Receiver<Event>,
}

struct Thread {
    commands: Sender<Command>,
    wake: Arc<Wake>,
}

fn next_id() -> Id {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) & i32::MAX as u32
}

impl Thread {
    fn get() -> Result<&'static Self, Errno> {
        static THREAD: OnceLock<Result<Thread, Errno>> = OnceLock::new();
        THREAD.get_or_init(Self::start).as_ref().map_err(|&errno| errno)
    }

    fn start() -> Result<Self, Errno> {
        let (sender, receiver) = unbounded();
        let wake = Arc::new(Wake::new()?);
        let watch = Watch::new(receiver, wake.clone());
        thread::start("rcluster-warden", || watch.run())?;
        Ok(Self { commands: sender, wake })
    }
}

impl Warden {
    /// Starts the thread if it does not run yet.
    pub fn new() -> Result<Self, Errno> {
        let thread = Thread::get()?;
        let (sender, receiver) = unbounded();
        Ok(Self { thread, events: Events { sender, wake: Arc::new(Wake::new()?) }, receiver })
    }

    fn send(&self, command: Command) {
        // The thread never ends, so neither does the channel.
        let _ = self.thread.commands.send(command);
        self.thread.wake.wake();
    }

    /// Readable when there is an event.
    pub fn wake(&self) -> &Wake {
        &self.events.wake
    }

    /// The next event.
    pub fn next_event(&self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// Begins to watch a worker of a group; returns its number here.
    pub fn watch(&self, process: Process, load: Option<Arc<Load>>, group: Id) -> Id {
        let worker = next_id();
        self.send(Command::Watch { worker, process, load, group, events: self.events.clone() });
        worker
    }

    /// Sets the limits of a worker, and tells of those it has reached anew.
    pub fn set_limits(&self, worker: Id, limits: Limits) {
        self.send(Command::Limits { worker, limits });
    }

    /// Whether a worker counts for the use of its group.
    pub fn set_ready(&self, worker: Id, ready: bool) {
        self.send(Command::Ready { worker, ready });
    }

    /// Kills a worker and its tree after so many milliseconds; `None` does not.
    pub fn set_deadline(&self, worker: Id, after: Option<u64>) {
        self.send(Command::Deadline { worker, at: after.map(|after| now().saturating_add(after)) });
    }

    /// Forgets a worker that has ended.
    pub fn unwatch(&self, worker: Id) {
        self.send(Command::Unwatch { worker });
    }

    /// Has an event come after so many milliseconds; returns its number.
    pub fn time(&self, after: u64) -> Id {
        let timer = next_id();
        self.send(Command::Time { timer, at: now().saturating_add(after), events: self.events.clone() });
        timer
    }

    /// An event that is not wanted any more.
    pub fn cancel(&self, timer: Id) {
        self.send(Command::Cancel { timer });
    }

    /// How many workers a group is to have, and by what rule that changes.
    pub fn set_group(&self, group: Id, wanted: u32, rule: Option<Rule>) {
        self.send(Command::Group { group, wanted, rule, events: self.events.clone() });
    }
}

struct Watched {
    process: Process,
    load: Option<Arc<Load>>,
    group: Id,
    events: Events,
    limits: Limits,
    /// It has reached a limit, and that was told.
    is_told: bool,
    is_killed: bool,
    is_ready: bool,
    deadline: Option<u64>,
}

struct Group {
    wanted: u32,
    rule: Rule,
    history: scale::History,
    events: Events,
}

/// What the thread owns.
struct Watch {
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
    fn new(commands: Receiver<Command>, wake: Arc<Wake>) -> Self {
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

    fn run(mut self) {
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
                let watched = Watched {
                    process,
                    load,
                    group,
                    events,
                    limits: Limits::default(),
                    is_told: false,
                    is_killed: false,
                    is_ready: false,
                    deadline: None,
                };
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
        let of_worker = |worker: &Watched| {
            let limits = &worker.limits;
            let hang = (limits.hang > 0).then(|| (limits.hang / 8).clamp(50, 1000));
            let others = limits.rss > 0 || limits.heap > 0.0 || limits.requests > 0;
            [hang, others.then_some(LIMITS_INTERVAL)].into_iter().flatten().min()
        };
        let rule = (!self.groups.is_empty()).then_some(RULE_INTERVAL);
        self.workers.values().filter_map(of_worker).chain(rule).min()
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

impl Watched {
    fn check(&mut self, id: Id, now: u64, trusted_for: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spawn::{self, Command as Spawn};
    use crate::sys::clone::{Cloned, ExecPlan};

    fn sleeper() -> Cloned {
        let plan = ExecPlan { args: b"sleep\x00600\x00".to_vec(), ..ExecPlan::default() };
        let child = spawn::run(Spawn { file: b"/bin/sleep".to_vec(), plan, stdio: Vec::new() })
            .unwrap()
            .child
            .unwrap();
        assert!(child.spawning.wait());
        child
    }

    fn event(warden: &Warden) -> Event {
        for _ in 0..2000 {
            if let Some(event) = warden.next_event() {
                return event;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no event");
    }

    #[test]
    fn times_come_in_their_order_and_not_once_cancelled() {
        let warden = Warden::new().unwrap();
        let late = warden.time(60);
        let never = warden.time(30);
        let early = warden.time(1);
        warden.cancel(never);
        assert!(matches!(event(&warden), Event::Due(timer) if timer == early));
        assert!(matches!(event(&warden), Event::Due(timer) if timer == late));
        assert!(warden.next_event().is_none());
    }

    #[test]
    fn a_worker_is_killed_at_its_deadline() {
        let warden = Warden::new().unwrap();
        let child = sleeper();
        let worker = warden.watch(Process::of_child(child.pid, None), None, 0);
        warden.set_deadline(worker, Some(1));
        assert!(matches!(event(&warden), Event::Killed(id) if id == worker));
        assert!(matches!(child.pidfd.wait(), Ok(Some((crate::sys::pidfd::Exit::Signal(9), _)))));
        warden.unwatch(worker);
    }

    #[test]
    fn a_worker_that_does_not_tell_is_killed_and_one_that_tells_is_not() {
        let warden = Warden::new().unwrap();
        let (stuck, sound) = (sleeper(), sleeper());
        let (stuck_load, sound_load) = (Load::create().unwrap().0, Arc::new(Load::create().unwrap().0));
        stuck_load.beat(0);
        let stuck_id = warden.watch(Process::of_child(stuck.pid, None), Some(Arc::new(stuck_load)), 0);
        let sound_id = warden.watch(Process::of_child(sound.pid, None), Some(sound_load.clone()), 0);
        let limits = Limits { hang: 400, ..Limits::default() };
        sound_load.beat(0);
        warden.set_limits(stuck_id, limits);
        warden.set_limits(sound_id, limits);
        let event = loop {
            sound_load.beat(0);
            if let Some(event) = warden.next_event() {
                break event;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(matches!(event, Event::Hung { worker, silent_for: 400.., .. } if worker == stuck_id));
        assert!(stuck.pidfd.wait().is_ok() && matches!(sound.pidfd.try_wait(), Ok(None)));
        warden.unwatch(sound_id);
        sound.pidfd.kill(libc::SIGKILL).unwrap();
        assert!(sound.pidfd.wait().is_ok());
    }
}
