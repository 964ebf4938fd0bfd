//! Children whose environment has ended before them: a worker thread that was terminated, say.
//!
//! Somebody must still collect them, or they stay zombies for as long as the process lives. One thread waits for
//! all of them and ends with the last.

use std::os::fd::AsFd;
use std::sync::Mutex;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::pidfd::PidFd;

/// Children handed over and not yet seen by the thread; `None` while there is no thread.
static WAITING: Mutex<Option<Vec<PidFd>>> = Mutex::new(None);

/// How long the thread may not notice children handed over while it sleeps.
const LOOK_AGAIN_MS: u16 = 1000;

/// Collects these children when they end.
pub(super) fn adopt(children: Vec<PidFd>) {
    if children.is_empty() {
        return;
    }
    let mut waiting = WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    match &mut *waiting {
        Some(handed_over) => handed_over.extend(children),
        None => {
            if thread::Builder::new()
                .name("rcluster-orphans".into())
                .stack_size(64 * 1024)
                .spawn(collect)
                .is_ok()
            {
                *waiting = Some(children);
            }
        }
    }
}

fn collect() {
    let mut children: Vec<PidFd> = Vec::new();
    loop {
        {
            let mut waiting = WAITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            children.extend(waiting.replace(Vec::new()).unwrap_or_default());
            if children.is_empty() {
                *waiting = None;
                return;
            }
        }
        let mut fds: Vec<_> =
            children.iter().map(|child| PollFd::new(child.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut fds, PollTimeout::from(LOOK_AGAIN_MS));
        children.retain(|child| matches!(child.try_wait(), Ok(None)));
    }
}
