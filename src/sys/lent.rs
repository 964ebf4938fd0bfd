//! Bytes that JavaScript looks into without a copy: Buffers and strings over memory that is not V8's.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::node::Handle;
use super::symbols::symbols;

type Opaque = *mut c_void;

type Finalizer = unsafe extern "C" fn(Opaque, Opaque, Opaque);

// Not every host has them: external memory may not be allowed, and those for strings are younger.
symbols! {
    buffer = c"napi_create_external_buffer": unsafe extern "C" fn(Opaque, usize, *const u8, Finalizer, Opaque, *mut Opaque) -> i32;
    latin1 = c"node_api_create_external_string_latin1": unsafe extern "C" fn(Opaque, *const u8, usize, Finalizer, Opaque, *mut Opaque, *mut bool) -> i32;
    utf16 = c"node_api_create_external_string_utf16": unsafe extern "C" fn(Opaque, *const u8, usize, Finalizer, Opaque, *mut Opaque, *mut bool) -> i32;
}

const NAPI_OK: i32 = 0;

fn symbols() -> Option<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(Symbols::load).as_ref()
}

/// Bytes that JavaScript values look into; given back when the last of these values is gone.
#[derive(Debug)]
pub struct Lent {
    bytes: Vec<u8>,
    give_back: fn(Vec<u8>),
    /// Grows by the number of bytes when they are given back.
    freed: Arc<AtomicUsize>,
}

impl Lent {
    /// Lends `bytes`, to be passed to `give_back` in the end: by the garbage collector, so that may not call Node.
    ///
    /// V8 knows the size of Buffers, but not of strings. Who makes those tells it, and by `freed` when they are gone.
    pub fn new(bytes: Vec<u8>, give_back: fn(Vec<u8>), freed: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self { bytes, give_back, freed })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A Buffer of all the bytes, which JavaScript may write to from then on. `None` where the host refuses.
    ///
    /// `env` is the `napi_env` of this thread, and a handle scope is open.
    pub fn into_buffer(self: Arc<Self>, env: Handle) -> Result<Handle, Arc<Self>> {
        let Some(symbols) = symbols() else { return Err(self) };
        let mut value = ptr::null_mut();
        let (start, length) = (self.bytes.as_ptr(), self.bytes.len());
        let hint = Arc::into_raw(self);
        // SAFETY: `env` is live, as the caller vouches. The bytes stay where they are until `drop_lent` lets go of
        // them; Node-API does not call that where it fails. Nobody else looks at them: this was the only owner.
        let status =
            unsafe { (symbols.buffer)(env.0, length, start, drop_lent, hint.cast_mut().cast(), &mut value) };
        if status == NAPI_OK {
            return Ok(Handle::new(value));
        }
        // SAFETY: made above, and not given away.
        Err(unsafe { Arc::from_raw(hint) })
    }

    /// A string of some of the bytes, a character in each, or with `is_wide` in each two, for which they must be
    /// aligned. `None` where the host refuses.
    ///
    /// `env` is the `napi_env` of this thread, and a handle scope is open.
    pub fn string(self: &Arc<Self>, env: Handle, range: Range<usize>, is_wide: bool) -> Option<Handle> {
        let symbols = symbols()?;
        let bytes = self.bytes.get(range)?;
        if is_wide && !bytes.as_ptr().cast::<u16>().is_aligned() {
            return None;
        }
        let (mut value, mut is_copied) = (ptr::null_mut(), false);
        let hint = Arc::into_raw(self.clone());
        let (create, length) =
            if is_wide { (symbols.utf16, bytes.len() / 2) } else { (symbols.latin1, bytes.len()) };
        // SAFETY: `env` is live, as the caller vouches. The bytes stay as and where they are until `drop_lent` lets
        // go of them, aligned and long enough for their characters; Node-API does not call that where it fails.
        let status = unsafe {
            create(
                env.0,
                bytes.as_ptr(),
                length,
                drop_lent,
                hint.cast_mut().cast(),
                &mut value,
                &mut is_copied,
            )
        };
        if status == NAPI_OK {
            return Some(Handle::new(value));
        }
        // SAFETY: made above, and not given away.
        drop(unsafe { Arc::from_raw(hint) });
        None
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.freed.fetch_add(self.bytes.len(), Ordering::Relaxed);
        (self.give_back)(std::mem::take(&mut self.bytes));
    }
}

unsafe extern "C" fn drop_lent(_env: Opaque, _data: Opaque, lent: Opaque) {
    // SAFETY: what `Arc::into_raw` gave, given back once.
    drop(unsafe { Arc::from_raw(lent.cast::<Lent>()) });
}
