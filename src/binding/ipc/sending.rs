//! What JavaScript sends through a channel; lib/child_process/calls.js says what each function takes and returns.

use std::borrow::Cow;

use nix::errno::Errno;

use super::super::State;
use crate::ipc::channel::{Channel, Written};
use crate::sys::call::Call;
use crate::sys::fd;
use crate::sys::node::Handle;

/// (channel, line, descriptor)
pub(super) fn write_line(state: &State, call: &Call) -> Option<Handle> {
    let mut line = Vec::new();
    call.read_utf8(1, &mut line);
    line.push(b'\n');
    write_message(state, call, Ok(Cow::Owned(line)))
}

/// (channel, frame, descriptor)
pub(super) fn write_frame(state: &State, call: &Call) -> Option<Handle> {
    write_message(state, call, bytes(call).map(Cow::Borrowed))
}

fn write_message(state: &State, call: &Call, message: Result<Cow<'_, [u8]>, Errno>) -> Option<Handle> {
    let fd = call.int(2);
    write(state, call, |channel| {
        let message = message?;
        if fd < 0 {
            channel.write(message, None)
        } else {
            fd::with_borrowed(fd, |fd| channel.write(message, Some(fd))).and_then(|written| written)
        }
    })
}

/// (channel, bytes, where they end, how many messages they are)
pub(super) fn write_many(state: &State, call: &Call) -> Option<Handle> {
    write(state, call, |channel| channel.write_many(bytes_to(call)?, call.int(3) as usize))
}

/// (channel, head, where that ends, blocks)
pub(super) fn write_parts(state: &State, call: &Call) -> Option<Handle> {
    write(state, call, |channel| {
        let mut parts = vec![bytes_to(call)?];
        parts.extend(call.bytes_of_all(3).ok_or(Errno::EINVAL)?);
        channel.write_parts(&parts)
    })
}

/// (channel, parts)
pub(super) fn write_gathered(state: &State, call: &Call) -> Option<Handle> {
    write(state, call, |channel| channel.write_gathered(&call.bytes_of_all(1).ok_or(Errno::EINVAL)?))
}

fn bytes(call: &Call) -> Result<&[u8], Errno> {
    call.bytes(1).ok_or(Errno::EINVAL)
}

/// The bytes up to where the next argument says that they end.
fn bytes_to(call: &Call) -> Result<&[u8], Errno> {
    bytes(call)?.get(..call.int(2) as usize).ok_or(Errno::EINVAL)
}

fn write(
    state: &State,
    call: &Call,
    write: impl FnOnce(&mut Channel) -> Result<Written, Errno>,
) -> Option<Handle> {
    let written = state.channels.get(call.int(0) as u32).ok_or(Errno::EBADF).and_then(|open| {
        let mut channel = open.channel.borrow_mut();
        let written = write(&mut channel)?;
        if written == Written::Later {
            let waits_for_socket = channel.waits_for_socket();
            drop(channel);
            open.watch_writing(waits_for_socket);
        }
        Ok(written)
    });
    call.new_int(match written {
        Ok(Written::Now) => 0,
        Ok(Written::Later) => 1,
        Err(errno) => -(errno as i32),
    })
}

/// (channel)
pub(super) fn queued(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32);
    call.new_float(open.map_or(0, |open| open.channel.borrow().queued()) as f64)
}
