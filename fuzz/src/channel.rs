//! A whole channel with a peer that keeps to nothing: bytes, descriptors and ends on the socket, anything in the ring,
//! at any time between any two things this side does.

use std::borrow::Cow;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rcluster::ipc::channel::{Channel, READ_SIZE};
use rcluster::ipc::frame::Framing;
use rcluster::ipc::handle::HandleKind;
use rcluster::ipc::parcel::Parcel;
use rcluster::ipc::ring::{LENGTH, SIZE};
use rcluster::sys::ring_memory::Memory;
use rcluster::sys::scm;

use super::Input;

const HEADER: usize = 4096;

struct Peer {
    socket: Option<OwnedFd>,
    memory: Option<Memory>,
    /// Bytes written to the lane that this side reads, as an honest peer counts them.
    written: u32,
}

impl Peer {
    fn send(&self, bytes: &[u8], fd: Option<&OwnedFd>) {
        if let Some(socket) = &self.socket {
            let _ = scm::send(socket.as_fd(), bytes, fd.map(AsFd::as_fd));
        }
    }

    fn drain(&self, buffer: &mut [u8]) {
        if let Some(socket) = &self.socket {
            while scm::receive(socket.as_fd(), buffer).is_ok_and(|(length, _)| length > 0) {}
        }
    }

    /// Writes bytes to the ring, and tells of them.
    fn write(&mut self, lane: usize, bytes: &[u8]) {
        let Some(memory) = &self.memory else { return };
        let place = self.written as usize % SIZE;
        let length = bytes.len().min(SIZE - place);
        memory.write(lane + HEADER + place, &bytes[..length]);
        self.written = self.written.wrapping_add(length as u32);
        memory.write(lane, &self.written.to_ne_bytes());
    }
}

pub fn run(data: &[u8]) {
    let lowest = lowest_descriptor();
    play(data);
    // Other tests open and close descriptors at the same time; a fuzzer runs alone.
    if cfg!(fuzzing) {
        assert_eq!(lowest_descriptor(), lowest, "a descriptor is left open");
    }
}

fn lowest_descriptor() -> i32 {
    File::open("/dev/null").unwrap().as_raw_fd()
}

/// Takes what has arrived, as the binding does.
fn take(channel: &mut Channel, how: u8) {
    let decoder = channel.decoder();
    match how % 3 {
        0 => decoder.consume(),
        1 => drop(decoder.take()),
        _ => {
            if let Some(parcel) = decoder.take_parcel() {
                let _ = Parcel::parse(&parcel);
            }
        }
    }
}

fn play(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(kind) = input.byte() else { return };
    let framing = if kind & 1 == 0 { Framing::Lines } else { Framing::Lengths };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags).unwrap();
    let mut channel = Channel::new(ours, framing);
    let mut peer = Peer { socket: Some(theirs), memory: None, written: 0 };
    let mut buffer = vec![0; READ_SIZE];
    let mut has_ended = false;
    let is_maker = kind & 2 == 0;
    // The lane by which the peer sends: who makes the memory sends by the first.
    let (theirs, ours) = if is_maker { (HEADER + SIZE, 0) } else { (0, HEADER + SIZE) };
    if kind & 4 == 0 {
        if is_maker {
            let fd = channel.offer_ring().unwrap().try_clone_to_owned().unwrap();
            peer.memory = Memory::open(fd.as_fd(), LENGTH).ok();
        } else {
            let (memory, fd) = Memory::create(LENGTH).unwrap();
            peer.memory = Some(memory);
            peer.send(b"\n", Some(&fd));
            channel.read(&mut buffer, false);
            channel.open_ring(true).unwrap();
        }
        channel.send_by_ring();
        channel.receive_by_ring();
    }
    // Bounds the work of one run.
    for _ in 0..200 {
        let (Some(step), Some(how)) = (input.byte(), input.byte()) else { return };
        match step % 24 {
            0 => peer.send(input.up_to(usize::from(how)), None),
            1 => peer.send(input.up_to(usize::from(how)), Some(&descriptor(how))),
            2 => {
                let (Some(byte), Some(count)) = (input.byte(), input.number::<2>()) else { return };
                peer.send(&vec![byte; count as usize], None);
            }
            3 => peer.drain(&mut buffer),
            4 if how < 16 => peer.socket = None,
            5 | 6 => peer.write(theirs, input.up_to(usize::from(how))),
            7 => {
                let (Some(byte), Some(count)) = (input.byte(), input.number::<2>()) else { return };
                peer.write(theirs, &vec![byte; count as usize * 4]);
            }
            8 => {
                let (Some(at), Some(number)) = (input.byte(), input.number::<4>()) else { return };
                let lane = if how & 1 == 0 { ours } else { theirs };
                if let Some(memory) = &peer.memory {
                    memory.write(lane + usize::from(at), &(number as u32).to_ne_bytes());
                }
            }
            // The peer has read so much more.
            9 => {
                if let Some(memory) = &peer.memory {
                    let read = memory.number(ours + 64);
                    read.fetch_add(u32::from(how) << 8, std::sync::atomic::Ordering::Relaxed);
                }
            }
            10 | 11 => {
                if !has_ended && channel.read(&mut buffer, how & 1 != 0).is_some() {
                    has_ended = true;
                }
            }
            12 | 13 => {
                if channel.receive().is_ok() {
                    take(&mut channel, how);
                }
            }
            14 => take(&mut channel, how),
            15 => {
                let message = vec![b'x'; usize::from(how) * 8];
                let _ = channel.write(Cow::Borrowed(&message), None);
            }
            16 => {
                let fd = descriptor(how);
                let _ = channel.write(Cow::Borrowed(b"with\n"), Some(fd.as_fd()));
            }
            17 => {
                let _ = channel.write(Cow::Owned(vec![how; usize::from(how) << 12]), None);
            }
            18 => {
                let block = vec![how; usize::from(how) << 8];
                let _ = channel.write_parts(&[input.up_to(8), &block, &block[..block.len() / 3]]);
            }
            19 => drop(channel.flush()),
            20 => match how % 6 {
                0 => drop(channel.open_ring(how & 64 == 0)),
                1 => channel.receive_by_ring(),
                2 => channel.send_by_ring(),
                3 => channel.drop_ring(),
                4 if how > 240 => channel.set_limit(1000),
                _ => {
                    if let Some(fd) = channel.next_descriptor() {
                        let _ = HandleKind::of(fd.as_fd());
                    }
                }
            },
            21 => drop(channel.sleep()),
            22 => {
                let _ = channel.wake();
                let _ = channel.has_come();
            }
            _ => {
                if let Some((_, written)) = channel.lend() {
                    channel.resume(written);
                }
            }
        }
        assert!(channel.queued() <= 200 << 20);
    }
}

/// One of several kinds, some of which could be taken for a ring's memory.
fn descriptor(how: u8) -> OwnedFd {
    let memory = |length: usize| Memory::create(NonZeroUsize::new(length).unwrap()).unwrap().1;
    match how % 5 {
        0 => memory(LENGTH.get()),
        1 => memory(4096),
        2 => socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap().0,
        3 => nix::unistd::pipe().unwrap().1,
        _ => File::open("/dev/null").unwrap().into(),
    }
}
