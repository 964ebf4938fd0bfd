//! Supervision for JavaScript: in the primary the decisions and the warden, in a worker what it tells of itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use napi::Env;
use napi::bindgen_prelude::{Float64Array, Function, FunctionRef};
use napi_derive::napi;
use nix::errno::Errno;

use super::process::with_registry;
use super::{Engine, Kind, State};
use crate::cluster::load::{self, told};
use crate::supervise::health::Limits;
use crate::supervise::restart::{self, Backoff, Decision, Ended, History, Policy, Restart};
use crate::supervise::sample;
use crate::supervise::scale::Rule;
use crate::supervise::warden::{Event, Warden};
use crate::supervise::watched::Process;
use crate::sys::heap;
use crate::sys::interrupt::Isolate;
use crate::sys::uv::Poll;
use crate::sys::wake::Wake;

/// `superviseDecide` where it is not milliseconds to wait.
const LEAVE: i32 = -1;
const GIVE_UP_PLACE: i32 = -2;
const GIVE_UP_APP: i32 = -3;

/// The supervisors of one environment.
#[derive(Default)]
pub(super) struct Supervision {
    side: RefCell<Option<Rc<Side>>>,
    groups: RefCell<HashMap<u32, Group>>,
    /// Of the workers that are watched.
    loads: RefCell<HashMap<u32, Arc<load::Load>>>,
    /// Where each worker that was stuck was.
    stacks: RefCell<HashMap<u32, String>>,
}

struct Side {
    // Closed before `warden`, whose descriptor it watches.
    poll: Poll,
    warden: Warden,
}

struct Group {
    policy: Policy,
    places: HashMap<u32, History>,
    all: History,
}

impl Supervision {
    /// Lets go of everything on the loop.
    pub(super) fn close(&self) {
        self.side.take();
        *capture() = None;
    }
}

impl Side {
    fn new(state: &Rc<State>) -> Result<Rc<Self>, Errno> {
        let warden = Warden::new()?;
        let weak = Rc::downgrade(state);
        let poll = {
            let wake: &Wake = warden.wake();
            use std::os::fd::AsFd;
            Poll::new(state.uv_loop, wake.as_fd(), move |_| on_ready(&weak))?
        };
        poll.watch(true, false)?;
        poll.set_ref(false);
        Ok(Rc::new(Self { poll, warden }))
    }
}

fn on_ready(state: &Weak<State>) {
    let Some(state) = state.upgrade() else { return };
    let side = state.supervision.side.borrow().clone();
    let Some(side) = side else { return };
    side.warden.wake().clear();
    while let Some(event) = side.warden.next_event() {
        match event {
            Event::Due(timer) => state.emit(Kind::SuperviseDue, timer, 0, 0),
            Event::Killed(worker) => state.emit(Kind::SuperviseKilled, worker, 0, 0),
            Event::Hung { worker, silent_for, state: letter, stack } => {
                if let Some(stack) = stack {
                    state.supervision.stacks.borrow_mut().insert(worker, stack);
                }
                let silent_for = i32::try_from(silent_for).unwrap_or(i32::MAX);
                state.emit(Kind::SuperviseHung, worker, silent_for, letter as i32);
            }
            // In KiB where it is memory: a number that fits.
            Event::Over(worker, trouble, value) => {
                use crate::supervise::health::Trouble;
                let value = if trouble == Trouble::Requests { value } else { value / 1024.0 };
                state.emit(Kind::SuperviseOver, worker, trouble as i32, value as i32);
            }
            Event::Scale(group, count, utilisation) => {
                state.emit(Kind::SuperviseScale, group, count as i32, (utilisation * 1000.0) as i32);
            }
        }
    }
}

#[napi]
impl Engine {
    fn supervisor_side(&self) -> Result<Rc<Side>, Errno> {
        if let Some(side) = &*self.state.supervision.side.borrow() {
            return Ok(side.clone());
        }
        let side = Side::new(&self.state)?;
        self.state.supervision.side.replace(Some(side.clone()));
        Ok(side)
    }

    fn with_warden(&self, call: impl FnOnce(&Warden)) {
        if let Ok(side) = self.supervisor_side() {
            call(&side.warden);
        }
    }

    /// Sets the rules for the restarts of a group: 0 permanent, 1 transient, 2 temporary. Times in milliseconds.
    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn supervise_policy(
        &self,
        group: u32,
        restart: u32,
        intensity: u32,
        app_intensity: u32,
        period: f64,
        backoff_min: f64,
        backoff_max: f64,
        backoff_factor: f64,
        backoff_jitter: f64,
    ) {
        let policy = Policy {
            restart: match restart {
                0 => Restart::Permanent,
                1 => Restart::Transient,
                _ => Restart::Temporary,
            },
            intensity,
            app_intensity,
            period: period as u64,
            backoff: Backoff {
                min: backoff_min as u64,
                max: backoff_max as u64,
                factor: backoff_factor,
                jitter: backoff_jitter,
            },
        };
        let mut groups = self.state.supervision.groups.borrow_mut();
        let group = groups.entry(group).or_insert_with(|| Group {
            policy,
            places: HashMap::new(),
            all: History::default(),
        });
        group.policy = policy;
    }

