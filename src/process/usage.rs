//! What a running process has used so far, read from /proc.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// User and system time in microseconds, peak memory in KiB, minor and major faults, blocks read and written,
/// voluntary and involuntary context switches.
pub type Live = [f64; 9];

/// Bytes in a block, as getrusage(2) counts them.
const BLOCK: f64 = 512.0;

/// Reads what `pid` has used; `None` once it has ended.
pub fn read(pid: i32) -> Option<Live> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
    parse(&stat, &status, &io, 1e6 / ticks)
}

/// The peak memory of `pid` in KiB.
pub fn peak(pid: i32) -> Option<f64> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:")
}

/// The memory of `pid` that is in the machine's, in bytes.
pub fn resident(pid: i32) -> Option<f64> {
    let pages: f64 =
        fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
    Some(pages * page as f64)
}

fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
}

fn parse(stat: &str, status: &str, io: &str, tick_us: f64) -> Option<Live> {
    let fields: Vec<f64> = stat
        .rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    let at = |index: usize| fields.get(index).copied();
    Some([
        at(10)? * tick_us,
        at(11)? * tick_us,
        field(status, "VmHWM:")?,
        at(6)?,
        at(8)?,
        field(io, "read_bytes:").unwrap_or(0.0) / BLOCK,
        field(io, "write_bytes:").unwrap_or(0.0) / BLOCK,
        field(status, "voluntary_ctxt_switches:")?,
        field(status, "nonvoluntary_ctxt_switches:")?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_memory_and_one_that_does_not_has_none() {
        let resident = resident(std::process::id() as i32).unwrap();
        assert!(resident > 500_000.0 && resident % 4096.0 == 0.0);
        assert_eq!(super::resident(i32::MAX), None);
    }

    #[test]
    fn the_fields_are_those_of_proc() {
        let stat = "42 (a b) S 1 2 3 4 5 6 70 8 90 10 11 12 13 14 20 0 1 0 777 1000 10";
        let status =
            "Name:\ta\nVmHWM:\t  512 kB\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n";
        let io = "rchar: 1\nread_bytes: 1024\nwrite_bytes: 512\n";
        let expected = [110_000.0, 120_000.0, 512.0, 70.0, 90.0, 2.0, 1.0, 3.0, 4.0];
        assert_eq!(parse(stat, status, io, 10_000.0), Some(expected));
        assert_eq!(parse(stat, "State: Z\n", io, 10_000.0), None);
    }
}
