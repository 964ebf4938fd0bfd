//! Message channels for JavaScript: bytes in both directions, batched; the messages in them are its business.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use nix::errno::Errno;

use super::{Body, Engine, Kind, State};
use crate::ipc::channel::{Channel, Ending, READ_SIZE};
use crate::ipc::frame::Framing;
use crate::ipc::recycled;
use crate::sys::call::Call;
use crate::sys::fd;
use crate::sys::linger::Linger;
use crate::sys::node::Handle;
use crate::sys::socket::is_peer_marked;
use crate::sys::uv::{Poll, Ready, Timer};

mod linger;
mod receiving;
mod ring;
mod sending;

/// For how long memory of large messages is kept after the last of them, in milliseconds; up to twice as long.
const KEPT_FOR: u64 = 1000;

/// How often the ring is looked at in one turn of the loop: each time up to a batch of messages.
const ROUNDS_PER_TURN: usize = 4;

/// Enough to empty the ring of a peer that has gone.
const ROUNDS_TO_END: usize = 256;

/// The channels of one environment.
#[derive(Default)]
pub(crate) struct Channels {
    open: RefCell<HashMap<u32, Rc<Open>>>,
    next_id: Cell<u32>,
    /// What is read goes through here, on its way to the channel it belongs to.
    buffer: RefCell<Vec<u8>>,
    lingering: linger::Lingering,
    /// Bytes of strings that are gone since V8 was told last.
    strings_freed: Arc<AtomicUsize>,
    /// Runs while memory of large messages is kept.
    memory_timer: RefCell<Option<Timer>>,
}

struct Open {
    // Closed before `channel`, whose socket it watches.
    poll: Poll,
    channel: RefCell<Channel>,
    is_writing: Cell<bool>,
    is_paused: Cell<bool>,
    has_ended: Cell<bool>,
    linger: RefCell<Linger>,
}

impl Open {
    /// Reading the socket pauses too, unless it brings bells, which say that there is room.
    fn watch(&self) {
        let reads = !self.is_paused.get() || self.channel.borrow().receives_by_ring();
        let _ = self.poll.watch(reads, self.is_writing.get());
    }

    /// Has the loop say when the socket takes more, as long as something is queued.
    fn watch_writing(&self, on: bool) {
        if self.is_writing.replace(on) != on {
            self.watch();
        }
    }
}

impl Channels {
    fn get(&self, id: u32) -> Option<Rc<Open>> {
        self.open.borrow().get(&id).cloned()
    }

    /// Closes all, before the environment ends.
    pub(super) fn close(&self) {
        self.lingering.close();
        let open = self.open.take();
        drop(open);
        self.memory_timer.take();
    }

    fn on_ready(&self, state: &State, id: u32, ready: Ready) {
        if ready.writable
            && let Some(open) = self.get(id)
            && open.is_writing.get()
        {
            self.flush(state, id, &open);
        }
        if ready.readable
            && let Some(open) = self.get(id)
        {
            let has_come = self.serve_socket(state, id, &open, ready.hangup);
            if open.has_ended.get() {
                return;
            }
            self.serve_ring(state, id, true);
            if has_come && self.get(id).is_some() && !open.channel.borrow().receives_by_ring() {
                self.stays_awake(id, &open);
            }
        }
    }

    /// Delivers what has arrived on the socket, and then its end; whether there is any of both.
    fn serve_socket(&self, state: &State, id: u32, open: &Open, hangup: bool) -> bool {
        let (has_messages, ending) = self.read(open, hangup);
        if has_messages {
            self.has_work(open);
            state.emit(Kind::ChannelInput, id, 0, 0);
        }
        let Some(ending) = ending else { return has_messages };
        // Written before the other side went.
        if let Some(open) = self.get(id) {
            open.is_paused.set(false);
        }
        self.take_from_ring(state, id, ROUNDS_TO_END, false);
        self.end(state, id, ending);
        true
    }

    /// Messages have come, and are to be delivered.
    fn has_work(&self, open: &Open) {
        let bytes = open.channel.borrow_mut().decoder().ready_len();
        open.linger.borrow_mut().works(Instant::now(), bytes);
    }

