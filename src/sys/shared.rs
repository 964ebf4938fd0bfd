//! Memory that native threads and JavaScript both read and write, one 32-bit cell at a time.
//!
//! Both sides use atomic operations on it only: `AtomicI32` here, `Atomics` there.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use super::node::Handle;
use super::symbols::lookup;

type Finalize = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void);
type CreateExternal =
    unsafe extern "C" fn(*mut c_void, *mut c_void, usize, Finalize, *mut c_void, *mut *mut c_void) -> i32;

/// Cells that may be shown to JavaScript.
pub type Cells = Arc<[AtomicI32]>;

/// Makes `len` cells of zero.
pub fn cells(len: usize) -> Cells {
    (0..len).map(|_| AtomicI32::new(0)).collect()
}

/// Shows `cells` to JavaScript as an `ArrayBuffer`, which keeps them alive: a `napi_value`, or `None` where the
/// host allows no such thing. `env` is the `napi_env` of this thread, with a handle scope open.
pub fn expose(env: Handle, cells: Cells) -> Option<*mut c_void> {
    let symbol = lookup(c"napi_create_external_arraybuffer")?;
    // SAFETY: the type repeats js_native_api.h, which is ABI stable.
    let create = unsafe { std::mem::transmute::<*mut c_void, CreateExternal>(symbol) };
    let data = cells.as_ptr().cast_mut().cast::<c_void>();
    let bytes = std::mem::size_of_val::<[AtomicI32]>(&cells);
    let hint = Box::into_raw(Box::new(cells)).cast::<c_void>();
    let mut value = ptr::null_mut();
    // SAFETY: the memory belongs to the Arc in `hint`, which lives until `finalize`; atomics may be written
    // through a shared reference; `value` is written on success only.
    let status = unsafe { create(env.0, data, bytes, finalize, hint, &mut value) };
    if status == 0 {
        return Some(value);
    }
    // SAFETY: refused, so nobody else has the box.
    drop(unsafe { Box::from_raw(hint.cast::<Cells>()) });
    None
}

unsafe extern "C" fn finalize(_env: *mut c_void, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: the box from `expose`; Node calls this once, when the ArrayBuffer is gone.
    drop(unsafe { Box::from_raw(hint.cast::<Cells>()) });
}
