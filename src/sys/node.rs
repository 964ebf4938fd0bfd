//! Entering JavaScript from the event loop so that `process.nextTick` and microtasks run afterwards.
//!
//! Node-API calls this a callback scope. The functions are looked up in the running program, because the
//! safe wrappers the rest of the crate uses do not cover them. Runs on the environment's own thread only.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use super::ring_memory::Part;
use super::symbols::symbols;

/// `napi_env`, `napi_value`, `napi_async_context` and `napi_callback_scope`: all opaque pointers.
type Opaque = *mut c_void;

type Finalizer = unsafe extern "C" fn(Opaque, Opaque, Opaque);

symbols! {
    async_init = c"napi_async_init": unsafe extern "C" fn(Opaque, Opaque, Opaque, *mut Opaque) -> i32;
    open = c"napi_open_callback_scope": unsafe extern "C" fn(Opaque, Opaque, Opaque, *mut Opaque) -> i32;
    close = c"napi_close_callback_scope": unsafe extern "C" fn(Opaque, Opaque) -> i32;
    get_undefined = c"napi_get_undefined": unsafe extern "C" fn(Opaque, *mut Opaque) -> i32;
    call = c"napi_call_function": unsafe extern "C" fn(Opaque, Opaque, Opaque, usize, *const Opaque, *mut Opaque) -> i32;
    take_exception = c"napi_get_and_clear_last_exception": unsafe extern "C" fn(Opaque, *mut Opaque) -> i32;
    external = c"napi_create_external_arraybuffer": unsafe extern "C" fn(Opaque, Opaque, usize, Finalizer, Opaque, *mut Opaque) -> i32;
    detach = c"napi_detach_arraybuffer": unsafe extern "C" fn(Opaque, Opaque) -> i32;
    fatal = c"napi_fatal_exception": unsafe extern "C" fn(Opaque, Opaque) -> i32;
}

const NAPI_OK: i32 = 0;
const NAPI_PENDING_EXCEPTION: i32 = 10;

fn symbols() -> Option<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref()
}

/// A handle of Node-API as a raw pointer: an environment or a JS value, live while its scope is open.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Handle(pub(super) *mut c_void);

impl Handle {
    /// Wraps what Node-API gave.
    pub fn new(raw: *mut c_void) -> Self {
        Self(raw)
    }

    /// What Node-API takes.
    pub fn as_ptr(self) -> *mut c_void {
        self.0
    }
}

/// The async context of one environment's events.
#[derive(Debug)]
pub struct CallbackContext {
    env: *mut c_void,
    context: *mut c_void,
}

impl CallbackContext {
    /// Makes the context; `env` is the `napi_env` of this thread and `name` a live JS string handle.
    ///
    /// `None` where the host is not Node or refuses.
    pub fn new(env: Handle, name: Handle) -> Option<Self> {
        let mut context = ptr::null_mut();
        // SAFETY: `env` and `name` are live handles of this thread; `context` is written on success only.
        let status = unsafe { (symbols()?.async_init)(env.0, ptr::null_mut(), name.0, &mut context) };
        (status == NAPI_OK).then_some(Self { env: env.0, context })
    }

    /// Calls a JS function as the loop calls one: ticks and microtasks follow when it returns. What it throws
    /// becomes `uncaughtException`, before them.
    ///
    /// A handle scope must be open, and `function` and `args` be live handles in it. Does nothing where JS cannot
    /// run any more: in a worker thread that is being terminated, say.
    pub fn call(&self, function: Handle, args: &[Handle]) {
        let Some(symbols) = symbols() else { return };
        let mut scope = ptr::null_mut();
        // SAFETY: `env` and `context` come from `new` on this thread and live as long as the environment; the
        // handles are live, as the caller vouches; each value is written before it is read, or the call failed.
        unsafe {
            if (symbols.open)(self.env, ptr::null_mut(), self.context, &mut scope) != NAPI_OK {
                return;
            }
            let (mut receiver, mut result, mut thrown) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            if (symbols.get_undefined)(self.env, &mut receiver) == NAPI_OK {
                let args_start = args.as_ptr().cast();
                let status =
                    (symbols.call)(self.env, receiver, function.0, args.len(), args_start, &mut result);
                if status == NAPI_PENDING_EXCEPTION
                    && (symbols.take_exception)(self.env, &mut thrown) == NAPI_OK
                {
                    // Refused where the thread is being terminated: nobody is left to hear of it.
                    (symbols.fatal)(self.env, thrown);
                }
            }
            (symbols.close)(self.env, scope);
        }
    }
}

/// An ArrayBuffer over shared memory, which it keeps until it is collected or detached. `None` where the host has
/// no such thing.
///
/// `env` is the `napi_env` of this thread, and a handle scope is open.
pub fn array_buffer(env: Handle, part: Part) -> Option<Handle> {
    let symbols = symbols()?;
    let mut value = ptr::null_mut();
    let (start, length) = (part.as_ptr(), part.length);
    let kept = Box::into_raw(Box::new(part));
    // SAFETY: `env` is live, as the caller vouches. The memory is mapped until `finalize` drops `kept`; Node-API
    // does not call that where it fails.
    let status = unsafe {
        (symbols.external)(env.0, start.as_ptr().cast(), length, drop_part, kept.cast(), &mut value)
    };
    if status == NAPI_OK {
        return Some(Handle(value));
    }
    // SAFETY: made above, and not given away.
    drop(unsafe { Box::from_raw(kept) });
    None
}

/// Takes the memory of an ArrayBuffer away from JavaScript.
///
/// `env` is the `napi_env` of this thread, and `buffer` a live handle in an open scope.
pub fn detach(env: Handle, buffer: Handle) {
    if let Some(symbols) = symbols() {
        // SAFETY: both are live, as the caller vouches; a value of another kind is refused.
        unsafe { (symbols.detach)(env.0, buffer.0) };
    }
}

unsafe extern "C" fn drop_part(_env: Opaque, _data: Opaque, part: Opaque) {
    // SAFETY: the box of `array_buffer`, given back once, on the environment's own thread.
    drop(unsafe { Box::from_raw(part.cast::<Part>()) });
}
