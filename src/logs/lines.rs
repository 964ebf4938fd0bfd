//! Cutting output into lines and labelling them: bytes in, bytes out.

use super::pump::Stream;
use super::time;

/// A line that is longer is cut, so that a worker that never ends its line does not fill the memory.
const MAX_LINE: usize = 1 << 20;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As it was printed.
    Plain,
    /// `1 | text`: the worker's number before it.
    #[default]
    Prefix,
    /// `{"time":"...","worker":1,"stream":"stdout","line":"text"}`.
    Json,
}

/// How all lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// What surrounds the text.
    pub format: Format,
    /// Whether `Prefix` begins with the time; `Json` always has it.
    pub time: bool,
}

/// What one worker has printed on one stream, up to the line that is not complete yet.
#[derive(Debug)]
pub(super) struct Lines {
    worker: u32,
    process: u32,
    stream: Stream,
    partial: Vec<u8>,
}

impl Lines {
    /// Worker 0 is the supervisor itself.
    pub(super) fn new(worker: u32, process: u32, stream: Stream) -> Self {
        Self { worker, process, stream, partial: Vec::new() }
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    pub(super) fn worker(&self) -> u32 {
        self.worker
    }

    pub(super) fn stream(&self) -> Stream {
        self.stream
    }

    /// Takes what was printed at `now` (milliseconds since 1970) and appends the lines it completes to `output`.
    pub(super) fn push(&mut self, printed: &[u8], layout: Layout, now: u64, output: &mut Vec<u8>) {
        let Some(end) = memchr::memrchr(b'\n', printed) else {
            self.partial.extend_from_slice(printed);
            if self.partial.len() >= MAX_LINE {
                self.finish(layout, now, output);
            }
            return;
        };
        let (complete, rest) = printed.split_at(end + 1);
        if layout.format == Format::Plain {
            output.append(&mut self.partial);
            output.extend_from_slice(complete);
        } else {
            let label = self.label(layout, now);
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', complete) {
                let line = &complete[start..end];
                start = end + 1;
                if self.partial.is_empty() {
                    write_line(layout, &label, line, output);
                } else {
                    self.partial.extend_from_slice(line);
                    write_line(layout, &label, &self.partial, output);
                    self.partial.clear();
                }
            }
        }
        self.partial.extend_from_slice(rest);
    }

    /// Appends the line that was never completed, if there is one.
    pub(super) fn finish(&mut self, layout: Layout, now: u64, output: &mut Vec<u8>) {
        if self.partial.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.partial);
        write_line(layout, &self.label(layout, now), &line, output);
    }

    /// What stands before the text of a line.
    fn label(&self, layout: Layout, now: u64) -> Vec<u8> {
        let text = match layout.format {
            Format::Plain => String::new(),
            Format::Prefix => {
                let time = if layout.time { format!("{} ", time::iso(now)) } else { String::new() };
                match self.worker {
                    0 => format!("{time}rcluster | "),
                    worker => format!("{time}{worker} | "),
                }
            }
            Format::Json => {
                let (time, stream) = (time::iso(now), self.stream.name());
                let worker = if self.worker == 0 { "null".to_owned() } else { self.worker.to_string() };
                format!(r#"{{"time":"{time}","worker":{worker},"stream":"{stream}","line":"#)
            }
        };
        text.into_bytes()
    }
}

fn write_line(layout: Layout, label: &[u8], line: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(label);
    if layout.format == Format::Json {
        // Into memory it cannot fail.
        let _ = serde_json::to_writer(&mut *output, &String::from_utf8_lossy(line));
        output.push(b'}');
    } else {
        output.extend_from_slice(line);
    }
    output.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(format: Format) -> Layout {
        Layout { format, time: false }
    }

    /// What becomes of `pieces`, printed one after the other.
    fn printed(format: Format, pieces: &[&[u8]]) -> String {
        let mut lines = Lines::new(7, 1, Stream::Stdout);
        let mut output = Vec::new();
        for piece in pieces {
            lines.push(piece, layout(format), 0, &mut output);
        }
        lines.finish(layout(format), 0, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn every_line_is_labelled_however_it_arrives() {
        let whole = "7 | one\n7 | \n7 | two\n7 | three\n";
        assert_eq!(printed(Format::Prefix, &[b"one\n\ntwo\nthree"]), whole);
        assert_eq!(printed(Format::Prefix, &[b"o", b"ne", b"\n\ntw", b"o\nthree\n"]), whole);
        let bytes: Vec<&[u8]> = b"one\n\ntwo\nthree".chunks(1).collect();
        assert_eq!(printed(Format::Prefix, &bytes), whole);
        assert_eq!(printed(Format::Plain, &bytes), "one\n\ntwo\nthree\n");
    }

    #[test]
    fn json_lines_are_json_whatever_was_printed() {
        let text = printed(Format::Json, &[b"a \"quoted\" \x1b[1mword\xff\n"]);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["line"], "a \"quoted\" \u{1b}[1mword\u{fffd}");
        assert_eq!(line["worker"], 7);
        assert_eq!(line["stream"], "stdout");
        assert_eq!(line["time"], "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::new(1, 1, Stream::Stderr);
        let mut output = Vec::new();
        for _ in 0..40 {
            lines.push(&[b'x'; 1 << 16], layout(Format::Prefix), 0, &mut output);
        }
        assert_eq!(output.iter().filter(|&&byte| byte == b'\n').count(), 2);
        assert!(lines.partial.len() < MAX_LINE);
    }

    #[test]
    fn the_supervisor_is_no_worker() {
        let mut output = Vec::new();
        let timed = Layout { format: Format::Prefix, time: true };
        Lines::new(0, 0, Stream::Stderr).push(b"started\n", timed, 0, &mut output);
        assert_eq!(output, b"1970-01-01T00:00:00.000Z rcluster | started\n");
    }
}
