//! Watching descriptors on Node's own event loop, through the libuv that the `node` program exports.
//!
//! One `Poll` a descriptor; its callback runs on the loop's thread, in the poll phase. `Check` runs once a
//! turn, after all input of that turn, `Prepare` before it, `Timer` at intervals; `Idle` keeps the loop from waiting. None
//! may be used from another thread or after the loop has ended.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::OnceLock;

use nix::errno::Errno;

use super::fd;
use super::symbols::symbols;

const UV_CHECK: c_int = 2;
const UV_IDLE: c_int = 6;
const UV_POLL: c_int = 8;
const UV_PREPARE: c_int = 9;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
const UV_WRITABLE: c_int = 2;
const UV_DISCONNECT: c_int = 4;

type PollCallback = unsafe extern "C" fn(*mut c_void, c_int, c_int);
type HandleCallback = unsafe extern "C" fn(*mut c_void);

symbols! {
    handle_size = c"uv_handle_size": unsafe extern "C" fn(c_int) -> usize;
    set_data = c"uv_handle_set_data": unsafe extern "C" fn(*mut c_void, *mut c_void);
    get_data = c"uv_handle_get_data": unsafe extern "C" fn(*mut c_void) -> *mut c_void;
    poll_init = c"uv_poll_init": unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int;
    poll_start = c"uv_poll_start": unsafe extern "C" fn(*mut c_void, c_int, PollCallback) -> c_int;
    poll_stop = c"uv_poll_stop": unsafe extern "C" fn(*mut c_void) -> c_int;
    check_init = c"uv_check_init": unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
    check_start = c"uv_check_start": unsafe extern "C" fn(*mut c_void, HandleCallback) -> c_int;
    check_stop = c"uv_check_stop": unsafe extern "C" fn(*mut c_void) -> c_int;
    idle_init = c"uv_idle_init": unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
    idle_start = c"uv_idle_start": unsafe extern "C" fn(*mut c_void, HandleCallback) -> c_int;
    idle_stop = c"uv_idle_stop": unsafe extern "C" fn(*mut c_void) -> c_int;
    prepare_init = c"uv_prepare_init": unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
    prepare_start = c"uv_prepare_start": unsafe extern "C" fn(*mut c_void, HandleCallback) -> c_int;
    prepare_stop = c"uv_prepare_stop": unsafe extern "C" fn(*mut c_void) -> c_int;
    backend_fd = c"uv_backend_fd": unsafe extern "C" fn(*mut c_void) -> c_int;
    backend_timeout = c"uv_backend_timeout": unsafe extern "C" fn(*mut c_void) -> c_int;
    timer_init = c"uv_timer_init": unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;
    timer_start = c"uv_timer_start": unsafe extern "C" fn(*mut c_void, HandleCallback, u64, u64) -> c_int;
    idle_time = c"uv_metrics_idle_time": unsafe extern "C" fn(*mut c_void) -> u64;
    time = c"uv_hrtime": unsafe extern "C" fn() -> u64;
    reference = c"uv_ref": unsafe extern "C" fn(*mut c_void);
    unreference = c"uv_unref": unsafe extern "C" fn(*mut c_void);
    close = c"uv_close": unsafe extern "C" fn(*mut c_void, HandleCallback);
}

fn uv() -> Result<&'static Symbols, Errno> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref().ok_or(Errno::ENOSYS)
}

/// The event loop of one environment.
#[derive(Debug, Clone, Copy)]
pub struct Loop(*mut c_void);

impl Loop {
    /// Wraps the `uv_loop_t` that Node-API gave for this thread's environment.
    pub fn new(uv_loop: *mut c_void) -> Self {
        Self(uv_loop)
    }

    /// The time, and the time that this loop has spent waiting, in nanoseconds. Node has its loops measure that.
    pub fn times(self) -> (u64, u64) {
        // SAFETY: the loop is this thread's, and running.
        uv().map_or((0, 0), |uv| unsafe { ((uv.time)(), (uv.idle_time)(self.0)) })
    }

    /// Whether the loop would sleep if it polled now. May be false where it would, never true where it would not.
    pub fn would_wait(self) -> bool {
        // SAFETY: the loop is this thread's, and running.
        uv().is_ok_and(|uv| unsafe { (uv.backend_timeout)(self.0) } != 0)
    }

    /// Whether there is input for the loop.
    pub fn has_input(self) -> bool {
        let Ok(uv) = uv() else { return true };
        // SAFETY: the loop is this thread's, and running.
        let backend = unsafe { (uv.backend_fd)(self.0) };
        fd::has_input(backend)
    }
}

/// What a watched descriptor is ready for. An error or hang-up counts as both, as poll(2) users expect.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The other end writes no more: what is left to read is all there will be.
    pub hangup: bool,
}