    /// Writes what is queued, and has the loop say when the socket takes more.
    fn flush(&self, state: &State, id: u32, open: &Open) {
        let (flushed, waits_for_socket) = {
            let mut channel = open.channel.borrow_mut();
            (channel.flush(), channel.waits_for_socket())
        };
        open.watch_writing(waits_for_socket);
        if flushed.messages > 0 {
            let error = flushed.error.map_or(0, |errno| -(errno as i32));
            state.emit(Kind::ChannelWritten, id, flushed.messages as i32, error);
        }
    }

    /// Delivers what is in the ring, and writes what is queued: this side was woken, maybe, because there is room in
    /// the ring again. Whoever reads the socket may take that bell, JavaScript that asks for a descriptor too, so
    /// there is no telling.
    fn serve_ring(&self, state: &State, id: u32, may_linger: bool) {
        self.take_from_ring(state, id, ROUNDS_PER_TURN, may_linger);
        if let Some(open) = self.get(id).filter(|open| !open.is_writing.get()) {
            self.flush(state, id, &open);
        }
    }

    /// Delivers what is in the ring, in so many rounds at most; for `serve_ring`, and for a channel that ends: a bell
    /// that is taken meanwhile is not answered. `may_linger` where the loop comes by before it waits.
    fn take_from_ring(&self, state: &State, id: u32, rounds: usize, may_linger: bool) {
        for round in 0..rounds {
            let Some(open) = self.get(id).filter(|open| !open.is_paused.get()) else { return };
            // JavaScript may throw while it reads, and leave the rest of what it took; it goes on from there.
            let received = open.channel.borrow_mut().receive();
            let outcome = match received {
                Ok(true) => {
                    self.has_work(&open);
                    state.emit(Kind::ChannelInput, id, 0, 0);
                    continue;
                }
                Ok(false) if may_linger && round > 0 && self.stays_awake(id, &open) => return,
                Ok(false) => open.channel.borrow_mut().sleep(),
                Err(errno) => Err(errno),
            };
            match outcome {
                Ok(true) => return,
                Ok(false) => {}
                Err(errno) => return self.end(state, id, Err(errno)),
            }
        }
        if self.get(id).is_some_and(|open| !open.is_paused.get()) {
            state.emit(Kind::ChannelMore, id, 0, 0);
        }
    }

    /// Reports that nothing more will arrive.
    fn end(&self, state: &State, id: u32, ending: Ending) {
        if let Some(open) = self.get(id) {
            // Or the loop would report the end again and again, until JavaScript has closed the channel.
            let _ = open.poll.watch(false, false);
            open.has_ended.set(true);
            state.emit(Kind::ChannelEnded, id, ending.map_or_else(|errno| -(errno as i32), |()| 0), 0);
        }
    }

    /// Memory of large messages is kept while more of them come.
    fn keep_memory_for_a_while(&self, state: &State) {
        if self.memory_timer.borrow().is_some() {
            return;
        }
        let weak = state.myself.clone();
        let timer = Timer::start(state.uv_loop, KEPT_FOR, move || {
            if let Some(state) = weak.upgrade()
                && recycled::release()
            {
                state.channels.memory_timer.take();
            }
        });
        *self.memory_timer.borrow_mut() = timer.ok();
    }

    fn read(&self, open: &Open, hangup: bool) -> (bool, Option<Ending>) {
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(READ_SIZE, 0);
        let mut channel = open.channel.borrow_mut();
        let ending = channel.read(&mut buffer, hangup);
        (!channel.decoder().whole().is_empty(), ending)
    }
}

/// The functions that JavaScript calls for every message, or nearly: without what a method costs.
const FUNCTIONS: &[(&CStr, Body)] = &[
    (c"writeLine", sending::write_line),
    (c"writeFrame", sending::write_frame),
    (c"writeMany", sending::write_many),
    (c"writeParts", sending::write_parts),
    (c"writeGathered", sending::write_gathered),
    (c"queued", sending::queued),
    (c"takeLines", receiving::take_lines),
    (c"take", receiving::take),
    (c"takeFrames", receiving::take_frames),
    (c"lendLane", ring::lend_lane),
    (c"resumeLane", ring::resume_lane),
    (c"wake", ring::wake),
    (c"setRef", set_ref),
];

/// (channel, whether it keeps the event loop alive)
fn set_ref(state: &State, call: &Call) -> Option<Handle> {
    state.channels.get(call.int(0) as u32)?.poll.set_ref(call.int(1) != 0);
    None
}

