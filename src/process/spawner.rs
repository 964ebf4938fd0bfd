//! A thread that lives as long as the process, to spawn from.
//!
//! The kernel sends the signal of PR_SET_PDEATHSIG when the *thread* that spawned ends. A worker thread that
//! retires must not take healthy children with it, so such spawns go through here.

use std::sync::OnceLock;
use std::thread;

use crossbeam_channel::{Sender, bounded, unbounded};
use nix::errno::Errno;
use nix::unistd::{getpid, gettid};

use super::spawn::{Command, Running, run};
use crate::error::{OsError, OsResult};

type Request = (Command, Sender<OsResult<Running>>);

/// Runs a command from a thread that outlasts every other.
pub fn run_lasting(command: Command) -> OsResult<Running> {
    static SPAWNER: OnceLock<Option<Sender<Request>>> = OnceLock::new();
    if gettid() == getpid() {
        return run(command);
    }
    let gone = OsError::new("clone", Errno::EAGAIN);
    let spawner = SPAWNER.get_or_init(start).as_ref().ok_or(gone)?;
    let (reply, answer) = bounded(1);
    spawner.send((command, reply)).map_err(|_| gone)?;
    answer.recv().map_err(|_| gone)?
}

fn start() -> Option<Sender<Request>> {
    let (sender, requests) = unbounded::<Request>();
    thread::Builder::new()
        .name("rcluster-spawn".into())
        .spawn(move || {
            for (command, reply) in requests {
                // Nobody waits for the answer only where the whole process ends.
                let _ = reply.send(run(command));
            }
        })
        .ok()
        .map(|_| sender)
}
