//! The children of one environment: which exec is under way, which child has ended. Runs on the loop's thread.
//!
//! One epoll descriptor holds a pidfd and, until the exec is known, a status descriptor for each child; the
//! loop watches that one. A start is reported as it is seen; an end is collected after the turn's other input, so that what a child wrote or sent before it ended is seen before its end.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::orphans;
use super::tree::{self, Signalled};
use crate::error::{Named, OsResult};
use crate::sys::clone::{Cloned, ExecFailure, Spawning, Step};
use crate::sys::pidfd::{Exit, PidFd, Usage};

/// The outcome of an exec: it worked, or why not.
pub type ExecOutcome = Result<(), ExecFailure>;

/// How a child ended; `None` where somebody else in this process has collected it.
pub type Ending = Option<(Exit, Usage)>;

struct Child {
    pid: i32,
    pidfd: PidFd,
    /// Present until the outcome of the exec is known.
    spawning: Option<Spawning>,
    /// Whether it keeps the loop alive.
    referenced: bool,
    /// Marks its descendants, where the spawn asked for that.
    mark: Option<String>,
}

impl Child {
    /// A pending exec keeps the loop alive too: its outcome is always reported.
    fn holds_loop(&self) -> bool {
        self.referenced || self.spawning.is_some()
    }

    /// Sends a signal. One that stops waits for the exec: stopped before it, the child would hold up whoever waits
    /// for the outcome, and the signals that could continue it are blocked until then.
    fn kill(&self, signal: i32) -> Result<(), Errno> {
        if let (Some(spawning), libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) =
            (&self.spawning, signal)
            && !spawning.wait()
        {
            // It is on its way out, and must not be stopped there.
            return Err(Errno::ESRCH);
        }
        self.pidfd.kill(signal)
    }

    /// Waits for the outcome of a pending exec and collects a child that failed to exec.
    fn settle(&mut self) -> Option<ExecOutcome> {
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
    /// Children that keep the loop alive.
    holding: usize,
    /// Children whose exec is known but perhaps not reported, for `next_started`.
    started: VecDeque<u32>,
    /// Children seen to have ended, for `next_ended`.
    ended: VecDeque<u32>,
}

const EVENTS_PER_TURN: usize = 64;
const ENDED: u64 = 1 << 32;

impl Registry {
    /// An empty registry.
    pub fn new() -> OsResult<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).named("epoll_create1")?,
            children: HashMap::new(),
            next_id: 0,
            holding: 0,
            started: VecDeque::new(),
            ended: VecDeque::new(),
        })
    }

    /// Readable when `poll` has something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Takes charge of a child, whose descendants may carry a mark; returns its id here.
    pub fn insert(&mut self, cloned: Cloned, mark: Option<String>) -> OsResult<u32> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let Cloned { pid, pidfd, spawning } = cloned;
        self.epoll
            .add(spawning.status_fd(), EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id)))
            .named("epoll_ctl")?;
        self.children.insert(id, Child { pid, pidfd, spawning: Some(spawning), referenced: true, mark });
        self.holding += 1;
        Ok(id)
    }

    /// Notes what has become ready, for `next_started` and `next_ended`.
    pub fn poll(&mut self) {
        let mut ready = [EpollEvent::empty(); EVENTS_PER_TURN];
        let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
        for entry in &ready[..count] {
            let id = entry.data() as u32;
            if entry.data() & ENDED == 0 {
                self.started.push_back(id);
            } else {
                self.ended.push_back(id);
            }
        }
    }

    /// The next child whose exec is known and that `settle` has not been asked about.
    ///
    /// One at a time, so that what runs on one report may itself ask about another child.
    pub fn next_started(&mut self) -> Option<(u32, ExecOutcome)> {
        while let Some(id) = self.started.pop_front() {
            if let Some(outcome) = self.settle(id) {
                return Some((id, outcome));
            }
        }
        None
    }

    /// Whether `next_ended` has something to do.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Collects the next child that has ended and forgets it.
    pub fn next_ended(&mut self) -> Option<(u32, Ending)> {
        while let Some(id) = self.ended.pop_front() {
            let Some(child) = self.children.get(&id) else { continue };
            let ending = match child.pidfd.try_wait() {
                Ok(None) => continue,
                Ok(exit) => exit,
                Err(_) => None,
            };
            self.forget(id);
            return Some((id, ending));
        }
        None
    }

    /// Waits for the outcome of a child's exec; `None` if it is known already. A child that failed is forgotten.
    pub fn settle(&mut self, id: u32) -> Option<ExecOutcome> {
        let child = self.children.get_mut(&id)?;
        let mut outcome = child.settle()?;
        if outcome.is_ok() {
            // Only now, off the path of the spawn: what has not begun cannot end.
            let ended = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id) | ENDED);
            if let Err(errno) = self.epoll.add(child.pidfd.as_fd(), ended) {
                // No kernel memory to watch it with: rather no child than one whose end is never reported.
                let _ = child.pidfd.kill(libc::SIGKILL);
                let _ = child.pidfd.wait();
                outcome = Err(ExecFailure { errno, step: Step::Exec as i32 });
            }
        }
        if outcome.is_err() || !child.referenced {
            self.holding -= 1;
        }
        if outcome.is_err() {
            self.children.remove(&id);
        }
        Some(outcome)
    }

    fn forget(&mut self, id: u32) {
        if self.children.remove(&id).is_some_and(|child| child.holds_loop()) {
            self.holding -= 1;
        }
    }

    /// Sends a signal; `ESRCH` for a child that has been collected.
    pub fn kill(&self, id: u32, signal: i32) -> Result<(), Errno> {
        self.children.get(&id).ok_or(Errno::ESRCH)?.kill(signal)
    }

    /// Signals a child and all that came from it; `None` for one that has been collected.
    pub fn kill_tree(&self, id: u32, signal: i32) -> Option<Signalled> {
        let child = self.children.get(&id)?;
        Some(tree::signal(child.pid, child.mark.as_deref(), signal, || child.kill(signal)))
    }

    /// The process id of a child that has not been collected, and the mark of its tree.
    pub fn identity(&self, id: u32) -> Option<(i32, Option<String>)> {
        self.children.get(&id).map(|child| (child.pid, child.mark.clone()))
    }

    /// Chooses whether a child keeps the loop alive.
    pub fn set_ref(&mut self, id: u32, on: bool) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let before = child.holds_loop();
        child.referenced = on;
        self.holding = self.holding + usize::from(child.holds_loop()) - usize::from(before);
    }

    /// The children that have not been collected.
    pub fn pids(&self) -> Vec<i32> {
        self.children.values().map(|child| child.pid).collect()
    }

    /// Whether any child keeps the loop alive.
    pub fn holds_loop(&self) -> bool {
        self.holding > 0
    }
}