#[napi]
impl Engine {
    /// The functions that are called often: `lib/child_process/calls.js` says what each takes and returns.
    #[napi(ts_return_type = "Record<string, Function>")]
    pub fn channel_functions<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.state.functions(env, FUNCTIONS)
    }

    /// Makes a message channel of a stream socket, whose descriptor it owns from now on; returns its id, or a
    /// negative errno. Starts referenced.
    #[napi]
    pub fn channel_open(&self, fd: i32, advanced: bool) -> i32 {
        self.open_channel(fd, advanced).unwrap_or_else(|errno| -(errno as i32))
    }

    fn open_channel(&self, fd: i32, advanced: bool) -> Result<i32, Errno> {
        let socket = fd::take(fd)?;
        let channels = &self.state.channels;
        let id = channels.next_id.get();
        let weak: Weak<State> = Rc::downgrade(&self.state);
        let poll = Poll::new(self.state.uv_loop, socket.as_fd(), move |ready| {
            if let Some(state) = weak.upgrade() {
                state.channels.on_ready(&state, id, ready);
            }
        })?;
        poll.watch(true, false)?;
        let framing = if advanced { Framing::Lengths } else { Framing::Lines };
        let channel = RefCell::new(Channel::new(socket, framing));
        channels.next_id.set((id + 1) & i32::MAX as u32);
        channels.open.borrow_mut().insert(
            id,
            Rc::new(Open {
                poll,
                channel,
                is_writing: Cell::new(false),
                is_paused: Cell::new(false),
                has_ended: Cell::new(false),
                linger: RefCell::default(),
            }),
        );
        channels.prepare_to_linger(&self.state);
        Ok(id as i32)
    }

    /// Whether the other end of an inherited channel, a descriptor of the caller's, is one of ours.
    #[napi]
    pub fn channel_peer_is_ours(&self, fd: i32) -> bool {
        fd::with_borrowed(fd, is_peer_marked).unwrap_or(false)
    }

    /// Duplicates a descriptor of the caller's; returns the new one, or a negative errno.
    #[napi]
    pub fn channel_duplicate(&self, fd: i32) -> i32 {
        fd::duplicate(fd).map_or_else(|errno| -(errno as i32), IntoRawFd::into_raw_fd)
    }

    /// Stops delivering messages, or goes on.
    #[napi]
    pub fn channel_pause(&self, id: u32, on: bool) {
        if let Some(open) = self.state.channels.get(id)
            && open.is_paused.replace(on) != on
        {
            open.watch();
            if !on {
                self.state.emit(Kind::ChannelMore, id, 0, 0);
            }
        }
    }

    /// Refuses messages of more than `limit` bytes, in both directions; 0 for any size.
    #[napi]
    pub fn channel_set_limit(&self, id: u32, limit: u32) {
        self.with_channel(id, |channel| {
            channel.set_limit(if limit == 0 { usize::MAX } else { limit as usize });
            Ok(0)
        });
    }

    /// Goes on with what a turn of the loop has left.
    #[napi]
    pub fn channel_continue(&self, id: u32) {
        self.state.channels.serve_ring(&self.state, id, false);
    }

    fn with_channel(&self, id: u32, act: impl FnOnce(&mut Channel) -> Result<i32, Errno>) -> i32 {
        let Some(open) = self.state.channels.get(id) else { return -(Errno::EBADF as i32) };
        act(&mut open.channel.borrow_mut()).unwrap_or_else(|errno| -(errno as i32))
    }

    /// Whether part of a message has arrived.
    #[napi]
    pub fn channel_is_partial(&self, id: u32) -> bool {
        self.state.channels.get(id).is_some_and(|open| open.channel.borrow_mut().decoder().is_partial())
    }

    /// The channel's descriptor, or a negative errno.
    #[napi]
    pub fn channel_fd(&self, id: u32) -> i32 {
        let open = self.state.channels.get(id);
        open.map_or(-(Errno::EBADF as i32), |open| open.channel.borrow().socket().as_raw_fd())
    }

    /// Closes a channel; what is queued is lost.
    #[napi]
    pub fn channel_close(&self, id: u32) {
        self.state.channels.open.borrow_mut().remove(&id);
    }
}
