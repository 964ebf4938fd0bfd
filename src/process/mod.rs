//! Child processes: what to run (`command`), running it (`spawn`), and knowing when it ended (`registry`).

pub mod command;
mod orphans;
pub mod registry;
pub mod spawn;
pub mod spawner;
pub mod sync;
pub mod tree;
pub mod usage;
