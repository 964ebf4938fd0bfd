//! The native side of rcluster.

mod binding;
pub mod error;
pub mod process;
pub mod sys;
