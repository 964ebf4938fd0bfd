//! Functions that the running program exports: libuv's and Node-API's, in the `node` binary.

use std::ffi::{CStr, c_void};

/// Looks `name` up among the symbols the running program exports.
pub(super) fn lookup(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: `name` is a C string; RTLD_DEFAULT searches what is loaded already.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!symbol.is_null()).then_some(symbol)
}

/// Declares `struct Symbols`, a function in each field, and `Symbols::load`, which is `None` if one is missing.
///
/// The types must repeat a header whose ABI is stable: uv.h within libuv 1.x, js_native_api.h or node_api.h.
macro_rules! symbols {
    ($($field:ident = $name:literal : $type:ty;)*) => {
        struct Symbols { $($field: $type,)* }
        impl Symbols {
            fn load() -> Option<Self> {
                // SAFETY: each type repeats the header of the function named, whose ABI is stable.
                Some(Self { $($field: unsafe {
                    std::mem::transmute::<*mut std::ffi::c_void, $type>($crate::sys::symbols::lookup($name)?)
                },)* })
            }
        }
    };
}
pub(super) use symbols;
