//! What JavaScript may ask of a child that Node's own options cannot say.

use std::ffi::CString;

use napi_derive::napi;
use nix::errno::Errno;

use super::{Engine, process::with_registry};
use crate::process::usage;
use crate::sys::clone::{ExecPlan, ResourceLimit};

/// A limit for `SpawnExtras`.
#[napi(object)]
pub struct Rlimit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// In force; negative for no limit.
    pub soft: f64,
    /// Upper bound of it; negative for no limit.
    pub hard: f64,
}

/// Set in the child before its exec.
#[napi(object)]
pub struct SpawnExtras {
    /// Supplementary groups.
    pub groups: Option<Vec<u32>>,
    /// Killed when this process ends.
    pub die_with_parent: Option<bool>,
    /// Resource limits.
    pub limits: Option<Vec<Rlimit>>,
    /// Niceness, -20 to 19.
    pub nice: Option<i32>,
    /// I/O priority: class << 13 | level.
    pub io_priority: Option<i32>,
    /// Processors, by number.
    pub affinity: Option<Vec<u32>>,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Directory of the cgroup to enter.
    pub cgroup: Option<String>,
    /// Close what is not in `stdio`.
    pub close_fds: Option<bool>,
    /// Marks the child's descendants in their environment.
    pub mark_tree: Option<bool>,
}

const BITS: u32 = u64::BITS;

impl SpawnExtras {
    /// Writes what is asked for into the plan.
    pub(super) fn apply(self, plan: &mut ExecPlan) -> Result<(), Errno> {
        plan.groups = self.groups;
        plan.die_with_parent = self.die_with_parent.unwrap_or(false);
        plan.limits = self.limits.unwrap_or_default().iter().map(ResourceLimit::from).collect();
        plan.nice = self.nice;
        plan.io_priority = self.io_priority;
        for cpu in self.affinity.unwrap_or_default() {
            let word = (cpu / BITS) as usize;
            if plan.affinity.len() <= word {
                plan.affinity.resize(word + 1, 0);
            }
            plan.affinity[word] |= 1 << (cpu % BITS);
        }
        let c_string = |text: String| CString::new(text).map_err(|_| Errno::EINVAL);
        plan.oom_score_adj = self.oom_score_adj.map(|score| c_string(score.to_string())).transpose()?;
        plan.umask = self.umask;
        plan.cgroup_procs = self.cgroup.map(|path| c_string(format!("{path}/cgroup.procs"))).transpose()?;
        plan.close_fds = self.close_fds.unwrap_or(false);
        Ok(())
    }
}

impl From<&Rlimit> for ResourceLimit {
    fn from(limit: &Rlimit) -> Self {
        let value = |limit: f64| if limit < 0.0 { libc::RLIM_INFINITY } else { limit as u64 };
        Self { resource: limit.resource, soft: value(limit.soft), hard: value(limit.hard) }
    }
}

/// What `killTree` did.
#[napi(object)]
pub struct TreeSignalled {
    /// Processes that got the signal.
    pub pids: Vec<i32>,
    /// Processes that could not be signalled.
    pub failed: Vec<i32>,
    /// Why not: negative errnos, in the order of `failed`.
    pub errnos: Vec<i32>,
}

#[napi]
impl Engine {
    /// Signals a child and everything that came from it; null once the child has been collected.
    #[napi]
    pub fn kill_tree(&self, id: u32, signal: i32) -> Option<TreeSignalled> {
        let signalled = with_registry(self, |registry| registry.kill_tree(id, signal))??;
        let (failed, errnos) = signalled.failed.iter().map(|&(pid, errno)| (pid, -(errno as i32))).unzip();
        Some(TreeSignalled { pids: signalled.reached, failed, errnos })
    }

    /// What the child that has just been reported to have ended used: user and system time in microseconds, peak
    /// memory in KiB, minor and major faults, blocks in and out, voluntary and involuntary context switches.
    #[napi]
    pub fn last_usage(&self) -> Vec<f64> {
        let usage = self.state.last_usage.get();
        [
            usage.user_us,
            usage.system_us,
            usage.max_rss_kib,
            usage.minor_faults,
            usage.major_faults,
            usage.blocks_in,
            usage.blocks_out,
            usage.voluntary_switches,
            usage.involuntary_switches,
        ]
        .map(|count| count as f64)
        .to_vec()
    }

    /// What a running child has used so far, in the order of `lastUsage`; empty where /proc does not tell.
    #[napi]
    pub fn live_usage(&self, pid: i32) -> Vec<f64> {
        usage::read(pid).map_or_else(Vec::new, |usage| usage.to_vec())
    }

    /// This process's own peak memory in KiB: what `lastUsage` gives as peak of any child is never below it.
    #[napi]
    pub fn own_peak(&self) -> f64 {
        usage::peak(std::process::id() as i32).unwrap_or(0.0)
    }
}
