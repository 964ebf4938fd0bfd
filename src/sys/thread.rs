//! Native threads beside Node's own: how they start, and how the kernel schedules them.

use std::mem::MaybeUninit;
use std::thread::Builder;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

/// Bytes of stack, enough for any of ours.
const STACK: usize = 256 * 1024;

/// Starts a thread on which no signal is delivered: signals are for Node's own threads.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
    // It inherits this mask.
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    let started = Builder::new().name(name.into()).stack_size(STACK).spawn(run);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    started.map(drop).map_err(|_| Errno::EAGAIN)
}

/// Has the calling thread wait for its turn when woken, instead of interrupting what runs (SCHED_BATCH).
///
/// Needs no privilege. Where the kernel refuses, the thread stays as it is.
pub fn schedule_in_batches() {
    // SAFETY: an all-zero sched_param is valid: priority 0, the only one SCHED_BATCH has.
    let parameters: libc::sched_param = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: 0 names the calling thread; `parameters` lives until the call returns.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) };
}