impl Drop for Registry {
    /// The environment ends before its children. At the end of the main thread's, the process ends too.
    fn drop(&mut self) {
        let children = self.children.drain().map(|(_, mut child)| {
            let failed = matches!(child.settle(), Some(Err(_)));
            (!failed).then_some(child.pidfd)
        });
        let left = children.flatten().collect();
        if nix::unistd::gettid() != nix::unistd::getpid() {
            orphans::adopt(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spawn::{self, Command};
    use crate::sys::clone::ExecPlan;

    /// Starts `sh -c script` and waits for its exec.
    fn start(registry: &mut Registry, script: &str) -> (u32, i32) {
        let args = format!("sh\0-c\0{script}\0").into_bytes();
        let plan = ExecPlan { args, ..ExecPlan::default() };
        let child = spawn::run(Command { file: b"/bin/sh".to_vec(), plan, stdio: Vec::new() })
            .unwrap()
            .child
            .unwrap();
        let pid = child.pid;
        let id = registry.insert(child, None).unwrap();
        assert_eq!(registry.settle(id), Some(Ok(())));
        (id, pid)
    }

    /// Polls until a child has ended.
    fn ended(registry: &mut Registry) -> (u32, Ending) {
        loop {
            registry.poll();
            if let Some(ended) = registry.next_ended() {
                return ended;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_end_is_reported_once_and_the_child_forgotten() {
        let mut registry = Registry::new().unwrap();
        let (id, _) = start(&mut registry, "exit 7");
        assert!(registry.holds_loop());
        let (reported, ending) = ended(&mut registry);
        assert_eq!((reported, ending.map(|(exit, _)| exit)), (id, Some(Exit::Code(7))));
        registry.poll();
        assert!(registry.next_ended().is_none() && !registry.holds_loop());
        assert_eq!(registry.kill(id, 0), Err(Errno::ESRCH));
    }

    #[test]
    fn a_child_that_somebody_else_has_collected_is_reported_all_the_same() {
        let mut registry = Registry::new().unwrap();
        let (id, pid) = start(&mut registry, "exit 7");
        let thief = PidFd::new(pid, None).unwrap();
        assert!(matches!(thief.wait(), Ok(Some((Exit::Code(7), _)))));
        assert_eq!(ended(&mut registry), (id, None));
        assert!(!registry.holds_loop());
    }
}
