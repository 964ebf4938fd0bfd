//! Running a command: makes the stdio sockets, clones the child, hands back this side's ends.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::socket::sockopt::SndBuf;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair};

use super::command;
use crate::error::{Named, OsResult};
use crate::sys::clone::{self, ChildFd, Cloned, ExecPlan};
use crate::sys::fd::check_open;
use crate::sys::socket;

/// What the caller wants on one descriptor of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// `/dev/null` for 0 to 2, closed above.
    Ignore,
    /// A socket pair, its other end for the parent. A socket, not a pipe, as in libuv: both ways, and able to carry descriptors.
    Pipe,
    /// The same, as a message channel.
    Channel,
    /// The parent's descriptor of this number.
    Inherit(RawFd),
}

/// A command to run.
#[derive(Debug, Default)]
pub struct Command {
    /// Program name or path.
    pub file: Vec<u8>,
    /// The rest of the plan; `candidates` and `stdio` are filled in by `run`.
    pub plan: ExecPlan,
    /// The child's descriptors, by number.
    pub stdio: Vec<Stdio>,
}

/// Bytes that either end of a message channel may have under way by the socket; the kernel doubles it for what it needs
/// itself. By its own measure a megabyte takes five rounds of writing, waiting and reading.
const CHANNEL_BUFFER: usize = 1 << 20;

/// The outcome of `run`.
pub struct Running {
    /// The child, or why there is none.
    pub child: OsResult<Cloned>,
    /// This side's ends of the pipes, in the order of the slots; made even where the spawn failed, as Node's are.
    pub pipes: Vec<(usize, OwnedFd)>,
}

/// Starts `command`. An error is one that left no pipes behind.
pub fn run(command: Command) -> OsResult<Running> {
    let Command { file, mut plan, stdio } = command;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for (slot, entry) in stdio.iter().enumerate() {
        plan.stdio.push(match *entry {
            Stdio::Ignore => ChildFd::Ignore,
            Stdio::Inherit(fd) => ChildFd::From(fd),
            Stdio::Pipe | Stdio::Channel => {
                let (our_end, their_end) =
                    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
                        .named("socketpair")?;
                if *entry == Stdio::Channel {
                    // Where it is not allowed, the child takes us for Node.
                    let _ = socket::mark(our_end.as_fd());
                    for end in [&our_end, &their_end] {
                        // What the system allows of it.
                        let _ = setsockopt(end, SndBuf, &CHANNEL_BUFFER);
                    }
                }
                let source = ChildFd::From(their_end.as_raw_fd());
                ours.push((slot, our_end));
                theirs.push(their_end);
                source
            }
        });
    }
    let child = start(&file, plan);
    drop(theirs);
    Ok(Running { child, pipes: ours })
}

fn start(file: &[u8], mut plan: ExecPlan) -> OsResult<Cloned> {
    for entry in &plan.stdio {
        if let ChildFd::From(fd) = *entry {
            check_open(fd).named("dup3")?;
        }
    }
    let cwd = plan.cwd.as_deref().map(|cwd| Path::new(OsStr::from_bytes(cwd.to_bytes())));
    plan.candidates = command::resolve(file, &plan.env, cwd).named("execve")?;
    clone::spawn(plan)
}