type Callback = Rc<dyn Fn(Ready)>;

/// What a libuv handle's `data` points to.
struct Data {
    callback: Callback,
    layout: Layout,
}

/// A libuv handle on the heap, with the callback it runs; closed, then freed, when dropped.
struct Handle(NonNull<c_void>);

impl Handle {
    /// Allocates a handle of `kind` and lets `init` initialise it.
    fn new(
        kind: c_int,
        callback: Callback,
        init: impl FnOnce(&Symbols, *mut c_void) -> c_int,
    ) -> Result<Self, Errno> {
        let uv = uv()?;
        // SAFETY: uv_handle_size only looks the kind up.
        let size = unsafe { (uv.handle_size)(kind) };
        let layout = Layout::from_size_align(size, 16).map_err(|_| Errno::EINVAL)?;
        // SAFETY: `layout` has a size above zero: libuv knows both kinds.
        let raw = NonNull::new(unsafe { alloc_zeroed(layout) }.cast::<c_void>()).ok_or(Errno::ENOMEM)?;
        let status = init(uv, raw.as_ptr());
        if status < 0 {
            // SAFETY: allocated above with this layout, and libuv keeps no handle whose init failed.
            unsafe { dealloc(raw.as_ptr().cast(), layout) };
            return Err(Errno::from_raw(-status));
        }
        let data = Box::into_raw(Box::new(Data { callback, layout }));
        // SAFETY: `raw` is an initialised handle; the box is taken back in `closed`.
        unsafe { (uv.set_data)(raw.as_ptr(), data.cast()) };
        Ok(Self(raw))
    }

    fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    fn set_ref(&self, on: bool) {
        if let Ok(uv) = uv() {
            let change = if on { uv.reference } else { uv.unreference };
            // SAFETY: the handle is initialised and not closing while `self` lives.
            unsafe { change(self.as_ptr()) }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(uv) = uv() {
            // SAFETY: closed once, here; `closed` frees it when libuv has let go of it.
            unsafe { (uv.close)(self.as_ptr(), closed) }
        }
    }
}

/// Runs the callback of a live handle; the clone keeps it alive should it drop its own handle.
fn run_callback(raw: *mut c_void, ready: Ready) {
    if let Ok(uv) = uv() {
        // SAFETY: `Handle::new` stored a `Data`, which only `closed` frees, after the last callback.
        let callback = unsafe { (*(uv.get_data)(raw).cast::<Data>()).callback.clone() };
        callback(ready);
    }
}

unsafe extern "C" fn closed(raw: *mut c_void) {
    if let Ok(uv) = uv() {
        // SAFETY: libuv calls this once, when it has let go of the handle; `data` is the box from `Handle::new`.
        unsafe {
            let data = Box::from_raw((uv.get_data)(raw).cast::<Data>());
            dealloc(raw.cast(), data.layout);
        }
    }
}

unsafe extern "C" fn on_poll(raw: *mut c_void, status: c_int, events: c_int) {
    let failed = status < 0;
    run_callback(
        raw,
        Ready {
            readable: failed || events & (UV_READABLE | UV_DISCONNECT) != 0,
            writable: failed || events & UV_WRITABLE != 0,
            hangup: failed || events & UV_DISCONNECT != 0,
        },
    );
}

unsafe extern "C" fn on_turn(raw: *mut c_void) {
    run_callback(raw, Ready { readable: false, writable: false, hangup: false });
}

/// Watches one descriptor; stops, and frees what it holds, when dropped. Starts referenced and idle.
pub struct Poll(Handle);

impl Poll {
    /// Prepares to watch `fd`, which must stay open until this is dropped; libuv makes it non-blocking.
    pub fn new(uv_loop: Loop, fd: BorrowedFd<'_>, callback: impl Fn(Ready) + 'static) -> Result<Self, Errno> {
        Handle::new(UV_POLL, Rc::new(callback), |uv, raw| {
            // SAFETY: `raw` has the size of a uv_poll_t; the loop is this thread's, and running.
            unsafe { (uv.poll_init)(uv_loop.0, raw, fd.as_raw_fd()) }
        })
        .map(Self)
    }

    /// Chooses what to watch for; neither stops watching.
    pub fn watch(&self, readable: bool, writable: bool) -> Result<(), Errno> {
        let events =
            if readable { UV_READABLE | UV_DISCONNECT } else { 0 } | if writable { UV_WRITABLE } else { 0 };
        let uv = uv()?;
        // SAFETY: the handle is initialised and not closing while `self` lives.
        let status = unsafe {
            if events == 0 {
                (uv.poll_stop)(self.0.as_ptr())
            } else {
                (uv.poll_start)(self.0.as_ptr(), events, on_poll)
            }
        };
        if status < 0 { Err(Errno::from_raw(-status)) } else { Ok(()) }
    }

