//! Entering JavaScript from the event loop so that `process.nextTick` and microtasks run afterwards.
//!
//! Node-API calls this a callback scope. The functions are looked up in the running program, because the
//! safe wrappers the rest of the crate uses do not cover them. Runs on the environment's own thread only.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::OnceLock;

type AsyncInit = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, *mut *mut c_void) -> i32;
type OpenScope = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, *mut *mut c_void) -> i32;
type CloseScope = unsafe extern "C" fn(*mut c_void, *mut c_void) -> i32;

struct Symbols {
    async_init: AsyncInit,
    open: OpenScope,
    close: CloseScope,
}

/// Looks `name` up among the symbols the running program exports.
pub(super) fn lookup(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: `name` is a C string; RTLD_DEFAULT searches what is loaded already.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!symbol.is_null()).then_some(symbol)
}

fn symbols() -> Option<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS
        .get_or_init(|| {
            let (init, open, close) = (
                lookup(c"napi_async_init")?,
                lookup(c"napi_open_callback_scope")?,
                lookup(c"napi_close_callback_scope")?,
            );
            // SAFETY: these are Node-API functions; the types repeat js_native_api.h and node_api.h, which are ABI stable.
            Some(unsafe {
                Symbols {
                    async_init: std::mem::transmute::<*mut c_void, AsyncInit>(init),
                    open: std::mem::transmute::<*mut c_void, OpenScope>(open),
                    close: std::mem::transmute::<*mut c_void, CloseScope>(close),
                }
            })
        })
        .as_ref()
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
    pub fn new(env: *mut c_void, name: *mut c_void) -> Option<Self> {
        let mut context = ptr::null_mut();
        // SAFETY: `env` and `name` are live handles of this thread; `context` is written on success only.
        let status = unsafe { (symbols()?.async_init)(env, ptr::null_mut(), name, &mut context) };
        (status == 0).then_some(Self { env, context })
    }

    /// Runs `call` as the loop runs a callback: ticks and microtasks follow when it returns.
    ///
    /// A handle scope must be open. Returns `None`, without the call, where JS cannot run any more.
    pub fn run<R>(&self, call: impl FnOnce() -> R) -> Option<R> {
        let symbols = symbols()?;
        let mut scope = ptr::null_mut();
        // SAFETY: `env` and `context` come from `new` on this thread and live as long as the environment.
        if unsafe { (symbols.open)(self.env, ptr::null_mut(), self.context, &mut scope) } != 0 {
            return None;
        }
        let result = call();
        // SAFETY: closes the scope opened above, in the reverse order of opening.
        unsafe { (symbols.close)(self.env, scope) };
        Some(result)
    }
}
