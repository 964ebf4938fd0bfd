//! What a child is to become, and the form in which it reads that: prepared in full before the clone.

use std::ffi::{CString, c_char};
use std::os::fd::RawFd;
use std::ptr;

/// What becomes of one descriptor of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildFd {
    /// `/dev/null` for descriptors 0 to 2, closed above.
    Ignore,
    /// A copy of this descriptor of the parent.
    From(RawFd),
}

/// A limit of the child's: see getrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// The limit in force.
    pub soft: u64,
    /// The most the child may raise it to.
    pub hard: u64,
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
    /// Supplementary groups; where absent and `uid` or `gid` is given, none, as in libuv.
    pub groups: Option<Vec<u32>>,
    /// Kill it when the thread that spawned it ends.
    pub die_with_parent: bool,
    /// Limits to set.
    pub limits: Vec<ResourceLimit>,
    /// Scheduling niceness, -20 to 19.
    pub nice: Option<i32>,
    /// I/O priority: class << 13 | level.
    pub io_priority: Option<i32>,
    /// Processors it may run on, as a bit mask; empty for the parent's.
    pub affinity: Vec<u64>,
    /// Written to /proc/self/oom_score_adj.
    pub oom_score_adj: Option<CString>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// The cgroup.procs file of the cgroup to enter.
    pub cgroup_procs: Option<CString>,
    /// Close every descriptor above those in `stdio`.
    pub close_fds: bool,
}

/// What the child was doing when it gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Step {
    /// The exec, and what Node itself asks for: descriptors, directory, session, user.
    Exec = 0,
    /// `groups`.
    Groups = 1,
    /// `die_with_parent`.
    DieWithParent = 2,
    /// `cgroup_procs`.
    Cgroup = 3,
    /// `oom_score_adj`.
    OomScoreAdj = 4,
    /// `nice`.
    Nice = 5,
    /// `io_priority`.
    IoPriority = 6,
    /// `affinity`.
    Affinity = 7,
    /// `close_fds`.
    CloseFds = 8,
    /// `limits`.
    Limits = 9,
}

/// The plan as the child reads it: pointers into vectors that nobody touches until the exec is known.
pub(super) struct Prepared {
    pub(super) plan: ExecPlan,
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
    /// `/bin/sh`, the script, the arguments: what execvp(3) runs when a file is no program but a script.
    pub(super) shell_argv: Vec<*const c_char>,
    /// Where each descriptor comes from; -1 for none. The child renumbers it.
    pub(super) sources: Vec<RawFd>,
    /// The child's end of the status pipe.
    pub(super) status: RawFd,
    /// The process that `die_with_parent` means.
    pub(super) parent: u32,
    /// What the child is doing.
    pub(super) step: Step,
}

/// Points at each NUL-ended string in `strings`, with a null pointer at the end.
fn pointers(strings: &[u8]) -> Vec<*const c_char> {
    let mut result = Vec::with_capacity(64);
    let mut start = 0;
    while let Some(length) = strings[start..].iter().position(|&byte| byte == 0) {
        result.push(strings[start..].as_ptr().cast());
        start += length + 1;
    }
    result.push(ptr::null());
    result
}

impl Prepared {
    pub(super) fn new(mut plan: ExecPlan, status: RawFd) -> Box<Self> {
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
        Box::new(Self {
            plan,
            argv,
            envp,
            shell_argv,
            sources,
            status,
            parent: std::process::id(),
            step: Step::Exec,
        })
    }
}
