//! Running a function on the thread of JavaScript while that is in the middle of a computation.
//!
//! V8 does so where it looks whether it should stop: at function entries and at the end of each round of a loop. It is
//! how the inspector pauses a program. Not while JavaScript waits in a system call or in a long native function.

use std::ffi::c_void;
use std::ptr::NonNull;

use super::symbols::symbols;

type Callback = unsafe extern "C" fn(*mut c_void, *mut c_void);

// V8's own, as C++ mangles them: both take and give plain pointers, and have done so in all lines of Node.
symbols! {
    current = c"_ZN2v87Isolate10GetCurrentEv": unsafe extern "C" fn() -> *mut c_void;
    request = c"_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_": unsafe extern "C" fn(*mut c_void, Callback, *mut c_void);
}

/// The JavaScript of one thread, to be interrupted from others.
#[derive(Debug)]
pub struct Isolate(NonNull<c_void>);

// SAFETY: V8 documents RequestInterrupt as callable from any thread, and it is all that is done with the pointer.
unsafe impl Send for Isolate {}

impl Isolate {
    /// That of this thread, which must be running JavaScript; `None` where the host does not export what this takes.
    pub fn current() -> Option<Self> {
        let symbols = Symbols::load()?;
        // SAFETY: takes nothing; gives the isolate that this thread has entered.
        NonNull::new(unsafe { (symbols.current)() }).map(Self)
    }

    /// Has `run` called soon on the isolate's thread, in the midst of its JavaScript. The isolate must not have ended.
    pub fn interrupt(&self, run: fn()) {
        let Some(symbols) = Symbols::load() else { return };
        // SAFETY: the isolate lives, as the caller vouches; a function pointer fits the data pointer that comes back.
        unsafe { (symbols.request)(self.0.as_ptr(), on_interrupt, run as *mut c_void) };
    }
}

unsafe extern "C" fn on_interrupt(_isolate: *mut c_void, data: *mut c_void) {
    // SAFETY: `data` is the function that `interrupt` passed.
    let run = unsafe { std::mem::transmute::<*mut c_void, fn()>(data) };
    run();
}
