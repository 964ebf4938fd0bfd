//! Memory of one environment's ArrayBuffer that another thread fills: big values cross isolates in one copy, into
//! memory that is the receiver's from the start.
//!
//! A landing goes FREE → BUSY → FULL, or is closed. It is its owner who closes it, and who waits while it is BUSY.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use super::node::Handle;
use super::symbols::symbols;

type Opaque = *mut c_void;

symbols! {
    info = c"napi_get_arraybuffer_info": unsafe extern "C" fn(Opaque, Opaque, *mut Opaque, *mut usize) -> i32;
    refer = c"napi_create_reference": unsafe extern "C" fn(Opaque, Opaque, u32, *mut Opaque) -> i32;
    value = c"napi_get_reference_value": unsafe extern "C" fn(Opaque, Opaque, *mut Opaque) -> i32;
    delete = c"napi_delete_reference": unsafe extern "C" fn(Opaque, Opaque) -> i32;
}

fn symbols() -> Option<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref()
}

/// Nothing there yet.
const FREE: u8 = 0;
/// Being filled.
const BUSY: u8 = 1;
/// Filled, for the owner to take.
const FULL: u8 = 2;
/// Nobody's any more.
const CLOSED: u8 = 3;

/// A place for the bytes of one value.
#[derive(Debug)]
pub struct Landing {
    start: *mut u8,
    length: usize,
    state: AtomicU8,
    /// The reference that keeps the ArrayBuffer; null once that is given up.
    reference: AtomicPtr<c_void>,
}

// SAFETY: other threads than the owner's reach the memory in `fill` only, one at a time and not while or after the
// owner takes or closes it; the reference is used by the owner alone.
unsafe impl Send for Landing {}
// SAFETY: as above: `state` decides who may touch what.
unsafe impl Sync for Landing {}

impl Landing {
    /// Sets the memory of `buffer` aside. JavaScript must not touch or detach it until it is taken. `None` where it
    /// is no ArrayBuffer, or the host refuses.
    ///
    /// `env` is the `napi_env` of this thread, and `buffer` a live handle in an open scope. Before that environment
    /// ends, `close` or `take` must have been called.
    pub fn new(env: Handle, buffer: Handle) -> Option<Self> {
        let symbols = symbols()?;
        let (mut start, mut length, mut reference) = (ptr::null_mut(), 0, ptr::null_mut());
        // SAFETY: the handles are live, as the caller vouches; the values are written on success only.
        let is_done = unsafe {
            (symbols.info)(env.0, buffer.0, &mut start, &mut length) == 0
                && (symbols.refer)(env.0, buffer.0, 1, &mut reference) == 0
        };
        let state = AtomicU8::new(FREE);
        is_done.then(|| Self { start: start.cast(), length, state, reference: AtomicPtr::new(reference) })
    }

    /// Bytes it has room for, and takes: no fewer.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Copies `bytes` there, from any thread. False where they do not fit exactly, or it is not free.
    pub fn fill(&self, bytes: &[u8]) -> bool {
        if bytes.len() != self.length
            || self.state.compare_exchange(FREE, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return false;
        }
        // SAFETY: BUSY: the owner waits before it lets go of the memory, which the reference keeps, and nobody else
        // reads or writes it. `bytes` lie elsewhere, as JavaScript has no hold of this buffer.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start, self.length) };
        self.state.store(FULL, Ordering::Release);
        true
    }

    /// Makes it free again, for whoever has filled it and told nobody.
    pub fn empty(&self) {
        let _ = self.state.compare_exchange(FULL, FREE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The ArrayBuffer, if it has been filled; this can be done once. `env` is that of `new`, with a scope open.
    pub fn take(&self, env: Handle) -> Option<Handle> {
        self.state.compare_exchange(FULL, CLOSED, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let mut value = ptr::null_mut();
        // SAFETY: nobody has deleted the reference, as only this and `close` do, once; `env` is its environment, as
        // the caller vouches; `value` is written on success only.
        unsafe { (symbols()?.value)(env.0, self.reference.load(Ordering::Relaxed), &mut value) };
        self.dereference(env);
        (!value.is_null()).then_some(Handle(value))
    }

    /// Gives the memory back, after waiting for whoever is filling it: nobody does afterwards. `env` is that of `new`;
    /// no scope is needed.
    pub fn close(&self, env: Handle) {
        while self.state.compare_exchange(FREE, CLOSED, Ordering::Acquire, Ordering::Relaxed) == Err(BUSY) {
            std::thread::yield_now();
        }
        self.state.store(CLOSED, Ordering::Relaxed);
        self.dereference(env);
    }

    fn dereference(&self, env: Handle) {
        let reference = self.reference.swap(ptr::null_mut(), Ordering::Relaxed);
        if let (false, Some(symbols)) = (reference.is_null(), symbols()) {
            // SAFETY: the reference is live: it was swapped out, so this is the one place that deletes it. `env` is
            // its environment, as the caller vouches.
            unsafe { (symbols.delete)(env.0, reference) };
        }
    }
}
