//! How a channel's messages leave its socket for a ring, and the lane of it that JavaScript writes to.

use std::os::fd::AsRawFd;

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, JsValue};
use napi_derive::napi;
use nix::errno::Errno;

use super::super::{Engine, State};
use crate::sys::call::Call;
use crate::sys::node::{self, Handle};

#[napi]
impl Engine {
    /// Makes a ring for a channel; returns its descriptor, to be sent to the other side but not the caller's, or
    /// a negative errno.
    #[napi]
    pub fn channel_offer_ring(&self, id: u32) -> i32 {
        self.with_channel(id, |channel| channel.offer_ring().map(|fd| fd.as_raw_fd()))
    }

    /// Opens the ring that came with the message being read, or refuses it. Returns 0 or a negative errno.
    #[napi]
    pub fn channel_open_ring(&self, id: u32, wanted: bool) -> i32 {
        self.with_channel(id, |channel| channel.open_ring(wanted).map(|()| 0))
    }

    /// Lets go of a ring that is not in use.
    #[napi]
    pub fn channel_drop_ring(&self, id: u32) {
        self.with_channel(id, |channel| {
            channel.drop_ring();
            Ok(0)
        });
    }

    /// Sends through the ring from now on.
    #[napi]
    pub fn channel_send_by_ring(&self, id: u32) {
        self.with_channel(id, |channel| {
            channel.send_by_ring();
            Ok(0)
        });
    }

    /// Receives through the ring from now on; called while the last message that came another way is read.
    #[napi]
    pub fn channel_receive_by_ring(&self, id: u32) {
        self.with_channel(id, |channel| {
            channel.receive_by_ring();
            Ok(0)
        });
    }

    /// Gives the ring's sending lane to JavaScript as an ArrayBuffer, through `take`, once for each channel.
    /// Returns false where there is no such thing.
    #[napi(ts_args_type = "id: number, take: (lane: ArrayBuffer) => void")]
    pub fn channel_share_lane(&self, env: &Env, id: u32, take: Function<'_>) -> bool {
        let Some(open) = self.state.channels.get(id) else { return false };
        let Some((part, _)) = open.channel.borrow().lend() else { return false };
        let Some(buffer) = node::array_buffer(Handle::new(env.raw().cast()), part) else { return false };
        self.state.context.call(Handle::new(take.raw().cast()), &[buffer]);
        true
    }

    /// Takes the memory of an ArrayBuffer of `channelShareLane` away.
    #[napi(ts_args_type = "lane: ArrayBuffer")]
    pub fn channel_unshare_lane(&self, env: &Env, lane: Unknown<'_>) {
        node::detach(Handle::new(env.raw().cast()), Handle::new(lane.raw().cast()));
    }
}

/// (channel): lends the lane, unless -1.
pub(super) fn lend_lane(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32);
    let lane = open.and_then(|open| open.channel.borrow().lend());
    call.new_float(lane.map_or(-1.0, |(_, written)| f64::from(written)))
}

/// (channel, bytes written): ends the loan.
pub(super) fn resume_lane(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32)?;
    open.channel.borrow_mut().resume(call.float(1) as u32);
    None
}

/// (channel)
pub(super) fn wake(state: &State, call: &Call) -> Option<Handle> {
    let open = state.channels.get(call.int(0) as u32);
    let woken = open.ok_or(Errno::EBADF).and_then(|open| open.channel.borrow().wake());
    call.new_int(woken.map_or_else(|errno| -(errno as i32), |()| 0))
}
