//! The cluster: listening sockets, the accept thread that hands connections over, the worker that adopts them.
//!
//! A connection goes listener → accept thread → (Unix socket, SCM_RIGHTS) → worker's event loop. Neither the
//! primary's JavaScript nor the message channel is in its path, but for workers that never load this addon:
//! theirs go up to JavaScript, as `primary::Event::Connection`, and over the channel as Node's own do.

mod acceptor;
mod client;
pub mod listener;
pub mod load;
pub mod pace;
pub mod packet;
pub mod primary;
pub mod proxied;
pub mod schedule;
pub mod turns;
pub mod worker;
