//! The limit of the pool, without Node: bare bytes to two threads and back through crossbeam-channel.
//!
//! argv: bytes of a task, tasks in flight, for how many seconds. Prints the figures of `fixtures/pool.cjs`.
#![allow(clippy::print_stdout, missing_docs)]

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

const THREADS: usize = 2;

type Bytes = Vec<u8>;

/// Keeps so many tasks in flight for so long; returns how many came back.
fn keep_busy(
    tasks: &Sender<Bytes>,
    results: &Receiver<Bytes>,
    sample: &[u8],
    flying: usize,
    length: Duration,
) -> f64 {
    let start = Instant::now();
    (0..flying).for_each(|_| tasks.send(sample.to_vec()).expect("threads are there"));
    let mut count = 0.0;
    while start.elapsed() < length {
        results.recv().expect("threads are there");
        tasks.send(sample.to_vec()).expect("threads are there");
        count += 1.0;
    }
    (0..flying).for_each(|_| drop(results.recv()));
    count
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let [size, flying, seconds] = [(); 3].map(|()| args.next().unwrap_or(1.0_f64));
    let (tasks, queue) = unbounded::<Bytes>();
    let (done, results) = unbounded::<Bytes>();
    for _ in 0..THREADS {
        let (queue, done) = (queue.clone(), done.clone());
        // A copy each way, as between isolates.
        thread::spawn(move || queue.iter().try_for_each(|bytes| done.send(bytes.clone())));
    }
    let sample = vec![b'x'; size as usize];
    let run = |length| keep_busy(&tasks, &results, &sample, flying as usize, Duration::from_secs_f64(length));
    run(0.2);
    let start = Instant::now();
    let rate = run(seconds) / start.elapsed().as_secs_f64();
    println!("{{\"tasks\":{rate},\"round trip\":{}}}", flying * 1e6 / rate);
}
