//! What another process is doing, as the kernel tells: whether it waits for a processor, has one, or waits for
//! something else.

use std::fs;
use std::time::Duration;

/// What the first thread of a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It runs, or would if it got a processor.
    Runnable,
    /// It waits for something else in a system call, or it is stopped.
    Waiting,
}

/// What the first thread of process `pid` does now; `None` if there is no telling.
pub fn activity(pid: i32) -> Option<Activity> {
    let stat = fs::read(format!("/proc/{pid}/task/{pid}/stat")).ok()?;
    // The name before it is in parentheses, and may have some itself.
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    match stat.get(name_end + 2)? {
        b'R' => Some(Activity::Runnable),
        b'S' | b'D' | b'T' | b't' => Some(Activity::Waiting),
        _ => None,
    }
}

/// The processor time that the first thread of process `pid` has had so far; that of one that runs lags by a tick of the
/// kernel's. `None` if there is no telling.
///
/// Not the clock of the process: its other threads compile and collect garbage.
pub fn processor_time(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).ok()?;
    let nanoseconds = stat.split(' ').next()?.parse().ok()?;
    // All zeros where the kernel does not count.
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread::sleep;

    use super::*;

    #[test]
    fn one_that_sleeps_waits_and_one_that_spins_runs_and_takes_processor_time() {
        let mut sleeper = Command::new("/bin/sleep").arg("100").spawn().unwrap();
        let mut spinner = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let [asleep, spinning] = [&sleeper, &spinner].map(|child| child.id() as i32);
        sleep(Duration::from_millis(50));
        assert_eq!(activity(asleep), Some(Activity::Waiting));
        assert_eq!(activity(spinning), Some(Activity::Runnable));
        let before = [asleep, spinning].map(|pid| processor_time(pid).unwrap());
        sleep(Duration::from_millis(100));
        assert_eq!(processor_time(asleep), Some(before[0]));
        assert!(processor_time(spinning).unwrap() > before[1]);
        for child in [&mut sleeper, &mut spinner] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!((activity(asleep), processor_time(asleep)), (None, None));
    }
}
