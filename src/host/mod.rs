//! What a program that runs others owes to its machine: its control socket, systemd, the duties of process 1.

pub mod control;
pub mod notify;
pub mod reaper;
