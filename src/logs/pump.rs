//! The thread that moves output.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::pipe2;

use super::history::{Batch, History};
use super::lines::{Layout, Lines};
use crate::sys::wake::Wake;

/// Taken from one pipe in a turn.
const READ_SIZE: usize = 256 << 10;
/// What a worker can print before it has to wait for the thread, if the kernel allows it.
const PIPE_SIZE: i32 = 256 << 10;
const EVENTS_PER_TURN: usize = 64;
const WAKE: u64 = u64::MAX;

/// One of the two standard streams for output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

enum Command {
    Open { lines: Lines, pipe: File },
    Target { stream: Stream, file: File },
    Print { stream: Stream, text: Vec<u8> },
    Finish,
}

/// What the thread shares with its owner.
#[derive(Default)]
struct Shared {
    history: Mutex<History>,
    /// Processes whose stderr has not been read to its end.
    open: Mutex<HashSet<u32>>,
    /// Bytes that could not be written.
    dropped: AtomicU64,
    finished: Mutex<bool>,
    finishing: Condvar,
}

/// The thread, as its owner sees it. Without owner it moves what is left and ends.
pub struct Pump {
    commands: Sender<Command>,
    /// The thread's own: its descriptor goes with it, not when JavaScript's object is collected.
    wake: Weak<Wake>,
    shared: Arc<Shared>,
}

impl Pump {
    /// Starts the thread. What is printed goes to descriptors 1 and 2 until `set_target` is called.
    pub fn start(layout: Layout) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = Arc::new(Wake::new()?);
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let (commands, receiver) = unbounded();
        let shared = Arc::<Shared>::default();
        let own_wake = Arc::downgrade(&wake);
        let thread = Thread {
            epoll,
            wake,
            commands: receiver,
            shared: shared.clone(),
            layout,
            stdout: Target::new(std::io::stdout().as_fd())?,
            stderr: Target::new(std::io::stderr().as_fd())?,
            sources: HashMap::new(),
            next_source: 0,
            buffer: vec![0; READ_SIZE],
        };
        thread::Builder::new()
            .name("rcluster-logs".into())
            .spawn(move || thread.run())
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
        Ok(Self { commands, wake: own_wake, shared })
    }

    /// A pipe for what `process`, of the place `worker`, will print; this is the end to print to.
    pub fn open(&self, worker: u32, process: u32, stream: Stream) -> Result<OwnedFd, Errno> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        // Not shared with the writing end, which stays as programs expect it.
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
        if stream == Stream::Stderr {
            lock(&self.shared.open).insert(process);
        }
        self.command(Command::Open { lines: Lines::new(worker, process, stream), pipe: File::from(reader) });
        Ok(writer)
    }

    /// Opens the file that a stream goes to from now on; on failure it goes where it went.
    pub fn set_target(&self, stream: Stream, path: &str) -> Result<(), Errno> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL)))?;
        self.command(Command::Target { stream, file });
        Ok(())
    }

    /// Prints in the name of the supervisor. Never blocks.
    pub fn print(&self, stream: Stream, text: Vec<u8>) {
        self.command(Command::Print { stream, text });
    }

    /// What was printed from number `from` on, as far as it is kept; 0 for all of it.
    pub fn since(&self, from: u64) -> Batch {
        lock(&self.shared.history).since(from)
    }

    /// The end of what a process printed to stderr.
    pub fn tail(&self, process: u32) -> Vec<u8> {
        lock(&self.shared.history).tail(process).to_vec()
    }

    /// Whether all of that has been read: nobody can print there any more.
    pub fn is_read(&self, process: u32) -> bool {
        !lock(&self.shared.open).contains(&process)
    }

    /// How many bytes could not be written.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Moves what has been printed so far and ends the thread; false if that takes longer than `limit`.
    pub fn finish(&self, limit: Duration) -> bool {
        self.command(Command::Finish);
        let waiting = lock(&self.shared.finished);
        let (finished, _) = self
            .shared
            .finishing
            .wait_timeout_while(waiting, limit, |finished| !*finished)
            .unwrap_or_else(PoisonError::into_inner);
        *finished
    }

    fn command(&self, command: Command) {
        // It fails once the thread has ended, which is after `finish`.
        let _ = self.commands.send(command);
        if let Some(wake) = self.wake.upgrade() {
            wake.wake();
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.command(Command::Finish);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Where the lines of one stream go.
struct Target {
    file: File,
    /// Nobody reads it any more.
    broken: bool,
    pending: Vec<u8>,
}

impl Target {
    fn new(standard: std::os::fd::BorrowedFd<'_>) -> Result<Self, Errno> {
        let file = standard
            .try_clone_to_owned()
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EBADF)))?;
        Ok(Self { file: File::from(file), broken: false, pending: Vec::new() })
    }

    fn replace(&mut self, file: File) {
        self.file = file;
        self.broken = false;
    }

    /// Writes what is pending; returns how much of it is lost.
    fn flush(&mut self) -> usize {
        let mut written = 0;
        while written < self.pending.len() && !self.broken {
            match self.file.write(&self.pending[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody else has made the terminal or pipe we share non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut fds, PollTimeout::NONE);
                }
                Err(error) => {
                    // A full disk may have room later, a pipe without reader gets none.
                    self.broken = error.kind() == ErrorKind::BrokenPipe;
                    break;
                }
            }
        }
        let lost = self.pending.len() - written;
        self.pending.clear();
        lost
    }
}

