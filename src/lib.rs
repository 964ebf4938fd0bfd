//! The native side of rcluster.

#[cfg(not(loom))]
mod binding;
pub mod cluster;
pub mod error;
pub mod host;
pub mod ipc;
pub mod logs;
pub mod pool;
pub mod process;
pub mod supervise;
pub mod sys;
