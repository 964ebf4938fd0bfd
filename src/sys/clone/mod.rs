//! Starting a program without copying the parent's memory and without waiting for it.
//!
//! `clone(CLONE_VM)` without `CLONE_VFORK`: parent and child run at once in one address space until the child
//! has exec'd. The plan and the stack the child uses stay alive and untouched until `Spawning` has seen the
//! exec. What the child itself may do is in `child`.
//!
//! Where the host refuses that (QEMU's user mode knows only fork and vfork), the same code runs as vfork, then
//! as fork: it relies on shared memory for nothing, since the outcome of the exec comes through a pipe.

mod child;
mod plan;
mod stack;

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};

pub use plan::{ChildFd, ExecPlan, ResourceLimit, Step};

use self::plan::Prepared;
use self::stack::Stack;
use super::forced;
use super::pidfd::PidFd;
use super::signals::Blocked;
use crate::error::{Named, OsError, OsResult};

/// The ways to clone, best first.
const ROADS: [c_int; 3] = [libc::CLONE_VM, libc::CLONE_VM | libc::CLONE_VFORK, 0];

/// The best road that works here, an index into `ROADS`; found out by the first spawns.
static ROAD: AtomicUsize = AtomicUsize::new(0);

/// Why a child did not exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecFailure {
    /// The errno of what failed.
    pub errno: Errno,
    /// What the child was doing, a `Step` as a number.
    pub step: i32,
}

/// A child that has been cloned and may not have exec'd yet.
pub struct Spawning {
    /// Closed by the child's exec or death, after the errno if the exec failed: readable once that is known.
    status: OwnedFd,
    /// What the child reads and writes; taken by `finish`.
    held: Option<(*mut Prepared, Stack)>,
}

// SAFETY: the plan is owned by the `Spawning` alone, apart from the child; neither is tied to a thread.
unsafe impl Send for Spawning {}

impl Spawning {
    /// Becomes readable when the outcome of the exec is known.
    pub fn status_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }

    /// Waits until the outcome of the exec is known, and leaves it to be read; whether the exec worked.
    pub fn wait(&self) -> bool {
        let mut status = [PollFd::new(self.status.as_fd(), PollFlags::POLLIN)];
        while let Err(Errno::EINTR) = poll(&mut status, PollTimeout::NONE) {}
        // Bytes are the report of a failure; end of file alone is a hang-up.
        !status[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
    }

    /// Waits until the child has exec'd or given up; says why it gave up.
    ///
    /// Blocks for as long as the kernel takes for the exec, well under a millisecond as a rule.
    pub fn settled(mut self) -> Result<(), ExecFailure> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), ExecFailure> {
        let Some((prepared, stack)) = self.held.take() else { return Ok(()) };
        let mut report = [0_u8; child::REPORT_SIZE];
        let outcome = loop {
            match read(&self.status, &mut report) {
                Ok(0) => break Ok(()),
                Ok(_) => {
                    let [errno, step] = [&report[..4], &report[4..]]
                        .map(|bytes| i32::from_ne_bytes(bytes.try_into().unwrap_or_default()));
                    break Err(ExecFailure { errno: Errno::from_raw(errno), step });
                }
                Err(Errno::EINTR) => {}
                Err(errno) => break Err(ExecFailure { errno, step: Step::Exec as i32 }),
            }
        };
        if outcome.is_err() {
            // The report is written while the child still runs on the stack; end of file means it has left.
            while let Ok(1..) | Err(Errno::EINTR) = read(&self.status, &mut report) {}
        }
        // SAFETY: made by Box::into_raw in `spawn`, taken once; the child has left this memory.
        drop(unsafe { Box::from_raw(prepared) });
        stack.put_back();
        outcome
    }
}

impl Drop for Spawning {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

/// A cloned child.
pub struct Cloned {
    /// Its process id.
    pub pid: i32,
    /// Watches it.
    pub pidfd: PidFd,
    /// Its exec under way.
    pub spawning: Spawning,
}

/// Clones a child that carries out `plan`. Does not wait for its exec.
pub fn spawn(plan: ExecPlan) -> OsResult<Cloned> {
    let (status, child_end) = pipe2(OFlag::O_CLOEXEC).named("pipe2")?;
    let stack = Stack::take()?;
    let prepared = Box::into_raw(Prepared::new(plan, child_end.as_raw_fd()));
    let (cloned, pidfd) = clone_by_best_road(prepared, &stack);
    drop(child_end);
    let spawning = Spawning { status, held: Some((prepared, stack)) };
    let pid = cloned.named("clone")?;
    // SAFETY: if there is one, the kernel has just made this descriptor for us, close-on-exec set.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Cloned {
        pid,
        pidfd: PidFd::new(pid, pidfd).map_err(|errno| OsError::new("waitid", errno))?,
        spawning,
    })
}

fn clone_by_best_road(prepared: *mut Prepared, stack: &Stack) -> (Result<i32, Errno>, c_int) {
    let mut road = ROAD.load(Ordering::Relaxed).max(forced::first_clone_road());
    loop {
        let mut pidfd: c_int = -1;
        let outcome = {
            // A signal handler of this process must not run in the child: it would run in shared memory.
            let _blocked = Blocked::all();
            // SAFETY: the child runs `child::main` on its own stack, in memory kept alive by `Spawning`; it uses
            // the thread pointer of this thread, and so makes raw system calls only. CLONE_PIDFD writes `pidfd`.
            Errno::result(unsafe {
                libc::clone(
                    child::main,
                    stack.top(),
                    ROADS[road] | libc::CLONE_PIDFD | libc::SIGCHLD,
                    prepared.cast(),
                    &raw mut pidfd,
                )
            })
        };
        match outcome {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) if road + 1 < ROADS.len() => {
                road += 1;
                ROAD.store(road, Ordering::Relaxed);
            }
            outcome => return (outcome, pidfd),
        }
    }
}
