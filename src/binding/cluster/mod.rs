//! The cluster for JavaScript: in the primary listeners and workers, in a worker the connections it adopts.

mod listen;
mod primary;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

use self::primary::PrimarySide;
use self::worker::WorkerSide;
use super::{Body, Engine, Kind, State};

/// The cluster state of one environment.
#[derive(Default)]
pub(super) struct Cluster {
    primary: RefCell<Option<Rc<PrimarySide>>>,
    worker: RefCell<Option<Rc<WorkerSide>>>,
}

impl Cluster {
    /// Lets go of everything on the loop.
    pub(super) fn close(&self) {
        self.primary.take();
        self.worker.take();
    }
}
