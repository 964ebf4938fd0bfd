//! The child's life from the clone to the exec: the no-allocation zone.
//!
//! It shares its parent's memory and thread pointer, and the parent runs on. So: raw system calls only (libc's
//! write `errno` into thread-local storage shared with the parent's thread), no allocation, no lock, no panic,
//! and nothing written but what `Prepared` sets aside for it.

use std::ffi::{CStr, c_int, c_void};
use std::os::fd::RawFd;

use nix::errno::Errno;

use super::plan::{Prepared, Step};
use crate::sys::raw::syscall;
use crate::sys::signals::{SIGSET_SIZE, set_mask};

const SIGNALS: usize = 64;
const EXIT_NOT_EXECUTED: usize = 127;
const IOPRIO_WHO_PROCESS: usize = 1;
/// The errno, then the step, as the parent reads them.
pub(super) const REPORT_SIZE: usize = 2 * size_of::<i32>();

/// What `clone` calls in the child.
pub(super) extern "C" fn main(arg: *mut c_void) -> c_int {
    let prepared = arg.cast::<Prepared>();
    // SAFETY: the parent keeps the plan alive and untouched until this process has exec'd or ended; the fields
    // written here (`sources`, `shell_argv`, `status`) are read by nobody else.
    unsafe {
        let report = [prepare_and_exec(&mut *prepared), (*prepared).step as i32];
        syscall(libc::SYS_write, [(*prepared).status as usize, report.as_ptr() as usize, REPORT_SIZE, 0, 0]);
        loop {
            syscall(libc::SYS_exit_group, [EXIT_NOT_EXECUTED, 0, 0, 0, 0]);
        }
    }
}

/// Evaluates a raw system call; leaves the function with its errno where it failed.
macro_rules! check {
    ($nr:expr $(, $arg:expr)*) => {{
        let given = [$($arg as usize),*];
        let mut args = [0_usize; 5];
        let mut at = 0;
        while at < given.len() {
            args[at] = given[at];
            at += 1;
        }
        let result = syscall($nr, args);
        if result < 0 {
            return -result as i32;
        }
        result
    }};
}

/// Sets the child up, in libuv's order, then execs; returns the errno of what failed.
///
/// # Safety
/// Only in the child, between the clone and the exec.
unsafe fn prepare_and_exec(prepared: &mut Prepared) -> i32 {
    // SAFETY: raw system calls on memory the plan owns; see the head of this file.
    unsafe {
        reset_signal_dispositions();
        if prepared.plan.detached {
            check!(libc::SYS_setsid, 0);
        }
        if (prepared.status as usize) <= prepared.sources.len().max(2) {
            // Out of the way, or placing a descriptor there would report the exec too early.
            let lowest = prepared.sources.len().max(3);
            prepared.status =
                check!(libc::SYS_fcntl, prepared.status, libc::F_DUPFD_CLOEXEC, lowest) as RawFd;
        }
        let errno = place_descriptors(&mut prepared.sources);
        if errno != 0 {
            return errno;
        }
        let errno = restrict(prepared);
        if errno != 0 {
            return errno;
        }
        if let Some(cwd) = &prepared.plan.cwd {
            check!(libc::SYS_chdir, cwd.as_ptr());
        }
        let errno = change_user(prepared);
        if errno != 0 {
            return errno;
        }
        if prepared.plan.die_with_parent {
            // After the change of user, which clears it. A parent that died before this call is missed by the
            // kernel, and seen by us.
            prepared.step = Step::DieWithParent;
            check!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if syscall(libc::SYS_getppid, [0; 5]) as u32 != prepared.parent {
                return libc::ESRCH;
            }
            prepared.step = Step::Exec;
        }
        set_mask(0);
        exec(prepared)
    }
}

/// Sets every signal to its default: an ignored one would stay ignored across the exec, and Node ignores SIGPIPE.
///
/// # Safety
/// Only in the child: dispositions are shared by the threads of a process.
unsafe fn reset_signal_dispositions() {
    // The kernel's own struct sigaction: all zero is SIG_DFL, no flags, empty mask.
    let default = [0_u64; 4];
    for signal in 1..=SIGNALS {
        // SAFETY: points to a kernel sigaction; SIGKILL and SIGSTOP are refused, harmlessly.
        unsafe { syscall(libc::SYS_rt_sigaction, [signal, default.as_ptr() as usize, 0, SIGSET_SIZE, 0]) };
    }
}

/// Moves each source to its number; returns the errno of what failed, or 0.
///
/// # Safety
/// Only in the child.
unsafe fn place_descriptors(sources: &mut [RawFd]) -> i32 {
    let count = sources.len();
    // SAFETY: raw system calls on descriptors of the child's own table.
    unsafe {
        // First lift every source that lies below its own slot out of the way: a dup onto a lower slot would
        // otherwise overwrite it before its turn (stdout and stderr swapped, say).
        for (slot, source) in sources.iter_mut().enumerate() {
            if *source >= 0 && (*source as usize) < slot {
                *source = check!(libc::SYS_fcntl, *source, libc::F_DUPFD_CLOEXEC, count) as RawFd;
            }
        }
        for (slot, &source) in sources.iter().enumerate() {
            if source < 0 {
                if slot <= 2 {
                    let flags = if slot == 0 { libc::O_RDONLY } else { libc::O_RDWR };
                    let null = check!(libc::SYS_openat, libc::AT_FDCWD, c"/dev/null".as_ptr(), flags, 0);
                    if null as usize != slot {
                        check!(libc::SYS_dup3, null, slot, 0);
                        syscall(libc::SYS_close, [null as usize, 0, 0, 0, 0]);
                    }
                }
                continue;
            }
            if source as usize == slot {
                // Node's libuv marks 0 to 2 close-on-exec in its own process.
                check!(libc::SYS_fcntl, slot, libc::F_SETFD, 0);
            } else {
                check!(libc::SYS_dup3, source, slot, 0);
            }
            if slot <= 2 {
                // Plain programs fail with EAGAIN on a non-blocking stdio; the flag lives on the shared description.
                let flags = check!(libc::SYS_fcntl, slot, libc::F_GETFL, 0) as c_int;
                if flags & libc::O_NONBLOCK != 0 {
                    check!(libc::SYS_fcntl, slot, libc::F_SETFL, flags & !libc::O_NONBLOCK);
                }
            }
        }
    }
    0
}

