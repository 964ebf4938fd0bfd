//! The thread that watches workers, keeps times and kills, whatever JavaScript is doing.
//!
//! There is one a process, started by the first supervisor. It sleeps until the next time it has to keep, and looks at
//! the workers in between only as often as their limits need. It alone owns what it knows; others send it commands and
//! are told events, and never wait.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;

use super::health::{Limits, Trouble};
use super::scale::Rule;
use super::watch::Watch;
use super::watched::Process;
use crate::cluster::load::{Load, now};
use crate::sys::thread;
use crate::sys::wake::Wake;

/// Number of a worker, a timer or a group in this process.
pub type Id = u32;

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
pub(super) struct Events {
    sender: Sender<Event>,
    wake: Arc<Wake>,
}

impl Events {
    pub(super) fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            self.wake.wake();
        }
    }
}

/// What the thread is told.
pub(super) enum Command {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
