//! The one error type of the native side: which system call failed, and with which errno.
//!
//! It never crosses into JavaScript as an exception: `binding` turns it into the negative errno that Node's
//! own handles return, and `lib/errors.js` builds the Node-shaped `Error` from that.

use std::fmt;

use nix::errno::Errno;

/// A system call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsError {
    /// Name of the system call, as in its man page.
    pub syscall: &'static str,
    /// Why it failed.
    pub errno: Errno,
}

impl OsError {
    /// Names the system call that returned `errno`.
    pub fn new(syscall: &'static str, errno: Errno) -> Self {
        Self { syscall, errno }
    }

    /// The form Node's handles return: a negative errno.
    pub fn code(self) -> i32 {
        -(self.errno as i32)
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.syscall, self.errno.desc())
    }
}

impl std::error::Error for OsError {}

/// Result of an operation that makes system calls.
pub type OsResult<T> = Result<T, OsError>;

/// Names the system call in the error of a `nix` call: `.named("socketpair")?`.
pub trait Named<T> {
    /// Attaches the name of the system call.
    fn named(self, syscall: &'static str) -> OsResult<T>;
}

impl<T> Named<T> for nix::Result<T> {
    fn named(self, syscall: &'static str) -> OsResult<T> {
        self.map_err(|errno| OsError::new(syscall, errno))
    }
}
