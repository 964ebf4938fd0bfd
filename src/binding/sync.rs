//! Children for `spawnSync`: started, fed, read and collected within one call.

use std::time::Duration;

use napi::Either;
use napi::bindgen_prelude::{Buffer, Int32Array, Null, Uint8Array};
use napi_derive::napi;

use super::Engine;
use super::process::SpawnOptions;
use crate::process::sync::{self, Finished, Limits};
use crate::sys::pidfd::Exit;

/// What ends a child early.
#[napi(object)]
pub struct SyncLimits {
    /// Milliseconds it may take; 0 is no limit.
    pub timeout: f64,
    /// Bytes it may write; 0 is no limit.
    pub max_buffer: f64,
    /// Signal sent where it exceeds one of them.
    pub kill_signal: i32,
}

/// How it went, in the terms of Node's own `spawnSync`.
#[napi(object)]
pub struct SyncResult {
    /// 0, or a negative errno.
    pub error: i32,
    /// What the child was doing when it gave up before its exec: 0 for the exec itself.
    pub step: i32,
    /// Exit code, where it exited.
    pub status: Option<i32>,
    /// Signal number, where one ended it.
    pub signal: Option<i32>,
    /// By slot: what a pipe gave, or null. Absent where no child was started.
    pub output: Option<Vec<Either<Buffer, Null>>>,
    /// Process id, 0 where no child was started.
    pub pid: i32,
}

impl SyncResult {
    fn not_started(error: i32, step: i32) -> Self {
        Self { error, step, status: None, signal: None, output: None, pid: 0 }
    }
}

impl From<Finished> for SyncResult {
    fn from(finished: Finished) -> Self {
        let error = finished.error.map_or(0, |errno| -(errno as i32));
        if let Some(step) = finished.failed_step {
            return Self::not_started(error, step);
        }
        let (status, signal) = match finished.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let output = finished.output.into_iter().map(|slot| match slot {
            Some(data) => Either::A(Buffer::from(data)),
            None => Either::B(Null),
        });
        Self { error, step: 0, status, signal, output: Some(output.collect()), pid: finished.pid }
    }
}

#[napi]
impl Engine {
    /// Runs a child to its end. `stdio` as for `spawn`; `inputs` has what is to be written, by slot: a pipe
    /// with an input, be it empty, is written to, any other is read.
    #[napi]
    pub fn spawn_sync(
        &self,
        options: SpawnOptions,
        stdio: Int32Array,
        inputs: Vec<Option<Uint8Array>>,
        limits: SyncLimits,
    ) -> SyncResult {
        let command = match options.into_command(&stdio) {
            Ok(command) => command,
            Err(errno) => return SyncResult::not_started(-(errno as i32), 0),
        };
        let inputs: Vec<Option<&[u8]>> = inputs.iter().map(|input| input.as_deref()).collect();
        let limits = Limits {
            timeout: (limits.timeout > 0.0).then(|| {
                // A time beyond what a clock can hold is no limit in practice.
                Duration::try_from_secs_f64(limits.timeout / 1000.0).unwrap_or(Duration::from_secs(1 << 40))
            }),
            max_output: (limits.max_buffer > 0.0).then_some(limits.max_buffer),
            kill_signal: limits.kill_signal,
        };
        match sync::run(command, &inputs, limits) {
            Ok(finished) => finished.into(),
            Err(error) => SyncResult::not_started(error.code(), 0),
        }
    }
}