    /// Whether watching keeps the loop alive.
    pub fn set_ref(&self, on: bool) {
        self.0.set_ref(on);
    }
}

/// Runs its callback once in each turn of the loop in which it is started, after that turn's input.
/// Never keeps the loop alive.
pub struct Check(Handle);

impl Check {
    /// Prepares the callback; it does not run before `start`.
    pub fn new(uv_loop: Loop, callback: impl Fn() + 'static) -> Result<Self, Errno> {
        let handle = Handle::new(UV_CHECK, Rc::new(move |_| callback()), |uv, raw| {
            // SAFETY: `raw` has the size of a uv_check_t; the loop is this thread's, and running.
            unsafe { (uv.check_init)(uv_loop.0, raw) }
        })?;
        handle.set_ref(false);
        Ok(Self(handle))
    }

    /// Runs the callback from this turn on, until `stop`.
    pub fn start(&self) {
        if let Ok(uv) = uv() {
            // SAFETY: the handle is initialised and not closing; starting twice does nothing.
            unsafe { (uv.check_start)(self.0.as_ptr(), on_turn) };
        }
    }

    /// Stops running the callback.
    pub fn stop(&self) {
        if let Ok(uv) = uv() {
            // SAFETY: the handle is initialised and not closing.
            unsafe { (uv.check_stop)(self.0.as_ptr()) };
        }
    }
}

/// Runs its callback once in each turn of the loop in which it is started, just before the loop waits for input.
/// Never keeps the loop alive.
pub struct Prepare(Handle);

impl Prepare {
    /// Prepares the callback; it does not run before `start`.
    pub fn new(uv_loop: Loop, callback: impl Fn() + 'static) -> Result<Self, Errno> {
        let handle = Handle::new(UV_PREPARE, Rc::new(move |_| callback()), |uv, raw| {
            // SAFETY: `raw` has the size of a uv_prepare_t; the loop is this thread's, and running.
            unsafe { (uv.prepare_init)(uv_loop.0, raw) }
        })?;
        handle.set_ref(false);
        Ok(Self(handle))
    }

    /// Runs the callback from this turn on, until `stop`.
    pub fn start(&self) {
        if let Ok(uv) = uv() {
            // SAFETY: the handle is initialised and not closing; starting twice does nothing.
            unsafe { (uv.prepare_start)(self.0.as_ptr(), on_turn) };
        }
    }

    /// Stops running the callback.
    pub fn stop(&self) {
        if let Ok(uv) = uv() {
            // SAFETY: the handle is initialised and not closing.
            unsafe { (uv.prepare_stop)(self.0.as_ptr()) };
        }
    }
}

/// Has the loop go on at once instead of waiting for input. Never keeps the loop alive.
pub struct Idle(Handle);

impl Idle {
    /// Without effect before `start`.
    pub fn new(uv_loop: Loop) -> Result<Self, Errno> {
        let handle = Handle::new(UV_IDLE, Rc::new(|_| ()), |uv, raw| {
            // SAFETY: `raw` has the size of a uv_idle_t; the loop is this thread's, and running.
            unsafe { (uv.idle_init)(uv_loop.0, raw) }
        })?;
        handle.set_ref(false);
        Ok(Self(handle))
    }

    /// From now on the loop does not wait, until `stop`.
    pub fn start(&self) {
        if let Ok(uv) = uv() {
            // SAFETY: the handle is initialised and not closing; starting twice does nothing.
            unsafe { (uv.idle_start)(self.0.as_ptr(), on_turn) };
        }
    }

    /// The loop waits again where it would.
    pub fn stop(&self) {
        if let Ok(uv) = uv() {
            // SAFETY: the handle is initialised and not closing.
            unsafe { (uv.idle_stop)(self.0.as_ptr()) };
        }
    }
}

/// Runs its callback again and again. Never keeps the loop alive.
pub struct Timer(#[expect(dead_code, reason = "held so that it runs")] Handle);

impl Timer {
    /// Runs the callback at once, in the loop's next turn, and then after each `interval` milliseconds.
    pub fn start(uv_loop: Loop, interval: u64, callback: impl Fn() + 'static) -> Result<Self, Errno> {
        let handle = Handle::new(UV_TIMER, Rc::new(move |_| callback()), |uv, raw| {
            // SAFETY: `raw` has the size of a uv_timer_t; the loop is this thread's, and running.
            unsafe { (uv.timer_init)(uv_loop.0, raw) }
        })?;
        handle.set_ref(false);
        // SAFETY: the handle is initialised and not closing.
        unsafe { (uv()?.timer_start)(handle.as_ptr(), on_turn, 0, interval) };
        Ok(Self(handle))
    }
}
