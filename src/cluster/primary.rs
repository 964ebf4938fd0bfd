//! The primary's side for its JavaScript threads: commands to the accept thread, events from it.
//!
//! There is one accept thread a process, started by the first cluster. Commands never wait for it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::socket::sockopt::SndBuf;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair};
use nix::sys::stat::fstat;

use super::acceptor::Acceptor;
use super::listener::Bound;
use super::load::Load;
use super::packet::{Kind, Packet};
use super::proxied::By;
use super::schedule::Policy;
use crate::sys::fd::with_borrowed;
use crate::sys::scm;
use crate::sys::socket::{replace, stop_listening, watch_process};
use crate::sys::thread;
use crate::sys::wake::Wake;

/// Number of a listener in this process.
pub type ListenerId = u32;
/// Number of a worker in this process, whatever its number in JavaScript.
pub type WorkerId = u32;

/// Room for hand-offs that a worker has not taken yet, in the unit of SO_SNDBUF: the kernel doubles it, and
/// takes about 768 bytes of it for each. So about 16: enough that a worker in the middle of a request does not
/// hold up the others, few enough that not many wait behind it.
const HANDOFF_BUFFER: usize = 16 * 768 / 2;

/// What a worker is called in JavaScript, and in whose: each cluster of this process counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) cluster: u32,
    pub(super) number: u32,
}

/// How `Sticky` knows the clients of a listener.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clients {
    /// Where a client's address is.
    pub by: By,
    /// How long a connection may take to say it.
    pub patience: Duration,
}

pub(super) enum Command {
    Listen { listener: ListenerId, socket: OwnedFd, policy: Policy, clients: Clients, events: Events },
    Close { listener: ListenerId },
    AddWorker { worker: WorkerId, name: Name, channel: Channel, load: Arc<Load> },
    WatchWorker { worker: WorkerId, pid: i32, process: OwnedFd },
    RemoveWorker { worker: WorkerId, crashed: bool },
    TakeBack { worker: WorkerId },
    Tune { worker: WorkerId, weight: u32, paused: bool },
    Join { listener: ListenerId, worker: WorkerId, token: Option<u32> },
    Leave { listener: ListenerId, worker: WorkerId },
    Announce { worker: WorkerId, token: u32 },
    Free { listener: ListenerId, worker: WorkerId },
    Refused { listener: ListenerId, worker: WorkerId, connection: OwnedFd },
}

/// What the accept thread tells a JavaScript thread.
#[derive(Debug)]
pub enum Event {
    /// A connection for a worker that gets its own over the message channel. It is to be answered by
    /// `free`, `refused` or the removal of the worker; until then that worker gets no other.
    Connection {
        /// Where it came in.
        listener: ListenerId,
        /// Whose it is.
        worker: WorkerId,
        /// The connection.
        connection: OwnedFd,
    },
    /// Accepting pauses for lack of some resource. Told once until it works again.
    AcceptFailed {
        /// Where it failed.
        listener: ListenerId,
        /// Why.
        errno: Errno,
    },
}

/// The way of events to one JavaScript thread.
#[derive(Debug, Clone)]
pub(super) struct Events {
    sender: Sender<Event>,
    wake: Arc<Wake>,
}

impl Events {
    /// Queues an event and wakes its loop; an environment that has ended gets none, and what it carries is closed.
    pub(super) fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            self.wake.wake();
        }
    }
}

/// Both ends of a worker's hand-off socket.
///
/// The primary keeps the worker's end too: through it, what the worker has not taken can be taken back.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) ours: OwnedFd,
    pub(super) theirs: OwnedFd,
    /// Wakes the worker for its turns.
    pub(super) bell: Wake,
}

/// The accept thread, as others see it.
struct Thread {
    commands: Sender<Command>,
    wake: Arc<Wake>,
    /// What it waits on; others only take their own descriptors out of it.
    epoll: Arc<Epoll>,
}

impl Thread {
    /// The one of this process.
    fn get() -> Result<&'static Self, Errno> {
        static THREAD: OnceLock<Result<Thread, Errno>> = OnceLock::new();
        THREAD.get_or_init(Self::start).as_ref().map_err(|&errno| errno)
    }

    fn start() -> Result<Self, Errno> {
        let (sender, receiver) = unbounded();
        let wake = Arc::new(Wake::new()?);
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let acceptor = Acceptor::new(epoll.clone(), receiver, wake.clone())?;
        thread::start("rcluster-accept", || acceptor.run())?;
        Ok(Self { commands: sender, wake, epoll })
    }

    fn send(&self, command: Command) {
        // The thread never ends, so neither does the channel.
        let _ = self.commands.send(command);
        self.wake.wake();
    }
}

fn next_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The accept thread from the side of one JavaScript thread.
pub struct Primary {
    thread: &'static Thread,
    /// The number of this cluster in the process.
    cluster: u32,
    events: Events,
    receiver: Receiver<Event>,
}

impl Primary {
    /// Starts the accept thread if this is the first.
    pub fn new() -> Result<Self, Errno> {
        let (sender, receiver) = unbounded();
        let events = Events { sender, wake: Arc::new(Wake::new()?) };
        Ok(Self { thread: Thread::get()?, cluster: next_id(), events, receiver })
    }

