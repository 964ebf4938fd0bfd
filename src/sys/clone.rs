//! Starting a program without copying the parent's memory and without waiting for it.
//!
//! `clone(CLONE_VM)` without `CLONE_VFORK`: parent and child run at once in one address space until the child
//! has exec'd. This file is the no-allocation zone: between the clone and the exec the child makes raw system
//! calls only (libc's write `errno` into thread-local storage it shares with the parent's thread), allocates
//! nothing, takes no lock, and never returns into the caller's code. All it needs lies in `ExecPlan`, prepared
//! beforehand, and the plan and the stack stay alive until `Spawning::settled` has seen the exec.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::pidfd::PidFd;
use super::raw::syscall;
use crate::error::{Named, OsError, OsResult};

const STACK_SIZE: usize = 64 * 1024;
const STACKS_KEPT: usize = 16;
const SIGNALS: usize = 64;
/// The kernel's `sigset_t`, smaller than libc's.
const SIGSET_SIZE: usize = 8;
const EXIT_NOT_EXECUTED: usize = 127;

/// What becomes of one descriptor of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildFd {
    /// `/dev/null` for descriptors 0 to 2, closed above.
    Ignore,
    /// A copy of this descriptor of the parent.
    From(RawFd),
}

/// Everything the child needs, ready before the clone.
#[derive(Debug, Default)]
pub struct ExecPlan {
    /// Paths to try in order, as execvp(3) does with the child's PATH.
    pub candidates: Vec<CString>,
    /// Argument strings, each ending in NUL, one after the other.
    pub args: Vec<u8>,
    /// Environment strings `NAME=value`, each ending in NUL, one after the other.
    pub env: Vec<u8>,
    /// Working directory, `None` for the parent's.
    pub cwd: Option<CString>,
    /// The child's descriptors, by number.
    pub stdio: Vec<ChildFd>,
    /// Make it the leader of a new session.
    pub detached: bool,
    /// User to become.
    pub uid: Option<u32>,
    /// Group to become.
    pub gid: Option<u32>,
}

/// The plan as the child reads it: pointers into vectors that nobody touches until the exec is known.
struct Prepared {
    plan: ExecPlan,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    /// `/bin/sh`, the script, the arguments: what execvp(3) runs when a file is no program but a script.
    shell_argv: Vec<*const c_char>,
    /// Where each descriptor comes from; -1 for none. The child renumbers it.
    sources: Vec<RawFd>,
    /// The child's end of the status pipe, which its exec or death closes.
    status: RawFd,
    /// Written by the child before it gives up: the errno, positive; 0 after a successful exec.
    failure: AtomicI32,
}

/// Points at each NUL-ended string in `strings`, with a null pointer at the end.
fn pointers(strings: &[u8]) -> Vec<*const c_char> {
    let mut result = Vec::with_capacity(32);
    let mut start = 0;
    while start < strings.len() {
        result.push(strings[start..].as_ptr().cast());
        start += strings[start..].iter().position(|&byte| byte == 0).map_or(strings.len(), |end| end + 1);
    }
    result.push(ptr::null());
    result
}

impl Prepared {
    fn new(mut plan: ExecPlan, status: RawFd) -> Box<Self> {
        for strings in [&mut plan.args, &mut plan.env] {
            if strings.last().is_some_and(|&last| last != 0) {
                strings.push(0);
            }
        }
        let argv = pointers(&plan.args);
        let envp = pointers(&plan.env);
        let mut shell_argv = vec![c"/bin/sh".as_ptr(), ptr::null()];
        shell_argv.extend_from_slice(argv.get(1..).unwrap_or(&[ptr::null()]));
        let sources = plan
            .stdio
            .iter()
            .map(|slot| match *slot {
                ChildFd::Ignore => -1,
                ChildFd::From(fd) => fd,
            })
            .collect();
        Box::new(Self { plan, argv, envp, shell_argv, sources, status, failure: AtomicI32::new(0) })
    }
}

/// A stack for a child to run on until its exec.
struct Stack(ptr::NonNull<c_void>);

// SAFETY: the mapping belongs to whoever holds the `Stack`; it is tied to no thread.
unsafe impl Send for Stack {}

static STACKS: Mutex<Vec<Stack>> = Mutex::new(Vec::new());

