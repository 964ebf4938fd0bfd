//! A child and all that came from it: found in /proc, signalled by pidfd so that a reused pid is never hit.
//!
//! A process belongs to the tree if its chain of parents leads to the child, if its process group or session
//! was led by a member, or if it carries the child's mark in its environment. The mark finds a daemon that left
//! its session and whose parents have died; it is there only where the spawn asked for it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};

use nix::errno::Errno;

use crate::sys::pidfd::signal_if;

/// Name of the environment variable that marks a tree.
pub const MARK: &str = "RCLUSTER_TREE";

/// How often a tree that keeps growing is looked at again.
const ROUNDS: usize = 16;

/// What /proc says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub started: u64,
    /// It has ended and waits to be collected.
    pub is_zombie: bool,
}

/// Reads /proc/PID/stat. The name in parentheses may itself hold spaces and parentheses.
pub fn parse_stat(stat: &str) -> Option<Process> {
    let pid = stat.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
    Some(Process {
        pid,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        started: fields.get(19)?.parse().ok()?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// The members of `root`'s tree among `all`, without `root`; `known` are members found before, whose parents may
/// have died since, and `is_marked` says whether a process carries the tree's mark.
pub fn members(root: i32, known: &[i32], all: &[Process], is_marked: impl Fn(i32) -> bool) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let own_group = all.iter().find(|process| process.pid == root).map(|process| process.group);
    let mut next: Vec<i32> = known.iter().copied().chain([root]).collect();
    let mut known: HashSet<i32> = next.iter().copied().collect();
    let mut found: Vec<Process> = Vec::new();
    loop {
        while let Some(pid) = next.pop() {
            for &process in children.get(&pid).into_iter().flatten() {
                if known.insert(process.pid) {
                    found.push(*process);
                    next.push(process.pid);
                }
            }
        }
        for process in all {
            // A group is taken only if a member leads it: the child's own group may be its parent's.
            let led_by_member = (known.contains(&process.group)
                && (Some(process.group) != own_group || process.group == root))
                || known.contains(&process.session);
            if !known.contains(&process.pid) && (led_by_member || is_marked(process.pid)) {
                known.insert(process.pid);
                found.push(*process);
                next.push(process.pid);
            }
        }
        if next.is_empty() {
            return found;
        }
    }
}

fn snapshot() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        .filter_map(|entry| parse_stat(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect()
}

fn current(pid: i32) -> Option<Process> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// When a process started; `None` once it has gone.
pub fn started(pid: i32) -> Option<u64> {
    current(pid).map(|process| process.started)
}

/// A mark like no other: random, also after a reboot or in a container beside this one.
pub fn new_mark() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}

fn carries(pid: i32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|entry| entry == wanted.as_bytes()))
}

/// What became of the members of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signalled {
    /// Processes that got the signal.
    pub reached: Vec<i32>,
    /// Processes that could not be signalled, and why.
    pub failed: Vec<(i32, Errno)>,
}

/// Signals every member of a tree, again and again while new ones appear; `signal_root` signals its root.
///
/// The root is signalled before the others, so that it ends by the signal and not because its children have gone;
/// but after they were found, since they lose their chain of parents with it.
pub fn signal(
    root: i32,
    mark: Option<&str>,
    signal: i32,
    signal_root: impl FnOnce() -> Result<(), Errno>,
) -> Signalled {
    let mut result = Signalled::default();
    let mut record = |pid: i32, outcome: Result<(), Errno>| match outcome {
        Ok(()) => result.reached.push(pid),
        // It ended by itself in the meantime.
        Err(Errno::ESRCH) => {}
        Err(errno) => result.failed.push((pid, errno)),
    };
    let mut signal_root = Some(signal_root);
    let mut done: HashSet<(i32, u64)> = HashSet::new();
    let own = std::process::id() as i32;
    for _ in 0..ROUNDS {
        let all = snapshot();
        // Of those found before only the ones that are still the same: a reused pid leads elsewhere.
        let known: Vec<i32> = all
            .iter()
            .filter(|process| done.contains(&(process.pid, process.started)))
            .map(|process| process.pid)
            .collect();
        let found =
            members(root, &known, &all, |pid| mark.is_some_and(|mark| pid != own && carries(pid, mark)));
        let fresh: Vec<Process> = found
            .into_iter()
            .filter(|process| {
                process.pid != own && !process.is_zombie && done.insert((process.pid, process.started))
            })
            .collect();
        let root_outcome = signal_root.take().map(|signal_root| signal_root());
        if let Some(outcome) = root_outcome {
            record(root, outcome);
        } else if fresh.is_empty() {
            break;
        }
        for process in fresh {
            let is_same = || current(process.pid).is_some_and(|now| now.started == process.started);
            record(process.pid, signal_if(process.pid, signal, is_same));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process { pid, parent, group, session, started: 0, is_zombie: false }
    }

    fn pids(found: &[Process]) -> Vec<i32> {
        let mut pids: Vec<i32> = found.iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 777 1000 10";
        let parsed = parse_stat(stat).unwrap();
        assert_eq!((parsed.pid, parsed.parent, parsed.group, parsed.session), (42, 7, 8, 9));
        assert_eq!((parsed.started, parsed.is_zombie), (777, false));
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("1 (x"), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_nothing_else() {
        let all = [process(10, 1, 1, 1), process(11, 10, 1, 1), process(12, 11, 1, 1), process(20, 1, 1, 1)];
        assert_eq!(pids(&members(10, &[], &all, |_| false)), [11, 12]);
    }

    #[test]
    fn a_member_found_before_leads_on_although_its_own_parents_have_died() {
        let all = [process(10, 1, 1, 1), process(12, 1, 1, 1), process(13, 12, 1, 1)];
        assert_eq!(pids(&members(10, &[], &all, |_| false)), [0; 0]);
        assert_eq!(pids(&members(10, &[12], &all, |_| false)), [13]);
    }

    #[test]
    fn no_two_marks_are_alike() {
        let marks: HashSet<String> = (0..1000).map(|_| new_mark()).collect();
        assert!(marks.len() == 1000 && marks.iter().all(|mark| mark.len() == 32));
    }

    #[test]
    fn a_reparented_process_is_found_by_its_session_its_group_or_the_mark() {
        let all = [
            process(10, 5, 5, 5),
            process(11, 10, 11, 5),
            process(12, 1, 11, 5),
            process(13, 1, 13, 11),
            process(14, 1, 14, 14),
            process(15, 14, 14, 14),
            process(16, 5, 5, 5),
        ];
        assert_eq!(pids(&members(10, &[], &all, |_| false)), [11, 12, 13]);
        assert_eq!(pids(&members(10, &[], &all, |pid| pid == 14)), [11, 12, 13, 14, 15]);
    }
}
