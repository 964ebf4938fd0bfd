//! The signal mask of a thread, by raw system call: libc's own wrappers leave out the signals it uses itself.

use super::raw::syscall;

/// The kernel's `sigset_t`, smaller than libc's.
pub(super) const SIGSET_SIZE: usize = 8;

/// Every signal of this thread is blocked while this lives.
pub(super) struct Blocked(u64);

impl Blocked {
    pub(super) fn all() -> Self {
        let (all, mut before) = (u64::MAX, 0_u64);
        // SAFETY: both point to eight bytes, the size of the kernel's signal set.
        unsafe {
            syscall(
                libc::SYS_rt_sigprocmask,
                [
                    libc::SIG_SETMASK as usize,
                    &raw const all as usize,
                    &raw mut before as usize,
                    SIGSET_SIZE,
                    0,
                ],
            );
        }
        Self(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_mask(self.0);
    }
}

/// Sets the signal mask of this thread.
pub(super) fn set_mask(mask: u64) {
    // SAFETY: points to eight bytes, the size of the kernel's signal set.
    unsafe {
        syscall(
            libc::SYS_rt_sigprocmask,
            [libc::SIG_SETMASK as usize, &raw const mask as usize, 0, SIGSET_SIZE, 0],
        );
    }
}