impl Stack {
    /// Takes a kept stack or maps a new one. Reuse saves a mmap, a munmap and the page faults of each spawn.
    fn take() -> OsResult<Self> {
        if let Some(stack) = STACKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop() {
            return Ok(stack);
        }
        // SAFETY: a new anonymous mapping; it touches no existing memory.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                STACK_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(OsError::new("mmap", Errno::last()));
        }
        ptr::NonNull::new(base).map(Self).ok_or(OsError::new("mmap", Errno::ENOMEM))
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping, from which the stack grows down.
        unsafe { self.0.as_ptr().byte_add(STACK_SIZE) }
    }

    /// Gives the stack back; only once no child runs on it.
    fn put_back(self) {
        let mut kept = STACKS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() < STACKS_KEPT {
            kept.push(self);
        } else {
            // SAFETY: the mapping made in `take`, which nobody uses any more.
            unsafe { libc::munmap(self.0.as_ptr(), STACK_SIZE) };
        }
    }
}

/// A child that has been cloned and may not have exec'd yet.
pub struct Spawning {
    /// Closed by the child's exec or death: readable (end of file) once the exec is known.
    status: OwnedFd,
    /// Owned through a raw pointer, because the child writes `failure` while this side holds it.
    prepared: ptr::NonNull<Prepared>,
    stack: Option<Stack>,
}

impl Spawning {
    /// Becomes readable when the outcome of the exec is known.
    pub fn status_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }

    /// Waits until the child has exec'd or given up; says why it gave up.
    ///
    /// Blocks for as long as the kernel takes for the exec, well under a millisecond as a rule.
    pub fn settled(self) -> Result<(), Errno> {
        wait_readable(self.status.as_fd());
        // SAFETY: `prepared` is live until `drop`, which runs after this.
        match unsafe { self.prepared.as_ref() }.failure.load(Ordering::Acquire) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(errno)),
        }
    }
}

fn wait_readable(fd: BorrowedFd<'_>) {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    while let Err(Errno::EINTR) = poll(&mut fds, PollTimeout::NONE) {}
}

impl Drop for Spawning {
    fn drop(&mut self) {
        wait_readable(self.status.as_fd());
        // SAFETY: made by Box::into_raw in `spawn`; end of file on `status` means the child has left this memory.
        drop(unsafe { Box::from_raw(self.prepared.as_ptr()) });
        if let Some(stack) = self.stack.take() {
            stack.put_back();
        }
    }
}

/// A cloned child.
pub struct Cloned {
    /// Its process id.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: PidFd,
    /// Its exec under way.
    pub spawning: Spawning,
}

/// Blocks every signal of this thread, even those libc keeps for itself; returns the mask before.
fn block_signals() -> u64 {
    let (all, mut before) = (u64::MAX, 0_u64);
    // SAFETY: both point to eight bytes, the size of the kernel's signal set.
    unsafe {
        syscall(
            libc::SYS_rt_sigprocmask,
            [libc::SIG_SETMASK as usize, &raw const all as usize, &raw mut before as usize, SIGSET_SIZE, 0],
        );
    }
    before
}

fn restore_signals(mask: u64) {
    // SAFETY: points to eight bytes, the size of the kernel's signal set.
    unsafe {
        syscall(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, &raw const mask as usize, 0, SIGSET_SIZE, 0]);
    }
}

/// Clones a child that carries out `plan`. Does not wait for its exec.
pub fn spawn(plan: ExecPlan) -> OsResult<Cloned> {
    let (status, child_end) = pipe2(OFlag::O_CLOEXEC).named("pipe2")?;
    let stack = Stack::take()?;
    let top = stack.top();
    let prepared = ptr::NonNull::from(Box::leak(Prepared::new(plan, child_end.as_raw_fd())));
    let mut pidfd: c_int = -1;

    // A signal handler of this process must not run in the child: it would run in shared memory.
    let mask = block_signals();
    // SAFETY: the child runs `child_main` on its own stack, in memory kept alive by `Spawning`; it uses the
    // thread pointer of this thread, and so makes raw system calls only. CLONE_PIDFD writes `pidfd`.
    let pid = unsafe {
        libc::clone(
            child_main,
            top,
            libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD,
            prepared.as_ptr().cast(),
            &raw mut pidfd,
        )
    };
    let errno = Errno::last();
    restore_signals(mask);

    drop(child_end);
    let spawning = Spawning { status, prepared, stack: Some(stack) };
    if pid < 0 {
        return Err(OsError::new("clone", errno));
    }
    // SAFETY: the kernel has just made this descriptor for us, close-on-exec set.
    let pidfd = PidFd::new(unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Cloned { pid, pidfd, spawning })
}

