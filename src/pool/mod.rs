//! The task queue of the worker-thread pool, shared by all isolates of the process.
//!
//! A `Pool` belongs to the environment that made it, its hub; threads of other environments take tasks from it.
//! Tasks go down in batches. A thread takes a batch into its `Table`, where each task is claimed just before it
//! runs, so that whoever is idle can take back what waits behind a long one. Completions go to the hub's inbox,
//! with at most one wake-up under way.
//!
//! **Invariant:** while a task waits anywhere, no thread that may run it sleeps without having been woken.
//! Nothing in here knows Node, JavaScript or the loop: payloads are bytes.

pub mod dispatch;
pub mod histogram;
pub mod hub;
pub mod queue;
pub mod seat;
mod sync;
pub mod table;
pub mod task;
pub mod text;

#[cfg(test)]
mod tests;
