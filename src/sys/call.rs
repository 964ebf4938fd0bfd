//! Functions that JavaScript calls often: what napi-rs adds to each call of a method (whose object it is, who
//! borrows it, under a lock that all threads share) takes several times as long as a small function itself.
//!
//! Runs on the environment's own thread only.

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use super::node::Handle;
use super::symbols::symbols;

type Opaque = *mut c_void;

type Callback = unsafe extern "C" fn(Opaque, Opaque) -> Opaque;
type Finalizer = unsafe extern "C" fn(Opaque, Opaque, Opaque);

symbols! {
    create = c"napi_create_function": unsafe extern "C" fn(Opaque, *const c_char, usize, Callback, Opaque, *mut Opaque) -> i32;
    finalizer = c"napi_add_finalizer": unsafe extern "C" fn(Opaque, Opaque, Opaque, Finalizer, Opaque, *mut Opaque) -> i32;
    info = c"napi_get_cb_info": unsafe extern "C" fn(Opaque, Opaque, *mut usize, *mut Opaque, *mut Opaque, *mut Opaque) -> i32;
    to_int = c"napi_get_value_int32": unsafe extern "C" fn(Opaque, Opaque, *mut i32) -> i32;
    to_float = c"napi_get_value_double": unsafe extern "C" fn(Opaque, Opaque, *mut f64) -> i32;
    latin1 = c"napi_get_value_string_latin1": unsafe extern "C" fn(Opaque, Opaque, *mut u8, usize, *mut usize) -> i32;
    utf16 = c"napi_get_value_string_utf16": unsafe extern "C" fn(Opaque, Opaque, *mut u16, usize, *mut usize) -> i32;
    typed = c"napi_get_typedarray_info": unsafe extern "C" fn(Opaque, Opaque, *mut i32, *mut usize, *mut Opaque, *mut Opaque, *mut usize) -> i32;
    utf8 = c"napi_get_value_string_utf8": unsafe extern "C" fn(Opaque, Opaque, *mut u8, usize, *mut usize) -> i32;
    is_buffer = c"napi_is_arraybuffer": unsafe extern "C" fn(Opaque, Opaque, *mut bool) -> i32;
    count = c"napi_get_array_length": unsafe extern "C" fn(Opaque, Opaque, *mut u32) -> i32;
    element = c"napi_get_element": unsafe extern "C" fn(Opaque, Opaque, u32, *mut Opaque) -> i32;
    throw = c"napi_throw_error": unsafe extern "C" fn(Opaque, *const c_char, *const c_char) -> i32;
    new_int = c"napi_create_int32": unsafe extern "C" fn(Opaque, i32, *mut Opaque) -> i32;
    new_list = c"napi_create_array_with_length": unsafe extern "C" fn(Opaque, usize, *mut Opaque) -> i32;
    set_element = c"napi_set_element": unsafe extern "C" fn(Opaque, Opaque, u32, Opaque) -> i32;
    new_float = c"napi_create_double": unsafe extern "C" fn(Opaque, f64, *mut Opaque) -> i32;
    new_buffer = c"napi_create_buffer_copy": unsafe extern "C" fn(Opaque, usize, *const u8, *mut Opaque, *mut Opaque) -> i32;
    new_utf8 = c"napi_create_string_utf8": unsafe extern "C" fn(Opaque, *const u8, usize, *mut Opaque) -> i32;
    new_latin1 = c"napi_create_string_latin1": unsafe extern "C" fn(Opaque, *const u8, usize, *mut Opaque) -> i32;
    new_utf16 = c"napi_create_string_utf16": unsafe extern "C" fn(Opaque, *const u16, usize, *mut Opaque) -> i32;
}

const NAPI_OK: i32 = 0;
/// `napi_uint8_array`.
const UINT8_ARRAY: i32 = 1;
/// `napi_int32_array`.
const INT32_ARRAY: i32 = 5;

/// Arguments that a function takes at most; JavaScript gives no more.
const MAX_ARGS: usize = 7;

fn symbols() -> Option<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref()
}

