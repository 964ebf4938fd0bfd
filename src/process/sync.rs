//! Running a command to its end on the calling thread, without an event loop.
//!
//! Touches nothing but the child it starts: waits on that child's own pidfd, and on its pipes, so children that
//! Node or the registry look after do not notice.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};

use super::spawn::{self, Command, Running};
use crate::error::OsResult;
use crate::sys::clone::Cloned;
use crate::sys::pidfd::{Exit, PidFd};

/// Outputs are read into blocks of this size. `maxBuffer` is looked at after each read, as in Node, so the size
/// decides how much more than that is kept.
const BLOCK: usize = 64 * 1024;

/// What ends the child early.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time the child may take.
    pub timeout: Option<Duration>,
    /// Bytes it may write, all pipes together.
    pub max_output: Option<f64>,
    /// Signal sent where it exceeds one of them.
    pub kill_signal: i32,
}

/// How the run went.
#[derive(Debug)]
pub struct Finished {
    /// Process id the child had.
    pub pid: i32,
    /// How it ended; unknown where somebody else collected it.
    pub exit: Option<Exit>,
    /// `ETIMEDOUT`, `ENOBUFS`, the errno of a failed exec, or what went wrong on a pipe.
    pub error: Option<Errno>,
    /// The child gave up before its exec, doing this; it counts as never started.
    pub failed_step: Option<i32>,
    /// What was read, by slot; `None` for slots that are no pipe or are written to.
    pub output: Vec<Option<Vec<u8>>>,
}

/// One pipe, seen from this side. `end` is given up when there is nothing more to do on it.
struct Pipe<'a> {
    slot: usize,
    end: Option<OwnedFd>,
    work: Work<'a>,
}

enum Work<'a> {
    Write { rest: &'a [u8], done: bool },
    Read { data: Vec<u8>, len: usize },
}

impl Pipe<'_> {
    /// What to wait for on this pipe; `None` where it is done with.
    fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let end = self.end.as_ref()?.as_fd();
        match self.work {
            Work::Write { done: true, .. } => None,
            Work::Write { .. } => Some((end, PollFlags::POLLOUT)),
            Work::Read { .. } => Some((end, PollFlags::POLLIN)),
        }
    }

    /// Moves as many bytes as one system call can. Returns how many were read.
    fn advance(&mut self) -> Result<usize, Errno> {
        let Some(end) = &self.end else { return Ok(0) };
        let fd = end.as_raw_fd();
        let outcome = match &mut self.work {
            Work::Write { rest, done } => write_some(fd, rest, done).map(|()| 0),
            Work::Read { data, len } => {
                if data.len() == *len {
                    data.resize(*len + BLOCK, 0);
                }
                match recv(fd, &mut data[*len..], MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => {
                        self.end = None;
                        Ok(0)
                    }
                    Ok(count) => {
                        *len += count;
                        Ok(count)
                    }
                    Err(errno) => Err(errno),
                }
            }
        };
        match outcome {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            Err(errno) => {
                self.end = None;
                Err(errno)
            }
            Ok(count) => Ok(count),
        }
    }
}

