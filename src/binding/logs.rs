//! The thread that moves what workers print; see `logs`.

use std::os::fd::IntoRawFd;
use std::time::Duration;

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use nix::errno::Errno;

use crate::logs::{Format, Layout, Pump, Stream};

/// What `LogPump.since` found.
#[napi(object)]
pub struct LogBatch {
    /// For the next call.
    pub next: f64,
    /// Whether older output was asked for than is kept.
    pub gap: bool,
    /// The oldest first.
    pub records: Vec<LogRecord>,
}

/// Some bytes that a worker printed.
#[napi(object)]
pub struct LogRecord {
    /// 0 is the supervisor.
    pub worker: u32,
    /// 1 or 2.
    pub stream: u32,
    /// Milliseconds since 1970.
    pub time: f64,
    /// As printed.
    pub text: Buffer,
}

/// Moves what workers print. It ends with the object, or by `finish`.
#[napi]
pub struct LogPump(Pump);

fn stream(number: u32) -> Stream {
    if number == 2 { Stream::Stderr } else { Stream::Stdout }
}

fn code(result: Result<i32, Errno>) -> i32 {
    result.unwrap_or_else(|errno| -(errno as i32))
}

#[napi]
impl LogPump {
    /// Starts the thread; `format` is `plain`, `prefix` or `json`, `time` whether a prefix begins with the time.
    #[napi(constructor)]
    pub fn new(format: String, time: bool) -> napi::Result<Self> {
        let format = match format.as_str() {
            "plain" => Format::Plain,
            "json" => Format::Json,
            _ => Format::Prefix,
        };
        Pump::start(Layout { format, time })
            .map(Self)
            .map_err(|errno| napi::Error::from_reason(format!("the log thread: {}", errno.desc())))
    }

    /// A descriptor for a process, of the place `worker`, to print to, which the caller closes; or a negative errno.
    #[napi]
    pub fn open(&self, worker: u32, process: u32, stream_number: u32) -> i32 {
        code(self.0.open(worker, process, stream(stream_number)).map(IntoRawFd::into_raw_fd))
    }

    /// Has what goes to a stream appended to this file from now on; 0 or a negative errno.
    #[napi]
    pub fn set_target(&self, stream_number: u32, path: String) -> i32 {
        code(self.0.set_target(stream(stream_number), &path).map(|()| 0))
    }

    /// Prints in the supervisor's name.
    #[napi]
    pub fn print(&self, stream_number: u32, text: String) {
        self.0.print(stream(stream_number), text.into_bytes());
    }

    /// What was printed from number `from` on, as far as it is kept; 0 for all of it.
    #[napi]
    pub fn since(&self, from: f64) -> LogBatch {
        let batch = self.0.since(from as u64);
        let records = batch.records.into_iter().map(|record| LogRecord {
            worker: record.worker,
            stream: if record.stream == Stream::Stderr { 2 } else { 1 },
            time: record.time as f64,
            text: record.text.into(),
        });
        LogBatch { next: batch.next as f64, gap: batch.gap, records: records.collect() }
    }

    /// The end of what a process printed to stderr.
    #[napi]
    pub fn tail(&self, process: u32) -> Buffer {
        self.0.tail(process).into()
    }

    /// Whether all of that has been read: nobody can print there any more.
    #[napi]
    pub fn is_read(&self, process: u32) -> bool {
        self.0.is_read(process)
    }

    /// How many bytes could not be written.
    #[napi(getter)]
    pub fn dropped(&self) -> f64 {
        self.0.dropped() as f64
    }

    /// Moves what was printed so far and ends the thread; false if that takes longer than `milliseconds`.
    #[napi]
    pub fn finish(&self, milliseconds: u32) -> bool {
        self.0.finish(Duration::from_millis(u64::from(milliseconds)))
    }
}
