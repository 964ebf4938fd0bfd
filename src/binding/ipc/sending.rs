//! What JavaScript sends through a channel.

use std::borrow::Cow;

use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use nix::errno::Errno;

use super::super::Engine;
use crate::ipc::channel::{Channel, Written};
use crate::sys::fd;

#[napi]
impl Engine {
    /// Writes one line, to which it adds the newline. `fd` goes with it unless negative; the caller keeps its own.
    /// Returns 0 if it is written, 1 if it is queued, else a negative errno.
    #[napi]
    pub fn channel_write_line(&self, id: u32, line: String, fd: i32) -> i32 {
        let mut line = line.into_bytes();
        line.push(b'\n');
        self.write(id, Cow::Owned(line), fd)
    }

    /// Writes one frame, its length included, as `channelWriteLine` does.
    #[napi]
    pub fn channel_write_frame(&self, id: u32, frame: BufferSlice<'_>, fd: i32) -> i32 {
        self.write(id, Cow::Borrowed(&frame), fd)
    }

    /// Writes `count` messages, which end at `length` of `bytes`, as `channelWriteLine` does.
    #[napi]
    pub fn channel_write_many(&self, id: u32, bytes: BufferSlice<'_>, length: u32, count: u32) -> i32 {
        let bytes = bytes.get(..length as usize).unwrap_or_default();
        self.write_with(id, |channel| channel.write_many(bytes, count as usize))
    }

    /// Writes one message of a ring that consists of several parts, each padded to 8 bytes, as `channelWriteLine`
    /// does.
    #[napi]
    pub fn channel_write_parts(&self, id: u32, head: BufferSlice<'_>, blocks: Vec<BufferSlice<'_>>) -> i32 {
        let mut parts: Vec<&[u8]> = vec![&head];
        parts.extend(blocks.iter().map(|block| &**block));
        self.write_with(id, |channel| channel.write_parts(&parts))
    }

    /// Writes one message of the socket that consists of several parts, its length included, as `channelWriteLine`
    /// does.
    #[napi]
    pub fn channel_write_gathered(&self, id: u32, parts: Vec<BufferSlice<'_>>) -> i32 {
        let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
        self.write_with(id, |channel| channel.write_gathered(&parts))
    }

    fn write(&self, id: u32, message: Cow<'_, [u8]>, fd: i32) -> i32 {
        self.write_with(id, |channel| {
            if fd < 0 {
                channel.write(message, None)
            } else {
                fd::with_borrowed(fd, |fd| channel.write(message, Some(fd))).and_then(|written| written)
            }
        })
    }

    fn write_with(&self, id: u32, write: impl FnOnce(&mut Channel) -> Result<Written, Errno>) -> i32 {
        let Some(open) = self.state.channels.get(id) else { return -(Errno::EBADF as i32) };
        let mut channel = open.channel.borrow_mut();
        match write(&mut channel) {
            Ok(Written::Now) => 0,
            Ok(Written::Later) => {
                let waits_for_socket = channel.waits_for_socket();
                drop(channel);
                open.watch_writing(waits_for_socket);
                1
            }
            Err(errno) => -(errno as i32),
        }
    }
}
