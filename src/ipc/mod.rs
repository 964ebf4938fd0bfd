//! Message channels between processes: Node's own wire, and a faster one through shared memory. Pure but for
//! `channel`, which owns the socket, and `ring`, which owns the memory.

pub mod channel;
pub mod frame;
pub mod handle;
pub mod outgoing;
pub mod parcel;
pub mod recycled;
pub mod ring;
