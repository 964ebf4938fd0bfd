//! Children for JavaScript: spawn, signal, reference, and the events of `process::registry`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::rc::{Rc, Weak};

use napi::bindgen_prelude::Int32Array;
use napi_derive::napi;
use nix::errno::Errno;

use super::extras::SpawnExtras;
use super::{Engine, Kind, State};
use crate::error::{Named, OsError, OsResult};
use crate::process::registry::Registry;
use crate::process::spawn::{self, Command, Stdio};
use crate::process::spawner;
use crate::process::tree;
use crate::sys::clone::ExecPlan;
use crate::sys::fd::copy_environment;
use crate::sys::pidfd::{Exit, Usage};
use crate::sys::uv::{Check, Poll};

/// `stdio` entries below zero, as `lib/child_process/stdio.js` writes them.
const STDIO_IGNORE: i32 = -1;
const STDIO_PIPE: i32 = -2;
const STDIO_CHANNEL: i32 = -3;

/// The children of one environment and the handles that watch them on its loop.
pub(crate) struct Children {
    // Closed before `registry`, whose descriptor the first watches.
    poll: Poll,
    check: Check,
    registry: RefCell<Registry>,
    /// This side's ends of pipes that JavaScript has not taken yet, by spawn: a thread that is terminated in the
    /// middle of a spawn must not leave them open.
    pipes: RefCell<HashMap<i32, Vec<(usize, OwnedFd)>>>,
    next_pipes: Cell<i32>,
}

impl Children {
    fn new(state: &Rc<State>) -> OsResult<Rc<Self>> {
        let registry = Registry::new()?;
        let weak = Rc::downgrade(state);
        let poll = Poll::new(state.uv_loop, registry.fd(), move |_| with(&weak, Children::on_ready))
            .named("uv_poll_init")?;
        let weak = Rc::downgrade(state);
        let check =
            Check::new(state.uv_loop, move || with(&weak, Children::on_check)).named("uv_check_init")?;
        poll.watch(true, false).named("uv_poll_start")?;
        // Until there is a child: a spawn that fails must not keep the loop alive.
        poll.set_ref(false);
        Ok(Rc::new(Self {
            poll,
            check,
            registry: RefCell::new(registry),
            pipes: RefCell::default(),
            next_pipes: Cell::default(),
        }))
    }

    fn on_ready(&self, state: &State) {
        self.registry.borrow_mut().poll();
        if self.registry.borrow().has_ended() {
            self.check.start();
        }
        self.report_started(state);
    }

    /// Runs after the turn's other input: what a child sent before it ended comes before its end.
    fn on_check(&self, state: &State) {
        self.check.stop();
        while let Some((id, ending)) = { self.registry.borrow_mut().next_ended() } {
            self.update_ref();
            state.last_usage.set(ending.map_or_else(Usage::default, |(_, usage)| usage));
            let (code, signal) = match ending {
                Some((Exit::Code(code), _)) => (code, 0),
                Some((Exit::Signal(signal), _)) => (0, signal),
                None => (-(Errno::ECHILD as i32), 0),
            };
            state.emit(Kind::ChildExited, id, code, signal);
        }
    }

    fn report_started(&self, state: &State) {
        while let Some((id, outcome)) = { self.registry.borrow_mut().next_started() } {
            self.update_ref();
            match outcome {
                Ok(()) => state.emit(Kind::ChildStarted, id, 0, 0),
                Err(failure) => state.emit(Kind::ChildNotStarted, id, -(failure.errno as i32), failure.step),
            }
        }
    }

    /// Keeps the pipes of one spawn until they are taken; returns their key.
    fn keep_pipes(&self, pipes: Vec<(usize, OwnedFd)>) -> i32 {
        let key = self.next_pipes.get();
        self.next_pipes.set(key.wrapping_add(1) & i32::MAX);
        if !pipes.is_empty() {
            self.pipes.borrow_mut().insert(key, pipes);
        }
        key
    }

    /// The pipe of one slot.
    fn take_pipe(&self, key: i32, slot: usize) -> Option<OwnedFd> {
        let mut kept = self.pipes.borrow_mut();
        let pipes = kept.get_mut(&key)?;
        let (_, pipe) = pipes.swap_remove(pipes.iter().position(|&(at, _)| at == slot)?);
        if pipes.is_empty() {
            kept.remove(&key);
        }
        Some(pipe)
    }

    fn update_ref(&self) {
        self.poll.set_ref(self.registry.borrow().holds_loop());
    }
}

/// Asks the registry of this environment; `None` where it has no children.
pub(super) fn with_registry<R>(engine: &Engine, ask: impl FnOnce(&Registry) -> R) -> Option<R> {
    let children = engine.state.children.borrow().clone()?;
    let registry = children.registry.borrow();
    Some(ask(&registry))
}

fn with(state: &Weak<State>, run: impl FnOnce(&Children, &State)) {
    if let Some(state) = state.upgrade() {
        // Cloned out of the cell: the callback may end the environment, which empties it.
        let children = state.children.borrow().clone();
        if let Some(children) = children {
            run(&children, &state);
        }
    }
}

/// What to run. Strings of a list each end in NUL, one after the other.
#[napi(object)]
pub struct SpawnOptions {
    /// Program name or path.
    pub file: String,
    /// Arguments, the first being the program's own name.
    pub args: String,
    /// Environment; what is absent is this process's own.
    pub env: Option<String>,
    /// Environment entries after those of `env`.
    pub extra_env: Option<String>,
    /// Working directory; this process's own if absent.
    pub cwd: Option<String>,
    /// Leader of a new session.
    pub detached: bool,
    /// User to become.
    pub uid: Option<u32>,
    /// Group to become.
    pub gid: Option<u32>,
    /// What Node has no option for.
    pub extras: Option<SpawnExtras>,
}