/// Writes what fits; after the last byte tells the child that there is no more. The descriptor stays open for a
/// child that writes to its stdin.
fn write_some(fd: i32, rest: &mut &[u8], done: &mut bool) -> Result<(), Errno> {
    if !rest.is_empty() {
        let count = send(fd, rest, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?;
        *rest = &rest[count..];
    }
    if rest.is_empty() {
        *done = true;
        match shutdown(fd, Shutdown::Write) {
            // The child has closed its end already.
            Err(Errno::ENOTCONN) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

struct Run<'a> {
    pidfd: PidFd,
    pipes: Vec<Pipe<'a>>,
    limits: Limits,
    deadline: Option<Instant>,
    total: u64,
    /// Why it was killed. Comes before an error on a pipe, as in Node.
    error: Option<Errno>,
    pipe_error: Option<Errno>,
    exit: Option<Exit>,
    has_ended: bool,
}

impl Run<'_> {
    fn run_out(&mut self) {
        // Mostly there is room at once, and there is an end of file to be sent.
        for index in 0..self.pipes.len() {
            if matches!(self.pipes[index].work, Work::Write { .. }) {
                self.advance(index);
            }
        }
        while !self.has_ended || self.pipes.iter().any(|pipe| pipe.interest().is_some()) {
            self.step();
        }
    }

    /// Waits for something to happen and deals with it.
    fn step(&mut self) {
        let mut fds = Vec::with_capacity(self.pipes.len() + 1);
        let mut indices = Vec::with_capacity(self.pipes.len());
        for (index, pipe) in self.pipes.iter().enumerate() {
            if let Some((fd, flags)) = pipe.interest() {
                fds.push(PollFd::new(fd, flags));
                indices.push(index);
            }
        }
        if !self.has_ended {
            fds.push(PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN));
        }
        // Fails on a signal only: every descriptor is open.
        let _ = poll(&mut fds, self.time_left());
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);

        for (&index, &is_ready) in indices.iter().zip(&ready) {
            if is_ready {
                self.advance(index);
            }
        }
        if !self.has_ended && ready.get(indices.len()) == Some(&true) {
            self.collect();
        }
        if !self.has_ended && self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.kill(Errno::ETIMEDOUT);
        }
    }

    /// Time until the deadline, in whole milliseconds and not less.
    fn time_left(&self) -> PollTimeout {
        let Some(deadline) = self.deadline.filter(|_| !self.has_ended) else { return PollTimeout::NONE };
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = left.as_micros().div_ceil(1000);
        PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
    }

    fn advance(&mut self, index: usize) {
        match self.pipes[index].advance() {
            Err(errno) => {
                self.pipe_error.get_or_insert(errno);
            }
            Ok(count) => {
                self.total += count as u64;
                if count > 0 && self.limits.max_output.is_some_and(|max| self.total as f64 > max) {
                    self.kill(Errno::ENOBUFS);
                }
            }
        }
    }

    fn collect(&mut self) {
        match self.pidfd.try_wait() {
            Ok(None) => return,
            Ok(Some((exit, _usage))) => self.exit = Some(exit),
            Err(errno) => {
                self.error.get_or_insert(errno);
            }
        }
        self.has_ended = true;
    }

    /// Sends the signal of the limits and stops listening; the end of the child is still waited for.
    fn kill(&mut self, reason: Errno) {
        self.error.get_or_insert(reason);
        if !self.has_ended
            && let Err(errno) = self.pidfd.kill(self.limits.kill_signal)
            && errno != Errno::ESRCH
        {
            // A signal the kernel does not take.
            self.error = Some(errno);
            let _ = self.pidfd.kill(Signal::SIGKILL as i32);
        }
        for pipe in &mut self.pipes {
            pipe.end = None;
        }
        self.deadline = None;
    }
}