/// One call: its arguments, and what can be returned.
#[derive(Debug)]
pub struct Call {
    env: Opaque,
    args: [Opaque; MAX_ARGS],
    count: usize,
}

type Body = dyn Fn(&Call) -> Option<Handle>;

/// A JavaScript function that runs `body`, and returns `undefined` for `None`. What it holds it holds until it is
/// collected. `None` where the host refuses. A panic in it is an error in JavaScript.
///
/// `env` is the `napi_env` of this thread, and a handle scope is open.
pub fn function(env: Handle, name: &CStr, body: Box<Body>) -> Option<Handle> {
    let symbols = symbols()?;
    let mut value = ptr::null_mut();
    let data: *mut Box<Body> = Box::into_raw(Box::new(body));
    // SAFETY: `env` is live, as the caller vouches; the name is a C string of that length; `data` lives until the
    // function is collected, as `drop_body` belongs to the function.
    let status =
        unsafe { (symbols.create)(env.0, name.as_ptr(), name.count_bytes(), enter, data.cast(), &mut value) };
    if status != NAPI_OK {
        // SAFETY: made above, and not given away.
        drop(unsafe { Box::from_raw(data) });
        return None;
    }
    let (no_hint, no_reference) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: as above; the value was just written. Where it fails the box stays, as the function has the pointer.
    unsafe { (symbols.finalizer)(env.0, value, data.cast(), drop_body, no_hint, no_reference) };
    Some(Handle(value))
}

unsafe extern "C" fn enter(env: Opaque, info: Opaque) -> Opaque {
    let Some(symbols) = symbols() else { return ptr::null_mut() };
    let mut call = Call { env, args: [ptr::null_mut(); MAX_ARGS], count: MAX_ARGS };
    let mut data = ptr::null_mut();
    // SAFETY: Node-API calls this with live handles; `args` has room for `count`, which becomes how many there are.
    let status = unsafe {
        (symbols.info)(env, info, &mut call.count, call.args.as_mut_ptr(), ptr::null_mut(), &mut data)
    };
    if status != NAPI_OK {
        return ptr::null_mut();
    }
    // SAFETY: the box of `function`, which lives while the function does: it is being called.
    let body = unsafe { &*data.cast::<Box<Body>>() };
    // Unwinding through Node's frames is undefined.
    match catch_unwind(AssertUnwindSafe(|| body(&call))) {
        Ok(value) => value.map_or(ptr::null_mut(), |value| value.0),
        Err(_) => {
            // SAFETY: `env` is live, and the texts are C strings.
            unsafe {
                (symbols.throw)(env, c"ERR_INTERNAL_ASSERTION".as_ptr(), c"rcluster panicked".as_ptr())
            };
            ptr::null_mut()
        }
    }
}

unsafe extern "C" fn drop_body(_env: Opaque, data: Opaque, _hint: Opaque) {
    // SAFETY: the box of `function`, given back once, when the function is gone.
    drop(unsafe { Box::from_raw(data.cast::<Box<Body>>()) });
}

impl Call {
    /// The environment.
    pub fn env(&self) -> Handle {
        Handle(self.env)
    }

    /// An argument, if there is one.
    pub fn arg(&self, index: usize) -> Option<Handle> {
        (index < self.count.min(MAX_ARGS)).then(|| Handle(self.args[index]))
    }

    /// An argument as an integer; zero where it is none.
    pub fn int(&self, index: usize) -> i32 {
        let mut number = 0;
        if let (Some(symbols), Some(value)) = (symbols(), self.arg(index)) {
            // SAFETY: both handles are live during the call; the number is written on success only.
            unsafe { (symbols.to_int)(self.env, value.0, &mut number) };
        }
        number
    }

    /// An argument as a number; zero where it is none.
    pub fn float(&self, index: usize) -> f64 {
        let mut number = 0.0;
        if let (Some(symbols), Some(value)) = (symbols(), self.arg(index)) {
            // SAFETY: both handles are live during the call; the number is written on success only.
            unsafe { (symbols.to_float)(self.env, value.0, &mut number) };
        }
        number
    }

