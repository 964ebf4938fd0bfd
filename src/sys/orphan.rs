//! What a process does when its parent ends: it is given some time to end by itself, then it is killed.
//!
//! The kernel signals the end of the *thread* that spawned; the handler looks whether the process has gone with it.
//! It needs nothing of Node's event loop, which may be blocked for good.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use nix::errno::Errno;

use super::raw::syscall;

/// Seconds to end by itself once the parent has gone.
const GRACE: libc::time_t = 2;

static PARENT: AtomicI32 = AtomicI32::new(0);
static TIMER: AtomicUsize = AtomicUsize::new(0);
static MAY_OUTLIVE: AtomicBool = AtomicBool::new(false);

/// Ends this process soon after its parent. To be called once.
pub fn end_with_parent() -> Result<(), Errno> {
    // SAFETY: getppid takes nothing and cannot fail.
    PARENT.store(unsafe { libc::getppid() }, Ordering::SeqCst);
    make_timer()?;
    // One that nobody uses: libuv and glibc take theirs from the other end.
    let signal = libc::SIGRTMAX() - 3;
    // SAFETY: an all-zero sigaction is valid; the handler makes raw system calls only and touches no errno.
    let result = unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = on_parent_thread_end as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, ptr::null_mut())
    };
    Errno::result(result)?;
    // SAFETY: PR_SET_PDEATHSIG takes a number.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) })?;
    // It may have gone just before.
    end_if_orphan();
    Ok(())
}

/// From now on this process may outlive its parent.
pub fn outlive_parent() {
    MAY_OUTLIVE.store(true, Ordering::SeqCst);
    if PARENT.load(Ordering::SeqCst) != 0 {
        set_timer(0);
    }
}

/// A timer that kills this process, not running yet.
fn make_timer() -> Result<(), Errno> {
    // SAFETY: an all-zero sigevent is valid; both pointers are to live memory of the right type.
    let timer = unsafe {
        let mut event: libc::sigevent = MaybeUninit::zeroed().assume_init();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        let mut timer: libc::c_int = 0;
        // Not through libc, whose `timer_t` may be more than the kernel's number.
        Errno::result(libc::syscall(
            libc::SYS_timer_create,
            libc::CLOCK_MONOTONIC,
            &raw mut event,
            &raw mut timer,
        ))?;
        timer
    };
    TIMER.store(timer as usize, Ordering::SeqCst);
    Ok(())
}

/// Starts the timer, or stops it with 0.
fn set_timer(seconds: libc::time_t) {
    let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let time =
        libc::itimerspec { it_interval: none, it_value: libc::timespec { tv_sec: seconds, tv_nsec: 0 } };
    let timer = TIMER.load(Ordering::SeqCst);
    // SAFETY: `time` lives until the call returns; a null pointer says that the old time is not wanted.
    unsafe { syscall(libc::SYS_timer_settime, [timer, 0, &raw const time as usize, 0, 0]) };
}

fn end_if_orphan() {
    // SAFETY: getppid takes nothing.
    let parent = unsafe { syscall(libc::SYS_getppid, [0; 5]) };
    if parent != PARENT.load(Ordering::SeqCst) as isize && !MAY_OUTLIVE.load(Ordering::SeqCst) {
        set_timer(GRACE);
    }
}

extern "C" fn on_parent_thread_end(_signal: libc::c_int) {
    end_if_orphan();
}
