//! Everything that needs hand-written `unsafe`, one mechanism a file; nothing else in the crate has any.
//!
//! Required of a platform: `clone` (a child that shares memory until its exec), `pidfd` (a child as a file
//! descriptor), `uv` (watching descriptors on Node's loop) and `node` (calling back into JavaScript).

pub mod activity;
pub mod cache;
pub mod call;
pub mod clone;
pub mod fd;
mod forced;
pub mod heap;
pub mod interrupt;
pub mod landing;
pub mod lent;
pub mod linger;
pub mod malloc;
pub mod node;
pub mod orphan;
pub mod pidfd;
mod raw;
pub mod ring_memory;
pub mod scm;
pub mod shared;
pub mod shm;
mod signals;
pub mod socket;
mod symbols;
pub mod thread;
pub mod uv;
pub mod wake;
