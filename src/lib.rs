//! The native side of rcluster.

mod binding;
pub mod cluster;
pub mod error;
pub mod ipc;
pub mod process;
pub mod sys;