/// Runs `command` until it has ended and its pipes are closed. `inputs` are written to the pipes of those slots;
/// the other pipes are read.
pub fn run(command: Command, inputs: &[Option<&[u8]>], limits: Limits) -> OsResult<Finished> {
    let slots = command.stdio.len();
    let Running { child, pipes } = spawn::run(command)?;
    let Cloned { pid, pidfd, spawning } = child?;
    let pipes = pipes
        .into_iter()
        .map(|(slot, end)| Pipe {
            slot,
            end: Some(end),
            work: match inputs.get(slot) {
                Some(&Some(rest)) => Work::Write { rest, done: false },
                _ => Work::Read { data: Vec::new(), len: 0 },
            },
        })
        .collect();
    let deadline = limits.timeout.map(|timeout| Instant::now() + timeout);
    let mut run = Run {
        pidfd,
        pipes,
        limits,
        deadline,
        total: 0,
        error: None,
        pipe_error: None,
        exit: None,
        has_ended: false,
    };
    run.run_out();
    // The child is gone, so this does not wait; asked now, not earlier, to spare one wake-up.
    let failure = spawning.settled().err();
    let mut output = vec![None; slots];
    for pipe in run.pipes {
        if let Work::Read { mut data, len } = pipe.work {
            data.truncate(len);
            output[pipe.slot] = Some(data);
        }
    }
    Ok(Finished {
        pid,
        exit: run.exit,
        error: failure.as_ref().map(|failure| failure.errno).or(run.error).or(run.pipe_error),
        failed_step: failure.map(|failure| failure.step),
        output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spawn::Stdio;
    use crate::sys::clone::ExecPlan;

    const NO_LIMITS: Limits = Limits { timeout: None, max_output: None, kill_signal: libc::SIGTERM };

    fn shell(script: &str) -> Command {
        Command {
            file: b"/bin/sh".to_vec(),
            plan: ExecPlan { args: format!("sh\0-c\0{script}\0").into_bytes(), ..ExecPlan::default() },
            stdio: vec![Stdio::Pipe; 3],
        }
    }

    #[test]
    fn input_reaches_the_child_and_both_outputs_come_back() {
        let input = vec![b'x'; 1_000_000];
        let inputs = [Some(&input[..])];
        let finished = run(shell("cat; echo done >&2; exit 3"), &inputs, NO_LIMITS).unwrap();
        assert_eq!(finished.exit, Some(Exit::Code(3)));
        assert_eq!(finished.error, None);
        assert_eq!(finished.output[0], None);
        assert_eq!(finished.output[1].as_deref(), Some(&input[..]));
        assert_eq!(finished.output[2].as_deref(), Some(&b"done\n"[..]));
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed() {
        let limits = Limits { timeout: Some(Duration::from_millis(30)), ..NO_LIMITS };
        let finished = run(shell("echo early; sleep 10"), &[Some(b"")], limits).unwrap();
        assert_eq!(finished.error, Some(Errno::ETIMEDOUT));
        assert_eq!(finished.exit, Some(Exit::Signal(libc::SIGTERM)));
        assert_eq!(finished.output[1].as_deref(), Some(&b"early\n"[..]));
    }

    #[test]
    fn a_child_that_writes_too_much_is_killed() {
        let limits = Limits { max_output: Some(100_000.0), kill_signal: libc::SIGKILL, ..NO_LIMITS };
        let finished = run(shell("exec yes"), &[Some(b"")], limits).unwrap();
        assert_eq!(finished.error, Some(Errno::ENOBUFS));
        assert_eq!(finished.exit, Some(Exit::Signal(libc::SIGKILL)));
        let kept = finished.output[1].as_ref().map_or(0, Vec::len);
        assert!(kept > 100_000 && kept <= 100_000 + BLOCK, "{kept}");
    }

    #[test]
    fn input_nobody_reads_is_an_error_but_not_the_end() {
        let input = vec![b'x'; 3_000_000];
        let finished = run(shell("exec 0<&-; echo fine"), &[Some(&input)], NO_LIMITS).unwrap();
        assert_eq!(finished.error, Some(Errno::EPIPE));
        assert_eq!(finished.exit, Some(Exit::Code(0)));
        assert_eq!(finished.output[1].as_deref(), Some(&b"fine\n"[..]));
    }

    #[test]
    fn a_failed_exec_is_told_from_a_child_that_fails() {
        let path = std::env::temp_dir().join(format!("rcluster-not-a-program-{}", std::process::id()));
        std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        let mut command = shell("true");
        command.file = path.as_os_str().as_encoded_bytes().to_vec();
        let finished = run(command, &[Some(b"")], NO_LIMITS).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(finished.failed_step, Some(0));
        assert_eq!(finished.error, Some(Errno::ENOENT));
    }
}
