//! The limit: a bare loop of posix_spawn and wait, without Node. `std::process::Command` is posix_spawn on Linux.
//!
//! argv: how many at a time, for how many seconds. Prints the figures of `fixtures/rate.cjs` and, in milliseconds,
//! how long a call takes as those of `fixtures/spawn_block.cjs`.
#![allow(clippy::print_stdout, missing_docs)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::wait;

fn spawn() -> Duration {
    let started = Instant::now();
    let child =
        Command::new("/bin/true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let taken = started.elapsed();
    // Collected by `wait` below, whichever ends first.
    drop(child.expect("posix_spawn"));
    taken
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<f64>().expect("a number"));
    let concurrency = args.next().unwrap_or(1.0) as usize;
    let length = Duration::from_secs_f64(args.next().unwrap_or(1.0));
    let started = Instant::now();
    let (mut running, mut ended) = (0_usize, 0_u32);
    let mut calls = Vec::new();
    while started.elapsed() < length {
        while running < concurrency {
            calls.push(spawn());
            running += 1;
        }
        wait().expect("wait");
        running -= 1;
        ended += 1;
    }
    let rate = f64::from(ended) / started.elapsed().as_secs_f64();
    while running > 0 {
        wait().expect("wait");
        running -= 1;
    }
    calls.sort_unstable();
    let quantile = |share: f64| calls[((calls.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(r#"{{"children":{rate},"call p50":{},"call p99":{}}}"#, quantile(0.5), quantile(0.99));
}