    /// Forgets a group.
    #[napi]
    pub fn supervise_forget(&self, group: u32) {
        self.state.supervision.groups.borrow_mut().remove(&group);
        self.with_warden(|warden| warden.set_group(group, 0, None));
    }

    /// A worker has ended that nobody told to: milliseconds to wait before it is started again, -1 not to, -2 to give
    /// up its place, -3 to give up all.
    #[napi]
    pub fn supervise_decide(
        &self,
        group: u32,
        place: u32,
        is_normal: bool,
        was_ready: bool,
        random: f64,
    ) -> i32 {
        let mut groups = self.state.supervision.groups.borrow_mut();
        let Some(Group { policy, places, all }) = groups.get_mut(&group) else { return LEAVE };
        let history = places.entry(place).or_default();
        match restart::decide(policy, history, all, Ended { is_normal, was_ready, random }, load::now()) {
            Decision::Start(after) => i32::try_from(after).unwrap_or(i32::MAX),
            Decision::Leave => LEAVE,
            Decision::GiveUpPlace => GIVE_UP_PLACE,
            Decision::GiveUpApp => GIVE_UP_APP,
        }
    }

    /// Has the warden watch a child, which is worker number `handoff` of the cluster (or none, below 0); its number.
    #[napi]
    pub fn supervise_watch(&self, child: u32, handoff: i32, group: u32) -> i32 {
        let Some(Some((pid, mark))) = with_registry(self, |registry| registry.identity(child)) else {
            return -(Errno::ESRCH as i32);
        };
        let load = u32::try_from(handoff).ok().and_then(|worker| self.load_of(worker));
        match self.supervisor_side() {
            Ok(side) => {
                let worker = side.warden.watch(Process::of_child(pid, mark), load.clone(), group);
                if let Some(load) = load {
                    self.state.supervision.loads.borrow_mut().insert(worker, load);
                }
                worker as i32
            }
            Err(errno) => -(errno as i32),
        }
    }

    /// Forgets a worker that has ended.
    #[napi]
    pub fn supervise_unwatch(&self, worker: u32) {
        self.state.supervision.loads.borrow_mut().remove(&worker);
        self.state.supervision.stacks.borrow_mut().remove(&worker);
        self.with_warden(|warden| warden.unwatch(worker));
    }

    /// Sets the limits of a worker, 0 for none: milliseconds that its loop may be stuck, bytes of memory, bytes of heap
    /// (up to 1 a share of what V8 allows), requests.
    #[napi]
    pub fn supervise_limits(&self, worker: u32, hang: f64, rss: f64, heap: f64, requests: f64) {
        let limits = Limits { hang: hang as u64, rss: rss as u64, heap, requests: requests as u64 };
        self.with_warden(|warden| warden.set_limits(worker, limits));
    }

    /// Whether a worker counts for the use of its group.
    #[napi]
    pub fn supervise_ready(&self, worker: u32, ready: bool) {
        self.with_warden(|warden| warden.set_ready(worker, ready));
    }

    /// Kills a worker and all that came from it after so many milliseconds; below 0 not any more.
    #[napi]
    pub fn supervise_deadline(&self, worker: u32, after: f64) {
        self.with_warden(|warden| warden.set_deadline(worker, (after >= 0.0).then_some(after as u64)));
    }

    /// Has `SuperviseDue` come after so many milliseconds; the number it has then.
    #[napi]
    pub fn supervise_timer(&self, after: f64) -> i32 {
        match self.supervisor_side() {
            Ok(side) => side.warden.time(after.max(0.0) as u64) as i32,
            Err(errno) => -(errno as i32),
        }
    }

    /// A timer that is not wanted any more.
    #[napi]
    pub fn supervise_cancel(&self, timer: u32) {
        self.with_warden(|warden| warden.cancel(timer));
    }

    /// How many workers a group has, and the rule by which that changes; `max` 0 for no rule.
    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn supervise_group(
        &self,
        group: u32,
        wanted: u32,
        min: u32,
        max: u32,
        target: f64,
        up_after: f64,
        down_after: f64,
    ) {
        let rule = Rule { min, max, target, up_after: up_after as u64, down_after: down_after as u64 };
        self.with_warden(|warden| warden.set_group(group, wanted, (max > 0).then_some(rule)));
    }

    /// Whether supervision keeps the loop alive.
    #[napi]
    pub fn supervise_hold(&self, on: bool) {
        if let Ok(side) = self.supervisor_side() {
            side.poll.set_ref(on);
        }
    }

