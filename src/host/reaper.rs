//! Process 1 inherits what others leave behind, and has to collect it. Nobody's own child is collected here.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// How long an ended process is left to whoever may have started it: libuv, or another addon, collects its own
/// children within a turn of the loop.
const GRACE: Duration = Duration::from_secs(2);

/// Ended children that nobody has collected yet, and since when.
#[derive(Debug, Default)]
pub struct Reaper {
    seen: HashMap<i32, Instant>,
}

impl Reaper {
    /// Collects the orphans that have been there for a while; how many. `own` are the children of ours.
    pub fn reap(&mut self, own: &[i32], now: Instant) -> usize {
        if !has_ended_children() {
            self.seen.clear();
            return 0;
        }
        let ended = ended_children(own);
        self.seen.retain(|pid, _| ended.contains(pid));
        let mut reaped = 0;
        for pid in ended {
            let since = *self.seen.entry(pid).or_insert(now);
            if now.duration_since(since) < GRACE {
                continue;
            }
            self.seen.remove(&pid);
            let outcome = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            reaped += usize::from(matches!(outcome, Ok(status) if status != WaitStatus::StillAlive));
        }
        reaped
    }
}

/// Whether there is anything to collect at all; one system call, as a rule the only one.
fn has_ended_children() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => false,
        // nix has no name for some statuses; the child is there all the same.
        Ok(_) | Err(_) => true,
    }
}

/// Children of this process that have ended and are not in `own`.
fn ended_children(own: &[i32]) -> Vec<i32> {
    let me = std::process::id() as i32;
    // A kernel may be without the lists of children.
    children()
        .unwrap_or_else(|| numbers_in("/proc"))
        .into_iter()
        .filter(|pid| !own.contains(pid))
        .filter(|&pid| state_and_parent(pid) == Some(('Z', me)))
        .collect()
}

/// The children of all threads of this process.
fn children() -> Option<Vec<i32>> {
    let mut all = Vec::new();
    for thread in numbers_in("/proc/self/task") {
        let list = match fs::read_to_string(format!("/proc/self/task/{thread}/children")) {
            Ok(list) => list,
            // The thread has ended meanwhile, unless it is this one.
            Err(_) if thread != nix::unistd::gettid().as_raw() => continue,
            Err(_) => return None,
        };
        all.extend(list.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(all)
}

fn numbers_in(directory: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, parentheses too.
    let rest = String::from_utf8_lossy(&text[memchr::memrchr(b')', &text)? + 1..]).into_owned();
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A child that has ended and that nobody has collected.
    fn ended() -> Child {
        let child = Command::new("true").spawn().unwrap();
        while state_and_parent(child.id() as i32).map(|(state, _)| state) != Some('Z') {
            std::thread::yield_now();
        }
        child
    }

    #[test]
    fn orphans_are_collected_after_a_while_and_own_children_never() {
        let (mut own, mut orphan) = (ended(), ended());
        // Other tests' children are as good as own ones.
        let only = |reaper: &mut Reaper, now| {
            let others: Vec<i32> =
                ended_children(&[]).into_iter().filter(|&pid| pid != orphan.id() as i32).collect();
            reaper.reap(&others, now)
        };
        let mut reaper = Reaper::default();
        let start = Instant::now();
        assert_eq!(only(&mut reaper, start), 0);
        assert_eq!(only(&mut reaper, start + GRACE / 2), 0);
        assert_eq!(only(&mut reaper, start + GRACE), 1);
        assert_eq!(only(&mut reaper, start + GRACE * 4), 0);
        assert!(own.wait().unwrap().success());
        assert!(orphan.wait().is_err());
    }
}
