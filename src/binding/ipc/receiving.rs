//! What has arrived at a channel, for JavaScript to take.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use napi_derive::napi;

use super::super::{Engine, State};
use super::Open;
use crate::ipc::handle::HandleKind;
use crate::ipc::parcel::{Block, Parcel};
use crate::ipc::recycled;
use crate::sys::call::Call;
use crate::sys::lent::Lent;
use crate::sys::node::Handle;

/// From which size handing memory to JavaScript is cheaper than a copy.
const HANDED_OVER: usize = 16 * 1024;

/// A handle that came with a message.
#[napi(object)]
pub struct ReceivedHandle {
    /// The descriptor, the caller's from now on.
    pub fd: i32,
    /// 'tcp', 'pipe' or 'udp'.
    pub kind: String,
}

/// (channel): takes the lines that have arrived.
pub(super) fn take_lines(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32)?;
    let mut channel = open.channel.borrow_mut();
    let decoder = channel.decoder();
    let text = call.new_utf8(decoder.whole());
    decoder.consume();
    text
}

/// (channel): takes what has arrived by a ring: a list, frames or a parcel.
pub(super) fn take(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32)?;
    let mut channel = open.channel.borrow_mut();
    let decoder = channel.decoder();
    if let Some(list) = decoder.take_list() {
        return call.new_utf8(&list);
    }
    if let Some(parcel) = decoder.take_parcel() {
        drop(channel);
        return open_parcel(state, call, parcel);
    }
    drop(channel);
    take_frames(state, call)
}

/// (channel): takes the frames that have arrived.
pub(super) fn take_frames(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32)?;
    let mut channel = open.channel.borrow_mut();
    let decoder = channel.decoder();
    if decoder.whole().is_empty() {
        return None;
    }
    if decoder.whole().len() < HANDED_OVER {
        let frames = call.new_buffer(decoder.whole());
        decoder.consume();
        return frames;
    }
    let frames = Lent::new(decoder.take(), recycled::give, Arc::default());
    drop(channel);
    state.channels.keep_memory_for_a_while(state);
    frames.into_buffer(call.env()).or_else(|frames| call.new_buffer(frames.bytes()).ok_or(frames)).ok()
}

#[napi]
impl Engine {
    /// Takes the oldest handle received that no message has claimed, if it is of a kind that Node knows.
    #[napi]
    pub fn channel_take_handle(&self, id: u32) -> Option<ReceivedHandle> {
        let open = self.state.channels.get(id)?;
        let fd = self.next_descriptor(&open)?;
        let kind = HandleKind::of(fd.as_fd())?;
        Some(ReceivedHandle { fd: fd.into_raw_fd(), kind: kind.name().to_owned() })
    }

    /// The descriptor of a message from the ring was sent ahead of it, but may not have been read yet.
    fn next_descriptor(&self, open: &Open) -> Option<OwnedFd> {
        if let Some(fd) = open.channel.borrow_mut().next_descriptor() {
            return Some(fd);
        }
        if open.channel.borrow().receives_by_ring() {
            self.state.channels.read(open, false);
        }
        open.channel.borrow_mut().next_descriptor()
    }
}

/// The skeleton of a parcel and its strings; nothing where it is none.
fn open_parcel(state: &State, call: &Call, bytes: Vec<u8>) -> Option<Handle> {
    state.channels.keep_memory_for_a_while(state);
    let freed = state.channels.strings_freed.clone();
    // Else the garbage collector, which takes such strings for small, lets gigabytes of them collect.
    let change = bytes.len() as i64 - freed.swap(0, Ordering::Relaxed) as i64;
    state.env.adjust_external_memory(change).ok()?;
    let lent = Lent::new(bytes, recycled::give, freed);
    let Some(parcel) = Parcel::parse(lent.bytes()) else { return call.new_list(&[]) };
    let mut values = vec![call.new_utf8(&lent.bytes()[parcel.skeleton])?];
    for block in parcel.blocks {
        values.push(string_of(call, &lent, block)?);
    }
    call.new_list(&values)
}

/// A block of a parcel as a string, without a copy where the host allows it.
fn string_of(call: &Call, lent: &Arc<Lent>, Block { range, is_wide }: Block) -> Option<Handle> {
    if let Some(string) = lent.string(call.env(), range.clone(), is_wide) {
        return Some(string);
    }
    let bytes = &lent.bytes()[range];
    if is_wide {
        let units: Vec<u16> =
            bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        call.new_utf16(&units)
    } else {
        call.new_latin1(bytes)
    }
}