    /// Readable when `next_event` has something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.events.wake.as_fd()
    }

    /// Quiets `fd`; to be called before `next_event`.
    pub fn clear_wake(&self) {
        self.events.wake.clear();
    }

    /// The next event, if there is one.
    pub fn next_event(&self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// Accepts from a listening socket from now on; connections wait in the kernel until a worker joins.
    pub fn listen(&self, bound: Bound, policy: Policy, clients: Clients) -> Listening {
        let Bound { socket, path, is_ours, .. } = bound;
        let (listener, number) = (next_id(), socket.as_raw_fd());
        let events = self.events.clone();
        self.thread.send(Command::Listen { listener, socket, policy, clients, events });
        Listening { listener, number, path, is_ours, thread: self.thread }
    }

    /// Makes the hand-off socket of a worker that is about to be started, by whose `number` other workers will ask
    /// for it.
    pub fn add_worker(&self, number: u32) -> Result<NewWorker, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        setsockopt(&ours, SndBuf, &HANDOFF_BUFFER)?;
        let (load, memory) = Load::create()?;
        let (worker, load) = (next_id(), Arc::new(load));
        let bell = Wake::new()?;
        // The first that the worker finds in the socket.
        for (kind, descriptor) in [(Kind::Load, memory.as_fd()), (Kind::Bell, bell.as_fd())] {
            let packet = Packet { kind, token: 0, listener: 0 };
            scm::send(ours.as_fd(), &packet.encode(), Some(descriptor))?;
        }
        let new =
            NewWorker { worker, fd: theirs.as_raw_fd(), inode: fstat(&theirs)?.st_ino, load: load.clone() };
        let name = Name { cluster: self.cluster, number };
        self.thread.send(Command::AddWorker { worker, name, channel: Channel { ours, theirs, bell }, load });
        Ok(new)
    }

    /// Lets the accept thread see the worker's end for itself, even while JavaScript is busy.
    pub fn watch_worker(&self, worker: WorkerId, pid: i32) -> Result<(), Errno> {
        let process = watch_process(pid)?;
        self.thread.send(Command::WatchWorker { worker, pid, process });
        Ok(())
    }

    /// Forgets a worker that has ended; what it had not taken goes to others.
    ///
    /// Where workers crash again and again soon after their start, new ones are on trial for a while.
    pub fn remove_worker(&self, worker: WorkerId, crashed: bool) {
        self.thread.send(Command::RemoveWorker { worker, crashed });
    }

    /// Takes back what a worker has not taken yet.
    pub fn take_back(&self, worker: WorkerId) {
        self.thread.send(Command::TakeBack { worker });
    }

    /// Sets the share of a worker relative to the others, and whether it gets connections at all.
    pub fn tune(&self, worker: WorkerId, weight: u32, paused: bool) {
        self.thread.send(Command::Tune { worker, weight, paused });
    }

    /// Adds a worker to a listener: by its token, from its `Ready` on; without one by `Event::Connection`.
    pub fn join(&self, listener: ListenerId, worker: WorkerId, token: Option<u32>) {
        self.thread.send(Command::Join { listener, worker, token });
    }

    /// Removes a worker from a listener.
    pub fn leave(&self, listener: ListenerId, worker: WorkerId) {
        self.thread.send(Command::Leave { listener, worker });
    }

    /// The worker has told its JavaScript's primary that its server listens, and may not have told the accept thread.
    pub fn announce(&self, worker: WorkerId, token: u32) {
        self.thread.send(Command::Announce { worker, token });
    }

    /// The worker has taken the connection of an `Event::Connection`.
    pub fn free(&self, listener: ListenerId, worker: WorkerId) {
        self.thread.send(Command::Free { listener, worker });
    }

    /// The worker has not taken the connection of an `Event::Connection`; it goes to another.
    pub fn refused(&self, listener: ListenerId, worker: WorkerId, connection: OwnedFd) {
        self.thread.send(Command::Refused { listener, worker, connection });
    }
}

/// A worker that is about to be started.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// Its number.
    pub worker: WorkerId,
    /// The end of the socket that it inherits; stays this process's.
    pub fd: RawFd,
    /// By which it recognises that.
    pub inode: u64,
    /// Its load, for whoever wants to look.
    pub load: Arc<Load>,
}

/// A listener that the accept thread serves; closed, at once, when dropped.
pub struct Listening {
    listener: ListenerId,
    number: RawFd,
    path: Option<std::path::PathBuf>,
    is_ours: bool,
    thread: &'static Thread,
}

impl Listening {
    /// Its number.
    pub fn id(&self) -> ListenerId {
        self.listener
    }

    /// Whether this is its descriptor.
    pub fn is_on(&self, fd: RawFd) -> bool {
        self.number == fd
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
        // The port must be free when this returns, as after a close() of Node's. The thread owns the descriptor,
        // and closes what is put in its place. It leaves the epoll first: an entry whose socket lives on in
        // another process could not be taken out under a number that means something else.
        let _ = with_borrowed(self.number, |fd| self.thread.epoll.delete(fd));
        // Workers have it too, for as long as it takes them to hear of this.
        if self.is_ours {
            let _ = with_borrowed(self.number, stop_listening);
        }
        let _ = replace(self.number, self.thread.wake.as_fd());
        self.thread.send(Command::Close { listener: self.listener });
    }
}

#[cfg(test)]
mod tests;
