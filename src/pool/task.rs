//! What waits, runs and comes back: a task, its payload, its completion.

use std::sync::Arc;
use std::time::Instant;

use crate::sys::landing::Landing;

/// A task's number, given by the environment that submits it.
pub type TaskId = u32;

/// A thread's number within its pool.
pub type ThreadId = u32;

/// The kind of a task whose payload is JSON: a batch's are handed over together, as one array.
pub const JSON: i32 = 1;

/// The kind of a task, or of a result, that goes through a MessagePort.
pub const PORT: i32 = 4;

/// The kind of a big buffer, which is copied from one environment's memory right into the other's.
pub const BYTES: i32 = 6;

/// The bits of a task's kind that tell the encoding; the rest are flags of JavaScript's.
pub const ENCODING: i32 = 0xf;

/// The kind of a completion that says no more than that its thread, told to leave, has nothing left to do.
pub const LEFT: i32 = -1;

/// How a payload is encoded is the business of JavaScript; the queue only carries it.
#[derive(Debug, Clone)]
pub enum Payload {
    /// None: `undefined`, or a value that goes through a MessagePort.
    Empty,
    /// Text, or bytes, one byte a character.
    Narrow(Vec<u8>),
    /// Text with characters beyond Latin-1.
    Wide(Vec<u16>),
    /// So many bytes, which the submitter copies where the thread wants them.
    Promised(usize),
    /// Bytes that are where they are wanted.
    Landed(Arc<Landing>),
}

impl Payload {
    /// Bytes it takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Empty | Self::Promised(_) => 0,
            Self::Landed(landing) => landing.length(),
            Self::Narrow(bytes) => bytes.len(),
            Self::Wide(units) => units.len() * 2,
        }
    }
}

/// A task that has not run yet.
#[derive(Debug)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// Which function runs it, by a number that JavaScript gave.
    pub handler: i32,
    /// The encoding of the payload, for JavaScript.
    pub kind: i32,
    /// Above zero goes first, below zero last.
    pub priority: i32,
    /// Whether it is for one thread and no other.
    pub pinned: bool,
    /// What it is called with.
    pub payload: Payload,
    /// When it was submitted.
    pub submitted: Instant,
}

/// What a thread, or the end of it, made of a task.
#[derive(Debug)]
pub struct Completion {
    /// The task, or for news about the thread itself whatever the kind says.
    pub task: TaskId,
    /// The thread that ran it.
    pub thread: ThreadId,
    /// The pool of the thread.
    pub pool: u32,
    /// The encoding of the payload, for JavaScript.
    pub kind: i32,
    /// The result, or what was thrown.
    pub payload: Payload,
}