struct Source {
    lines: Lines,
    pipe: File,
}

struct Thread {
    epoll: Epoll,
    wake: Arc<Wake>,
    commands: Receiver<Command>,
    shared: Arc<Shared>,
    layout: Layout,
    stdout: Target,
    stderr: Target,
    sources: HashMap<u64, Source>,
    next_source: u64,
    buffer: Vec<u8>,
}

impl Thread {
    fn run(mut self) {
        let mut ready = [EpollEvent::empty(); EVENTS_PER_TURN];
        loop {
            let count = self.epoll.wait(&mut ready, EpollTimeout::NONE).unwrap_or(0);
            if ready[..count].iter().any(|event| event.data() == WAKE) {
                self.wake.clear();
            }
            let finishing = self.execute_all();
            for event in &ready[..count] {
                self.read(event.data());
            }
            if finishing {
                break;
            }
            self.flush();
        }
        self.read_all();
        self.flush();
        *lock(&self.shared.finished) = true;
        self.shared.finishing.notify_all();
    }

    /// Whether that was the end.
    fn execute_all(&mut self) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open { lines, pipe } => {
                    let id = self.next_source;
                    self.next_source += 1;
                    if self.epoll.add(&pipe, EpollEvent::new(EpollFlags::EPOLLIN, id)).is_ok() {
                        self.sources.insert(id, Source { lines, pipe });
                    }
                }
                Command::Target { stream, file } => {
                    // What was printed before the change goes to the file before it.
                    self.flush();
                    self.target(stream).replace(file);
                }
                Command::Print { stream, text } => {
                    let (layout, time) = (self.layout, now());
                    let mut lines = Lines::new(0, 0, stream);
                    let pending = &mut self.target(stream).pending;
                    lines.push(&text, layout, time, pending);
                    lines.finish(layout, time, pending);
                    lock(&self.shared.history).add(0, 0, stream, time, &text);
                }
                Command::Finish => return true,
            }
        }
        false
    }

    fn target(&mut self, stream: Stream) -> &mut Target {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Reads once from a source; whether there may be more.
    fn read(&mut self, id: u64) -> bool {
        let Some(source) = self.sources.get_mut(&id) else { return false };
        let stream = source.lines.stream();
        let target = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        match source.pipe.read(&mut self.buffer) {
            Ok(count @ 1..) => {
                let (printed, time) = (&self.buffer[..count], now());
                source.lines.push(printed, self.layout, time, &mut target.pending);
                let (worker, process) = (source.lines.worker(), source.lines.process());
                lock(&self.shared.history).add(worker, process, stream, time, printed);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
            Ok(0) | Err(_) => {
                source.lines.finish(self.layout, now(), &mut target.pending);
                let _ = self.epoll.delete(&source.pipe);
                if stream == Stream::Stderr {
                    lock(&self.shared.open).remove(&source.lines.process());
                }
                self.sources.remove(&id);
                false
            }
        }
    }

    /// Reads what is in the pipes now. Somebody who goes on printing does not hold up the end.
    fn read_all(&mut self) {
        const MOST: usize = 64;
        for id in self.sources.keys().copied().collect::<Vec<_>>() {
            for _ in 0..MOST {
                if !self.read(id) {
                    break;
                }
                self.flush();
            }
        }
        let time = now();
        for source in self.sources.values_mut() {
            let target = match source.lines.stream() {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            source.lines.finish(self.layout, time, &mut target.pending);
        }
    }

    fn flush(&mut self) {
        let lost = self.stdout.flush() + self.stderr.flush();
        if lost > 0 {
            self.shared.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::logs::Format;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A pump whose stdout is a file in a directory of its own.
    fn pump(test: &str) -> (Pump, String) {
        let path = std::env::temp_dir().join(format!("rcluster-logs-{}-{test}", std::process::id()));
        let path = path.to_str().unwrap().to_owned();
        let _ = fs::remove_file(&path);
        let pump = Pump::start(Layout { format: Format::Prefix, time: false }).unwrap();
        pump.set_target(Stream::Stdout, &path).unwrap();
        (pump, path)
    }

    fn taken(path: &str) -> String {
        let text = fs::read_to_string(path).unwrap();
        fs::remove_file(path).unwrap();
        text
    }

    #[test]
    fn lines_of_two_workers_do_not_mix() {
        let (pump, path) = pump("mix");
        let mut one = File::from(pump.open(1, 1, Stream::Stdout).unwrap());
        let mut two = File::from(pump.open(2, 2, Stream::Stdout).unwrap());
        for _ in 0..100 {
            one.write_all(b"aa").unwrap();
            two.write_all(b"bbb\nb").unwrap();
            one.write_all(b"aa\n").unwrap();
        }
        drop((one, two));
        assert!(pump.finish(LIMIT));
        let text = taken(&path);
        assert_eq!(text.lines().filter(|&line| line == "1 | aaaa").count(), 100);
        assert_eq!(text.lines().filter(|line| line.starts_with("2 | ") && line.ends_with('b')).count(), 101);
        assert_eq!(text.lines().count(), 201);
    }

    #[test]
    fn what_is_printed_after_a_change_of_file_goes_to_the_new_one() {
        let (pump, path) = pump("reopen");
        pump.print(Stream::Stdout, b"before".to_vec());
        let moved = format!("{path}.1");
        // Until the file is there; only then can it be moved away.
        while fs::read(&path).unwrap_or_default().is_empty() {
            thread::yield_now();
        }
        fs::rename(&path, &moved).unwrap();
        pump.set_target(Stream::Stdout, &path).unwrap();
        pump.print(Stream::Stdout, b"after".to_vec());
        assert!(pump.finish(LIMIT));
        assert_eq!(taken(&path), "rcluster | after\n");
        assert_eq!(taken(&moved), "rcluster | before\n");
        assert_eq!(pump.set_target(Stream::Stdout, "/nonexistent/file"), Err(Errno::ENOENT));
    }

    #[test]
    fn the_end_does_not_wait_for_one_who_goes_on_printing_or_never_closes() {
        let (pump, path) = pump("end");
        let mut silent = File::from(pump.open(1, 1, Stream::Stdout).unwrap());
        silent.write_all(b"unfinished").unwrap();
        let mut noisy = File::from(pump.open(2, 2, Stream::Stdout).unwrap());
        let noise = thread::spawn(move || while noisy.write_all(&[b'\n'; 4096]).is_ok() {});
        assert!(pump.finish(LIMIT));
        // The pipe has lost its reader, so the noise ends.
        noise.join().unwrap();
        assert!(taken(&path).contains("1 | unfinished\n"));
    }

    #[test]
    fn a_full_disk_costs_the_output_and_nothing_else() {
        let (pump, path) = pump("full");
        pump.set_target(Stream::Stdout, "/dev/full").unwrap();
        pump.print(Stream::Stdout, b"lost".to_vec());
        while pump.dropped() == 0 {
            thread::yield_now();
        }
        pump.set_target(Stream::Stdout, &path).unwrap();
        pump.print(Stream::Stdout, b"kept".to_vec());
        assert!(pump.finish(LIMIT));
        assert_eq!(taken(&path), "rcluster | kept\n");
        assert_eq!(pump.since(0).records.len(), 2);
    }
}