    /// Where a worker that was stuck was, if it could be told.
    #[napi]
    pub fn supervise_stack(&self, worker: u32) -> Option<String> {
        self.state.supervision.stacks.borrow_mut().remove(&worker)
    }

    /// What the kernel knows of a process: seconds in user mode and in the kernel, bytes of memory. Empty once it has gone.
    #[napi]
    pub fn supervise_sample(&self, pid: i32) -> Vec<f64> {
        sample::read(pid).map_or_else(Vec::new, |sample| vec![sample.user, sample.system, sample.rss as f64])
    }

    /// Bytes of memory of a process, what is shared by its share; -1 where the kernel does not tell.
    #[napi]
    pub fn supervise_pss(&self, pid: i32) -> f64 {
        sample::pss(pid).map_or(-1.0, |bytes| bytes as f64)
    }

    /// What a watched worker has told of itself, in the order of `lib/supervisor/numbers.js`.
    #[napi]
    pub fn supervise_told(&self, worker: u32) -> Vec<f64> {
        let loads = self.state.supervision.loads.borrow();
        loads.get(&worker).map_or_else(Vec::new, |load| load.told().to_vec())
    }

    /// In a worker: tells these numbers.
    #[napi]
    pub fn supervise_tell(&self, numbers: Float64Array) {
        self.with_load(|load| load.tell(&numbers));
    }

    /// In a worker: tells of its collections, and of a heap that nears its limit, which gets some more room once so
    /// that there is time to replace it. Whether that works here.
    #[napi]
    pub fn supervise_heap(&self) -> bool {
        static WATCHER: heap::Watcher =
            heap::Watcher { near_limit: on_near_limit, collection: on_collection };
        let Some(load) = self.own_load() else { return false };
        OWN_LOAD.set(load).is_ok() && heap::watch(&WATCHER)
    }

    /// In a worker: has `stack`, which gives where it is called from, called whenever the primary asks where this
    /// worker's JavaScript is. Whether that works here.
    #[napi(ts_args_type = "stack: () => string")]
    pub fn supervise_answer(&self, env: Env, stack: Function<(), String>) -> napi::Result<bool> {
        let Some(load) = self.own_load() else { return Ok(false) };
        let Some(isolate) = Isolate::current() else { return Ok(false) };
        let stack = stack.create_ref()?;
        ANSWER.set(Some(Rc::new(Answer { env, stack, load: load.clone() })));
        *capture() = Some(isolate);
        let watching = std::thread::Builder::new().name("rcluster-stack".into()).stack_size(128 * 1024);
        let started = watching.spawn(move || {
            let mut seen = 0;
            loop {
                seen = load.wait_for_question(seen);
                match &*capture() {
                    Some(isolate) => isolate.interrupt(answer),
                    None => return,
                }
            }
        });
        Ok(started.is_ok())
    }
}

/// Where the heap of this process is told of.
static OWN_LOAD: OnceLock<Arc<load::Load>> = OnceLock::new();

/// How far beyond its first limit a heap may grow while its worker is replaced.
const HEAP_MARGIN: usize = 2;

/// Runs in the midst of a collection.
fn on_near_limit(limit: usize, initial: usize) -> usize {
    if let Some(load) = OWN_LOAD.get() {
        load.note_more(told::NEAR_HEAP_LIMIT, 1.0);
    }
    (limit + initial / 4).min(initial.saturating_mul(HEAP_MARGIN)).max(limit)
}

thread_local! {
    static COLLECTION_BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs at both ends of a collection.
fn on_collection(begins: bool) {
    if begins {
        COLLECTION_BEGAN.set(Some(Instant::now()));
    } else if let (Some(began), Some(load)) = (COLLECTION_BEGAN.take(), OWN_LOAD.get()) {
        load.note_more(told::GC_COUNT, 1.0);
        load.note_more(told::GC_TIME, began.elapsed().as_secs_f64());
    }
}

/// How the primary's question is answered, on the thread of JavaScript.
struct Answer {
    env: Env,
    stack: FunctionRef<(), String>,
    load: Arc<load::Load>,
}

thread_local! {
    static ANSWER: RefCell<Option<Rc<Answer>>> = const { RefCell::new(None) };
}

/// What is interrupted, until its environment ends. The lock is held for as long as an interrupt is asked for, so that
/// the isolate cannot end meanwhile.
fn capture() -> std::sync::MutexGuard<'static, Option<Isolate>> {
    static CAPTURE: Mutex<Option<Isolate>> = Mutex::new(None);
    CAPTURE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs in the midst of JavaScript.
fn answer() {
    let Some(answer) = ANSWER.with_borrow(Clone::clone) else { return };
    let text = answer.env.run_in_scope(|| answer.stack.borrow_back(&answer.env)?.call(()));
    if let Ok(text) = text {
        answer.load.answer_stack(&text);
    }
}
