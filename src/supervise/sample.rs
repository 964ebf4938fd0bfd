//! What the kernel knows of a worker, from /proc.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// Seconds of processor time and bytes of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Time in user mode.
    pub user: f64,
    /// Time in the kernel.
    pub system: f64,
    /// Resident memory.
    pub rss: u64,
    /// Its state as one letter, as in proc(5); NUL where it is not known.
    pub state: char,
}

fn page_size() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096) as u64
}

/// Reads /proc/PID/stat; `None` once the process has gone.
pub fn read(pid: i32) -> Option<Sample> {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, ticks, page_size())
}

fn parse(stat: &str, ticks: f64, page: u64) -> Option<Sample> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Sample {
        user: number(11)? as f64 / ticks,
        system: number(12)? as f64 / ticks,
        rss: number(21)? * page,
        state: fields.first()?.chars().next()?,
    })
}

/// Bytes of memory, where what is shared counts by its share. Takes the kernel a while for a large process.
pub fn pss(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Where in the kernel a process waits, if it does and the kernel tells.
pub fn waits_in(pid: i32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
    (!name.is_empty() && name != "0").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_fields() {
        let stat = "42 (a) b) R 7 8 9 0 -1 4194304 1 2 3 4 250 100 7 8 20 0 1 0 777 1000 10 99";
        let sample = parse(stat, 100.0, 4096).unwrap();
        assert_eq!(sample, Sample { user: 2.5, system: 1.0, rss: 40960, state: 'R' });
        assert_eq!(parse("", 100.0, 4096), None);
    }

    #[test]
    fn this_process_has_memory_and_runs() {
        let own = std::process::id() as i32;
        let sample = read(own).unwrap();
        assert!(sample.rss > 1 << 18 && "RS".contains(sample.state));
        assert!(pss(own).is_none_or(|pss| pss > 1 << 16));
        assert_eq!(read(-1), None);
    }
}
