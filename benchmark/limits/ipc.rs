//! The limit of messages, without Node: a byte back and forth between two processes by a socket pair, and by the
//! ring with the sleeper woken over the socket; small messages one way through the ring.
//!
//! argv: 'socket' or 'ring', for how many seconds. Prints the figures of `fixtures/ipc_parent.cjs`.
#![allow(clippy::print_stdout, missing_docs)]

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::time::{Duration, Instant};

use nix::unistd::{ForkResult, fork};
use rcluster::ipc::ring::{Place, Ring};

const MESSAGE: &[u8] = b"{\"i\":1,\"a\":\"hello\",\"b\":true}\n";

/// One end: a ring, and a socket to wake and be woken.
struct End {
    ring: Ring,
    socket: UnixStream,
    bytes: Vec<u8>,
}

impl End {
    fn send(&mut self, mut message: &[u8]) {
        while !message.is_empty() {
            let count = self.ring.producer.push(message, Place::Next).expect("ring");
            message = &message[count..];
            if self.ring.producer.must_wake() {
                self.socket.write_all(b"\n").unwrap_or_else(|_| exit(0));
            }
        }
    }

    fn receive(&mut self) -> &[u8] {
        self.bytes.clear();
        while self.ring.consumer.pop(1 << 16, &mut self.bytes).expect("ring") == 0 {
            if self.ring.consumer.sleep().expect("ring") {
                // The other end has gone once it has its figures.
                self.socket.read_exact(&mut [0]).unwrap_or_else(|_| exit(0));
            }
        }
        &self.bytes
    }
}

/// How often `round` can be run in the time, and the median of how long it takes, in microseconds.
fn measure(length: Duration, mut round: impl FnMut()) -> (f64, f64) {
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < length {
        let before = Instant::now();
        round();
        times.push(before.elapsed().as_secs_f64() * 1e6);
    }
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    (rate, times[times.len() / 2])
}

fn by_socket(length: Duration) -> (f64, f64) {
    let (mut ours, mut theirs) = UnixStream::pair().expect("socketpair");
    // SAFETY: there is one thread, and the child does nothing but read and write.
    if let ForkResult::Child = unsafe { fork() }.expect("fork") {
        drop(ours);
        let mut byte = [0];
        while theirs.read_exact(&mut byte).is_ok() && theirs.write_all(&byte).is_ok() {}
        exit(0);
    }
    drop(theirs);
    measure(length, || {
        ours.write_all(b"x").expect("write");
        ours.read_exact(&mut [0]).expect("read");
    })
}

fn by_ring(length: Duration, is_one_way: bool) -> (f64, f64) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let (ring, fd): (Ring, OwnedFd) = Ring::create().expect("ring");
    // SAFETY: there is one thread, and the child does nothing but read and write.
    if let ForkResult::Child = unsafe { fork() }.expect("fork") {
        drop(ours);
        let mut end = End { ring: Ring::open(fd.as_fd()).expect("ring"), socket: theirs, bytes: Vec::new() };
        loop {
            let last = end.receive().last().copied();
            if !is_one_way || last == Some(b'?') {
                end.send(MESSAGE);
            }
        }
    }
    drop(theirs);
    let mut end = End { ring, socket: ours, bytes: Vec::new() };
    measure(length, || {
        if is_one_way {
            (1..1000).for_each(|_| end.send(MESSAGE));
            end.send(b"?");
        } else {
            end.send(MESSAGE);
        }
        end.receive();
    })
}

fn main() {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap_or_default();
    let length = Duration::from_secs_f64(args.next().and_then(|arg| arg.parse().ok()).unwrap_or(1.0));
    if kind == "socket" {
        let (rate, median) = by_socket(length);
        println!("{{\"round trip p50\":{median},\"round trips\":{rate}}}");
    } else {
        let (rate, median) = by_ring(length, false);
        let one_way = by_ring(length, true).0 * 1000.0;
        println!("{{\"round trip p50\":{median},\"round trips\":{rate},\"one way\":{one_way}}}");
    }
}