    /// The elements of an `Int32Array` that is not shared, as long as no JavaScript runs; none where it is none.
    pub fn ints(&self, index: usize) -> &[i32] {
        let (Some(symbols), Some(value)) = (symbols(), self.arg(index)) else { return &[] };
        let (mut kind, mut length, mut start) = (0, 0, ptr::null_mut());
        let (buffer, offset) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: both handles are live during the call; a value that is no typed array is refused.
        let status =
            unsafe { (symbols.typed)(self.env, value.0, &mut kind, &mut length, &mut start, buffer, offset) };
        if status != NAPI_OK || kind != INT32_ARRAY || start.is_null() {
            return &[];
        }
        // SAFETY: so many elements are there while the array lives, which the call keeps; whoever could write to
        // them is this thread, in JavaScript, which does not run until the call, and with it the borrow, ends.
        unsafe { std::slice::from_raw_parts(start.cast(), length) }
    }

    /// The bytes of a Uint8Array, as long as no JavaScript runs; `None` where it is none, or its memory is shared.
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        self.bytes_of(self.arg(index)?.0)
    }

    /// The bytes of each of an array's elements, as `bytes` has them.
    pub fn bytes_of_all(&self, index: usize) -> Option<Vec<&[u8]>> {
        let (symbols, list) = (symbols()?, self.arg(index)?);
        let mut count = 0;
        // SAFETY: both handles are live during the call; a value that is no array is refused.
        let status = unsafe { (symbols.count)(self.env, list.0, &mut count) };
        let of = |at| {
            let mut value = ptr::null_mut();
            // SAFETY: as above; the value is written on success only.
            let status = unsafe { (symbols.element)(self.env, list.0, at, &mut value) };
            if status == NAPI_OK { self.bytes_of(value) } else { None }
        };
        if status == NAPI_OK { (0..count).map(of).collect() } else { None }
    }

    fn bytes_of(&self, value: Opaque) -> Option<&[u8]> {
        let symbols = symbols()?;
        let (mut kind, mut length, mut start) = (0, 0, ptr::null_mut());
        let (mut buffer, offset, mut is_buffer) = (ptr::null_mut(), ptr::null_mut(), false);
        // SAFETY: the handles are live during the call, that of the buffer once the first function has written it; a
        // value that is no typed array is refused.
        let is_done = unsafe {
            let (kind, length, start) = (&mut kind, &mut length, &mut start);
            (symbols.typed)(self.env, value, kind, length, start, &mut buffer, offset) == NAPI_OK
                && (symbols.is_buffer)(self.env, buffer, &mut is_buffer) == NAPI_OK
        };
        if !is_done || kind != UINT8_ARRAY || !is_buffer {
            return None;
        }
        if length == 0 || start.is_null() {
            return Some(&[]);
        }
        // SAFETY: so many bytes are there while the array lives, which the call keeps. Its memory is this
        // environment's alone, so whoever could write there is this thread, in JavaScript, which does not run until the
        // call, and with it the borrow, ends.
        Some(unsafe { std::slice::from_raw_parts(start.cast(), length) })
    }

    /// Adds a string.
    pub fn read_utf8(&self, index: usize, bytes: &mut Vec<u8>) {
        let (Some(symbols), Some(value)) = (symbols(), self.arg(index)) else { return };
        let (mut length, mut written) = (0, 0);
        // SAFETY: the handles are live during the call; without memory Node-API tells the length.
        if unsafe { (symbols.utf8)(self.env, value.0, ptr::null_mut(), 0, &mut length) } != NAPI_OK {
            return;
        }
        // Node-API adds a zero.
        bytes.reserve(length + 1);
        // SAFETY: as above; there is room for `length` bytes and a zero.
        let status = unsafe {
            let end = bytes.as_mut_ptr().add(bytes.len());
            (symbols.utf8)(self.env, value.0, end, length + 1, &mut written)
        };
        if status == NAPI_OK {
            // SAFETY: so many bytes were written there, and no more than there is room for.
            unsafe { bytes.set_len(bytes.len() + written) };
        }
    }

    /// Adds `length` characters of a string, which must have so many, one byte each.
    pub fn read_latin1(&self, index: usize, length: usize, bytes: &mut Vec<u8>) {
        let (Some(symbols), Some(value)) = (symbols(), self.arg(index)) else { return };
        // Node-API adds a zero.
        bytes.reserve(length + 1);
        let mut written = 0;
        // SAFETY: the handles are live during the call; there is room for `length` bytes and a zero.
        let status = unsafe {
            let end = bytes.as_mut_ptr().add(bytes.len());
            (symbols.latin1)(self.env, value.0, end, length + 1, &mut written)
        };
        if status == NAPI_OK {
            // SAFETY: so many bytes were written there, and no more than there is room for.
            unsafe { bytes.set_len(bytes.len() + written) };
        }
    }

    /// Adds `length` characters of a string, which must have so many, two bytes each.
    pub fn read_utf16(&self, index: usize, length: usize, units: &mut Vec<u16>) {
        let (Some(symbols), Some(value)) = (symbols(), self.arg(index)) else { return };
        units.reserve(length + 1);
        let mut written = 0;
        // SAFETY: as in `read_latin1`.
        let status = unsafe {
            let end = units.as_mut_ptr().add(units.len());
            (symbols.utf16)(self.env, value.0, end, length + 1, &mut written)
        };
        if status == NAPI_OK {
            // SAFETY: as in `read_latin1`.
            unsafe { units.set_len(units.len() + written) };
        }
    }

    /// An integer to return.
    pub fn new_int(&self, number: i32) -> Option<Handle> {
        // SAFETY: the environment is live during the call; the value is written on success only.
        self.made(|symbols, value| unsafe { (symbols.new_int)(self.env, number, value) })
    }

    /// A number to return.
    pub fn new_float(&self, number: f64) -> Option<Handle> {
        // SAFETY: as in `new_int`.
        self.made(|symbols, value| unsafe { (symbols.new_float)(self.env, number, value) })
    }

    /// An array to return.
    pub fn new_list(&self, values: &[Handle]) -> Option<Handle> {
        // SAFETY: as in `new_int`.
        let list =
            self.made(|symbols, value| unsafe { (symbols.new_list)(self.env, values.len(), value) })?;
        for (index, value) in values.iter().enumerate() {
            // SAFETY: the environment, the array and its elements are live during the call.
            unsafe { (symbols()?.set_element)(self.env, list.0, index as u32, value.0) };
        }
        Some(list)
    }

    /// A Buffer to return.
    pub fn new_buffer(&self, bytes: &[u8]) -> Option<Handle> {
        let start = ptr::null_mut();
        // SAFETY: as in `new_int`; the bytes are copied.
        self.made(|symbols, value| unsafe {
            (symbols.new_buffer)(self.env, bytes.len(), bytes.as_ptr(), start, value)
        })
    }

    /// A string to return. What is no UTF-8 is replaced.
    pub fn new_utf8(&self, bytes: &[u8]) -> Option<Handle> {
        if bytes.is_ascii() {
            return self.new_latin1(bytes);
        }
        // SAFETY: as in `new_int`; the bytes are copied.
        self.made(|symbols, value| unsafe {
            (symbols.new_utf8)(self.env, bytes.as_ptr(), bytes.len(), value)
        })
    }

    /// A string to return, a byte a character.
    pub fn new_latin1(&self, bytes: &[u8]) -> Option<Handle> {
        // SAFETY: as in `new_int`; the bytes are copied.
        self.made(|symbols, value| unsafe {
            (symbols.new_latin1)(self.env, bytes.as_ptr(), bytes.len(), value)
        })
    }

    /// A string to return.
    pub fn new_utf16(&self, units: &[u16]) -> Option<Handle> {
        // SAFETY: as in `new_int`; the units are copied.
        self.made(|symbols, value| unsafe {
            (symbols.new_utf16)(self.env, units.as_ptr(), units.len(), value)
        })
    }

    fn made(&self, make: impl FnOnce(&Symbols, *mut Opaque) -> i32) -> Option<Handle> {
        let mut value = ptr::null_mut();
        let status = make(symbols()?, &mut value);
        (status == NAPI_OK).then_some(Handle(value))
    }
}
