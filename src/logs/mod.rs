//! What workers print, on its way to the terminal or to files, without passing through JavaScript.
//!
//! One thread owns the reading ends of all workers' pipes. It cuts what arrives into lines, labels them and writes
//! them, so that lines of two workers never mix, and keeps the latest for `rcluster logs` and for the report of a
//! worker that crashed.

mod history;
mod lines;
mod pump;
mod time;

pub use history::{Batch, Record};
pub use lines::{Format, Layout};
pub use pump::{Pump, Stream};
