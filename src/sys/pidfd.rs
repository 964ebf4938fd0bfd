//! A child process as a file descriptor: readable once it has ended, safe against pid reuse.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, AsFd};

use nix::errno::Errno;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Owns the pidfd of one child of this process.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Takes over a descriptor that came from `CLONE_PIDFD` or `pidfd_open`.
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Collects the child if it has ended. This and `wait` are the only code in this crate that reaps.
    ///
    /// `Ok(None)` while it still runs; `ECHILD` where somebody else has collected it.
    pub fn try_wait(&self) -> Result<Option<Exit>, Errno> {
        self.wait_with(libc::WNOHANG)
    }

    /// Waits for the end of a child that is known to be ending.
    pub fn wait(&self) -> Result<Option<Exit>, Errno> {
        loop {
            match self.wait_with(0) {
                Err(Errno::EINTR) => {}
                outcome => return outcome,
            }
        }
    }

    fn wait_with(&self, flags: i32) -> Result<Option<Exit>, Errno> {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the pidfd is open for as long as `self` lives; `info` is valid for writing.
        let result = unsafe {
            libc::waitid(
                libc::P_PIDFD,
                self.0.as_raw_fd() as libc::id_t,
                info.as_mut_ptr(),
                libc::WEXITED | flags,
            )
        };
        Errno::result(result)?;
        // SAFETY: zeroed at the start and filled by waitid: every field is initialised.
        let (pid, status, code) = unsafe {
            let info = info.assume_init_ref();
            (info.si_pid(), info.si_status(), info.si_code)
        };
        Ok((pid != 0).then_some(match code {
            libc::CLD_EXITED => Exit::Code(status),
            _ => Exit::Signal(status),
        }))
    }

    /// Sends `signal`; 0 only asks whether the child can be signalled.
    pub fn kill(&self, signal: i32) -> Result<(), Errno> {
        // SAFETY: the pidfd is open for as long as `self` lives; a null siginfo means that of `kill`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        Errno::result(result).map(drop)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