/// The child's life from clone to exec.
extern "C" fn child_main(arg: *mut c_void) -> c_int {
    let prepared = arg.cast::<Prepared>();
    // SAFETY: the parent keeps the plan alive and untouched until this process has exec'd or ended; the fields
    // written here (`sources`, `shell_argv`) are read by nobody else.
    unsafe {
        let errno = prepare_and_exec(&mut *prepared);
        (*prepared).failure.store(errno, Ordering::Release);
        syscall(libc::SYS_exit_group, [EXIT_NOT_EXECUTED, 0, 0, 0, 0]);
    }
    unreachable_without_unwinding()
}

fn unreachable_without_unwinding() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Evaluates a raw system call; leaves the function with its errno where it failed.
macro_rules! check {
    ($nr:expr, $($arg:expr),*) => {{
        let mut args = [0_usize; 5];
        let given = [$($arg as usize),*];
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

/// Sets the child up as libuv does, in libuv's order; returns the errno of what failed.
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
        if (prepared.status as usize) < prepared.sources.len() {
            // Out of the way too, or placing a descriptor there would report the exec too early.
            check!(libc::SYS_fcntl, prepared.status, libc::F_DUPFD_CLOEXEC, prepared.sources.len());
            syscall(libc::SYS_close, [prepared.status as usize, 0, 0, 0, 0]);
        }
        let errno = place_descriptors(&mut prepared.sources);
        if errno != 0 {
            return errno;
        }
        if let Some(cwd) = &prepared.plan.cwd {
            check!(libc::SYS_chdir, cwd.as_ptr());
        }
        if prepared.plan.uid.is_some() || prepared.plan.gid.is_some() {
            // As libuv: fails without the right to, and is then meant to.
            syscall(libc::SYS_setgroups, [0; 5]);
        }
        if let Some(gid) = prepared.plan.gid {
            check!(libc::SYS_setgid, gid);
        }
        if let Some(uid) = prepared.plan.uid {
            check!(libc::SYS_setuid, uid);
        }
        restore_signals(0);
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
        // First lift every source that lies below its own slot out of the way: a dup2 onto a lower slot would
        // otherwise overwrite it before its turn (stdout and stderr swapped, say).
        for slot in 0..count {
            let source = sources[slot];
            if source >= 0 && (source as usize) < slot {
                sources[slot] = check!(libc::SYS_fcntl, source, libc::F_DUPFD_CLOEXEC, count) as RawFd;
            }
        }
        for slot in 0..count {
            let source = sources[slot];
            if source < 0 {
                if slot > 2 {
                    continue;
                }
                let flags = if slot == 0 { libc::O_RDONLY } else { libc::O_RDWR };
                let null = check!(libc::SYS_openat, libc::AT_FDCWD, c"/dev/null".as_ptr(), flags, 0) as usize;
                if null != slot {
                    check!(libc::SYS_dup3, null, slot, 0);
                    syscall(libc::SYS_close, [null, 0, 0, 0, 0]);
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

/// Tries the candidates as execvp(3) does; returns the errno of its failure.
///
/// # Safety
/// Only in the child, last.
unsafe fn exec(prepared: &mut Prepared) -> i32 {
    let mut denied = false;
    let mut last = Errno::ENOENT as i32;
    for candidate in &prepared.plan.candidates {
        // SAFETY: both vectors end in a null pointer and point into strings the plan owns.
        last = unsafe {
            -syscall(
                libc::SYS_execve,
                [candidate.as_ptr() as usize, prepared.argv.as_ptr() as usize, prepared.envp.as_ptr() as usize, 0, 0],
            ) as i32
        };
        if last == libc::ENOEXEC {
            prepared.shell_argv[1] = candidate.as_ptr();
            // SAFETY: as above.
            last = unsafe {
                -syscall(
                    libc::SYS_execve,
                    [
                        prepared.shell_argv[0] as usize,
                        prepared.shell_argv.as_ptr() as usize,
                        prepared.envp.as_ptr() as usize,
                        0,
                        0,
                    ],
                ) as i32
            };
            return last;
        }
        match last {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return last,
        }
    }
    if denied { libc::EACCES } else { last }
}