/// Applies what Node has no option for; before the change of user, which may take the right to it away.
///
/// # Safety
/// Only in the child, after the descriptors are placed.
unsafe fn restrict(prepared: &mut Prepared) -> i32 {
    let Prepared { plan, step, sources, .. } = prepared;
    // SAFETY: raw system calls on memory the plan owns.
    unsafe {
        if let Some(path) = &plan.cgroup_procs {
            *step = Step::Cgroup;
            let errno = write_file(path, c"0");
            if errno != 0 {
                return errno;
            }
        }
        if let Some(score) = &plan.oom_score_adj {
            *step = Step::OomScoreAdj;
            let errno = write_file(c"/proc/self/oom_score_adj", score);
            if errno != 0 {
                return errno;
            }
        }
        if let Some(nice) = plan.nice {
            *step = Step::Nice;
            check!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice);
        }
        if let Some(priority) = plan.io_priority {
            *step = Step::IoPriority;
            check!(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority);
        }
        if !plan.affinity.is_empty() {
            *step = Step::Affinity;
            check!(libc::SYS_sched_setaffinity, 0, size_of_val(&plan.affinity[..]), plan.affinity.as_ptr());
        }
        if let Some(mask) = plan.umask {
            syscall(libc::SYS_umask, [mask as usize, 0, 0, 0, 0]);
        }
        if plan.close_fds {
            *step = Step::CloseFds;
            // Marked, not closed: the status pipe must outlive this.
            check!(libc::SYS_close_range, sources.len().max(3), u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        }
        // Last: a low limit must not hinder the steps before.
        for limit in &plan.limits {
            *step = Step::Limits;
            let value = [limit.soft, limit.hard];
            check!(libc::SYS_prlimit64, 0, limit.resource, value.as_ptr(), 0);
        }
        *step = Step::Exec;
    }
    0
}

/// Writes `text` to an existing file in one call; returns the errno of what failed, or 0.
///
/// # Safety
/// Only in the child.
unsafe fn write_file(path: &CStr, text: &CStr) -> i32 {
    // SAFETY: raw system calls on C strings that outlive them.
    unsafe {
        let fd = check!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC, 0);
        let mut length = 0;
        while *text.as_ptr().add(length) != 0 {
            length += 1;
        }
        let written = syscall(libc::SYS_write, [fd as usize, text.as_ptr() as usize, length, 0, 0]);
        syscall(libc::SYS_close, [fd as usize, 0, 0, 0, 0]);
        if written < 0 { -written as i32 } else { 0 }
    }
}

/// Becomes the user and groups asked for.
///
/// # Safety
/// Only in the child: by raw system call they concern one thread, which here is the process.
unsafe fn change_user(prepared: &mut Prepared) -> i32 {
    let Prepared { plan, step, .. } = prepared;
    // SAFETY: raw system calls on memory the plan owns.
    unsafe {
        if let Some(groups) = &plan.groups {
            *step = Step::Groups;
            check!(libc::SYS_setgroups, groups.len(), groups.as_ptr());
            *step = Step::Exec;
        } else if plan.uid.is_some() || plan.gid.is_some() {
            // As libuv: it fails without the right to, and is then let be.
            syscall(libc::SYS_setgroups, [0; 5]);
        }
        if let Some(gid) = plan.gid {
            check!(libc::SYS_setgid, gid);
        }
        if let Some(uid) = plan.uid {
            check!(libc::SYS_setuid, uid);
        }
    }
    0
}

/// Tries the candidates as execvp(3) does; returns the errno of its failure.
///
/// # Safety
/// Only in the child, last.
unsafe fn exec(prepared: &mut Prepared) -> i32 {
    let mut denied = false;
    let mut last = Errno::ENOENT as i32;
    for candidate in &prepared.plan.candidates {
        let (path, argv, envp) = (candidate.as_ptr(), prepared.argv.as_ptr(), prepared.envp.as_ptr());
        // SAFETY: both vectors end in a null pointer and point into strings the plan owns.
        last =
            -unsafe { syscall(libc::SYS_execve, [path as usize, argv as usize, envp as usize, 0, 0]) } as i32;
        if last == libc::ENOEXEC {
            prepared.shell_argv[1] = path;
            let (shell, argv) = (prepared.shell_argv[0], prepared.shell_argv.as_ptr());
            // SAFETY: as above.
            return -unsafe { syscall(libc::SYS_execve, [shell as usize, argv as usize, envp as usize, 0, 0]) }
                as i32;
        }
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return last,
        }
    }
    if denied { libc::EACCES } else { last }
}
