//! Stacks for children to run on until their exec.

use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;

use nix::errno::Errno;

use crate::error::{OsError, OsResult};

const SIZE: usize = 64 * 1024;
const KEPT: usize = 16;

/// A stack for one child.
pub(super) struct Stack(ptr::NonNull<c_void>);

// SAFETY: the mapping belongs to whoever holds the `Stack`; it is tied to no thread.
unsafe impl Send for Stack {}

static FREE: Mutex<Vec<Stack>> = Mutex::new(Vec::new());

impl Stack {
    /// Takes a kept stack or maps a new one. Reuse saves a mmap, a munmap and the page faults of each spawn.
    pub(super) fn take() -> OsResult<Self> {
        if let Some(stack) = FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop() {
            return Ok(stack);
        }
        // SAFETY: a new anonymous mapping; it touches no existing memory.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(OsError::new("mmap", Errno::last()));
        }
        ptr::NonNull::new(base).map(Self).ok_or(OsError::new("mmap", Errno::ENOMEM))
    }

    /// Where the stack begins: it grows down.
    pub(super) fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.0.as_ptr().byte_add(SIZE) }
    }

    /// Gives the stack back; only once no child runs on it.
    pub(super) fn put_back(self) {
        let mut free = FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if free.len() < KEPT {
            free.push(self);
        } else {
            // SAFETY: the mapping made in `take`, which nobody uses any more.
            unsafe { libc::munmap(self.0.as_ptr(), SIZE) };
        }
    }
}
