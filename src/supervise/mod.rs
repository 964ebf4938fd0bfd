//! Supervision: what is decided about workers (`restart`, `health`, `scale`: pure), what is read of them (`sample`), and
//! the thread that watches, times and kills while JavaScript may be busy (`warden`, `watch`, `watched`).
//!
//! Of `cluster` it uses the memory that a worker shares with the primary (`cluster::load`), nothing else.

pub mod health;
pub mod restart;
pub mod sample;
pub mod scale;
pub mod warden;
mod watch;
pub mod watched;
