//! A child process as a file descriptor: readable once it has ended, safe against pid reuse.
//!
//! Kernels before 5.4, gVisor and some seccomp profiles have no pidfds. There a thread per child waits for its
//! end, without collecting it, and makes an eventfd readable. The rest of the crate sees no difference.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::thread;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::forced;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a child used, as the kernel counted it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user mode, in microseconds.
    pub user_us: i64,
    /// Processor time in the kernel, in microseconds.
    pub system_us: i64,
    /// Peak memory in KiB; on Linux never below its parent's peak at the time of the spawn.
    pub max_rss_kib: i64,
    /// Page faults without I/O.
    pub minor_faults: i64,
    /// Page faults with I/O.
    pub major_faults: i64,
    /// Blocks read.
    pub blocks_in: i64,
    /// Blocks written.
    pub blocks_out: i64,
    /// Context switches it asked for.
    pub voluntary_switches: i64,
    /// Context switches forced on it.
    pub involuntary_switches: i64,
}

/// Names the child to the kernel.
#[derive(Debug)]
enum Identity {
    /// Its pidfd.
    PidFd(OwnedFd),
    /// Its pid, not reused before it is collected, and what the waiting thread makes readable.
    Pid(i32, EventFd),
}

/// Watches one child of this process.
#[derive(Debug)]
pub struct PidFd(Identity);

impl PidFd {
    /// Watches child `pid`, by the pidfd that `CLONE_PIDFD` gave if there is one and the host can use it.
    pub fn new(pid: i32, pidfd: Option<OwnedFd>) -> Result<Self, Errno> {
        static WORKS: OnceLock<bool> = OnceLock::new();
        if let Some(pidfd) = pidfd {
            let identity = Identity::PidFd(pidfd);
            let works = *WORKS.get_or_init(|| {
                !forced::no_pidfd() && wait(&identity, libc::WNOHANG | libc::WNOWAIT).is_ok()
            });
            if works {
                return Ok(Self(identity));
            }
        }
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let done = event.as_fd().try_clone_to_owned().map_err(|_| Errno::last())?;
        thread::Builder::new()
            .name("rcluster-wait".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                while let Err(Errno::EINTR) = wait_id(libc::P_PID, pid as libc::id_t, libc::WNOWAIT) {}
                let _ = nix::unistd::write(&done, &1_u64.to_ne_bytes());
            })
            .map_err(|error| error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))?;
        Ok(Self(Identity::Pid(pid, event)))
    }

    /// Collects the child if it has ended. This and `wait` are the only code in this crate that reaps.
    ///
    /// `Ok(None)` while it still runs; `ECHILD` where somebody else has collected it.
    pub fn try_wait(&self) -> Result<Option<(Exit, Usage)>, Errno> {
        wait(&self.0, libc::WNOHANG)
    }

    /// Waits for the end of a child that is known to be ending, and collects it.
    pub fn wait(&self) -> Result<Option<(Exit, Usage)>, Errno> {
        loop {
            match wait(&self.0, 0) {
                Err(Errno::EINTR) => {}
                outcome => return outcome,
            }
        }
    }

    /// Sends `signal`; 0 only asks whether the child can be signalled. Not after it has been collected.
    pub fn kill(&self, signal: i32) -> Result<(), Errno> {
        let result = match &self.0 {
            // SAFETY: the pidfd is open for as long as `self` lives; a null siginfo means that of `kill`.
            Identity::PidFd(fd) => unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    fd.as_raw_fd(),
                    signal,
                    std::ptr::null::<libc::siginfo_t>(),
                    0,
                )
            },
            // SAFETY: kill takes any numbers; the pid is not reused before the child is collected.
            Identity::Pid(pid, _) => unsafe { libc::c_long::from(libc::kill(*pid, signal)) },
        };
        Errno::result(result).map(drop)
    }
}

fn wait(identity: &Identity, flags: i32) -> Result<Option<(Exit, Usage)>, Errno> {
    match identity {
        Identity::PidFd(fd) => wait_id(libc::P_PIDFD, fd.as_raw_fd() as libc::id_t, flags),
        Identity::Pid(pid, _) => wait_id(libc::P_PID, *pid as libc::id_t, flags),
    }
}

/// waitid(2) in the kernel's own form, which also tells what the child used.
fn wait_id(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> Result<Option<(Exit, Usage)>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `info` and `usage` are valid for writing; the id is only looked up.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            kind,
            id,
            info.as_mut_ptr(),
            libc::WEXITED | flags,
            usage.as_mut_ptr(),
        )
    };
    Errno::result(result)?;
    // SAFETY: zeroed at the start and filled by waitid: every field is initialised.
    let (pid, status, code, usage) = unsafe {
        let info = info.assume_init_ref();
        (info.si_pid(), info.si_status(), info.si_code, usage.assume_init())
    };
    let exit = if code == libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) };
    Ok((pid != 0).then(|| (exit, Usage::from(usage))))
}

impl From<libc::rusage> for Usage {
    fn from(usage: libc::rusage) -> Self {
        let microseconds = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        Self {
            user_us: microseconds(usage.ru_utime),
            system_us: microseconds(usage.ru_stime),
            max_rss_kib: usage.ru_maxrss,
            minor_faults: usage.ru_minflt,
            major_faults: usage.ru_majflt,
            blocks_in: usage.ru_inblock,
            blocks_out: usage.ru_oublock,
            voluntary_switches: usage.ru_nvcsw,
            involuntary_switches: usage.ru_nivcsw,
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Identity::PidFd(fd) => fd.as_fd(),
            Identity::Pid(_, event) => event.as_fd(),
        }
    }
}

/// Signals any process, provided that `is_same` still holds once the process is held by a pidfd.
///
/// `ESRCH` where it has gone or another has taken its pid.
pub fn signal_if(pid: i32, signal: i32, is_same: impl FnOnce() -> bool) -> Result<(), Errno> {
    // SAFETY: pidfd_open takes any numbers.
    let opened = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) });
    let pidfd = match opened {
        // SAFETY: the kernel has just made this descriptor for us, close-on-exec set.
        Ok(fd) => Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
        Err(Errno::ENOSYS | Errno::EPERM) => None,
        Err(errno) => return Err(errno),
    };
    if !is_same() {
        return Err(Errno::ESRCH);
    }
    let result = match &pidfd {
        // SAFETY: the pidfd is open during the call; a null siginfo means that of `kill`.
        Some(fd) => unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                fd.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        },
        // SAFETY: kill takes any numbers. Without pidfds the moment since `is_same` remains.
        None => unsafe { libc::c_long::from(libc::kill(pid, signal)) },
    };
    Errno::result(result).map(drop)
}
