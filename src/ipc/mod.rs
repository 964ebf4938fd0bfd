//! Message channels between processes, on Node's own wire; pure but for `channel`, which owns the socket.

pub mod channel;
pub mod frame;
pub mod handle;
pub mod outgoing;