impl SpawnOptions {
    pub(super) fn into_command(self, stdio: &[i32]) -> Result<Command, Errno> {
        let mut env = self.env.map_or_else(copy_environment, String::into_bytes);
        env.extend(self.extra_env.unwrap_or_default().into_bytes());
        let cwd = self.cwd.map(|cwd| CString::new(cwd).map_err(|_| Errno::EINVAL)).transpose()?;
        let stdio = stdio
            .iter()
            .map(|&entry| match entry {
                STDIO_IGNORE => Stdio::Ignore,
                STDIO_PIPE => Stdio::Pipe,
                STDIO_CHANNEL => Stdio::Channel,
                fd => Stdio::Inherit(fd),
            })
            .collect();
        let mut plan = ExecPlan {
            args: self.args.into_bytes(),
            env,
            cwd,
            detached: self.detached,
            uid: self.uid,
            gid: self.gid,
            ..ExecPlan::default()
        };
        if let Some(extras) = self.extras {
            extras.apply(&mut plan)?;
        }
        Ok(Command { file: self.file.into_bytes(), plan, stdio })
    }
}

#[napi]
impl Engine {
    /// Starts a child without waiting for its exec.
    ///
    /// Arguments by position, not in an object: reading eleven properties takes as long as half the clone.
    /// `stdio` says for each descriptor of the child: -1 ignore, -2 pipe, -3 message channel, else a
    /// descriptor of this process.
    /// `result` receives the child's id, its pid, and the key by which `takePipe` gives this side's ends of the
    /// pipes, or -1 where none were made. Returns 0 or a negative errno.
    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn spawn(
        &self,
        stdio: Int32Array,
        mut result: Int32Array,
        file: String,
        args: String,
        env: Option<String>,
        extra_env: Option<String>,
        cwd: Option<String>,
        detached: bool,
        uid: Option<u32>,
        gid: Option<u32>,
        extras: Option<SpawnExtras>,
    ) -> i32 {
        let options = SpawnOptions { file, args, env, extra_env, cwd, detached, uid, gid, extras };
        // SAFETY: JavaScript passes arrays of its own and waits for this call.
        let result = unsafe { result.as_mut() };
        match self.try_spawn(options, &stdio, result) {
            Ok(()) => 0,
            Err(code) => code,
        }
    }

    fn try_spawn(&self, options: SpawnOptions, stdio: &[i32], result: &mut [i32]) -> Result<(), i32> {
        result[2] = -1;
        let children = self.children().map_err(OsError::code)?;
        let is_marked = options.extras.as_ref().is_some_and(|extras| extras.mark_tree.unwrap_or(false));
        let mut command = options.into_command(stdio).map_err(|errno| -(errno as i32))?;
        let mark = is_marked.then(tree::new_mark);
        if let Some(mark) = &mark {
            command.plan.env.extend(format!("{}={mark}\0", tree::MARK).into_bytes());
        }
        let run = if command.plan.die_with_parent { spawner::run_lasting } else { spawn::run };
        let running = run(command).map_err(OsError::code)?;
        result[2] = children.keep_pipes(running.pipes);
        let child = running.child.map_err(OsError::code)?;
        let pid = child.pid;
        let id = children.registry.borrow_mut().insert(child, mark).map_err(OsError::code)?;
        children.update_ref();
        result[0] = id as i32;
        result[1] = pid;
        Ok(())
    }

    /// This side's end of a pipe of a spawn, the caller's from now on; -1 if there is none.
    #[napi]
    pub fn take_pipe(&self, key: i32, slot: u32) -> i32 {
        let children = self.state.children.borrow();
        let pipe = children.as_ref().and_then(|children| children.take_pipe(key, slot as usize));
        pipe.map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// Closes what has not been taken of the pipes of a spawn.
    #[napi]
    pub fn drop_pipes(&self, key: i32) {
        if let Some(children) = &*self.state.children.borrow() {
            children.pipes.borrow_mut().remove(&key);
        }
    }

    fn children(&self) -> OsResult<Rc<Children>> {
        if let Some(children) = &*self.state.children.borrow() {
            return Ok(children.clone());
        }
        let children = Children::new(&self.state)?;
        self.state.children.replace(Some(children.clone()));
        Ok(children)
    }

    /// Waits until the outcome of a child's exec is known: 0, or the negative errno of its failure, with what the
    /// child was doing in `step[0]`. 1 if it was known already, and so has been reported.
    #[napi]
    pub fn settle(&self, id: u32, mut step: Int32Array) -> i32 {
        let Ok(children) = self.children() else { return 1 };
        let outcome = children.registry.borrow_mut().settle(id);
        children.update_ref();
        match outcome {
            None => 1,
            Some(Ok(())) => 0,
            Some(Err(failure)) => {
                // SAFETY: JavaScript passes an array of its own and waits for this call.
                let step = unsafe { step.as_mut() };
                step[0] = failure.step;
                -(failure.errno as i32)
            }
        }
    }

    /// Sends a signal to a child; returns 0 or a negative errno.
    #[napi]
    pub fn kill(&self, id: u32, signal: i32) -> i32 {
        let Ok(children) = self.children() else { return -(Errno::ESRCH as i32) };
        match children.registry.borrow().kill(id, signal) {
            Ok(()) => 0,
            Err(errno) => -(errno as i32),
        }
    }

    /// Chooses whether a child keeps the event loop alive.
    #[napi]
    pub fn set_ref(&self, id: u32, on: bool) {
        if let Ok(children) = self.children() {
            children.registry.borrow_mut().set_ref(id, on);
            children.update_ref();
        }
    }
}
