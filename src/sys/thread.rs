//! How the kernel schedules a thread.

use std::mem::MaybeUninit;

/// Has the calling thread wait for its turn when woken, instead of interrupting what runs (SCHED_BATCH).
///
/// Needs no privilege. Where the kernel refuses, the thread stays as it is.
pub fn schedule_in_batches() {
    // SAFETY: an all-zero sched_param is valid: priority 0, the only one SCHED_BATCH has.
    let parameters: libc::sched_param = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: 0 names the calling thread; `parameters` lives until the call returns.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) };
}
