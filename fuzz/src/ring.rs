//! A peer that overwrites the shared memory between any two steps of the other side.

use std::os::fd::AsFd;

use rcluster::ipc::ring::{LENGTH, Place, Ring, SIZE};
use rcluster::sys::ring_memory::Memory;

use super::Input;

const HEADER: usize = 4096;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(is_maker) = input.byte().map(|byte| byte & 1 == 0) else { return };
    let (mut ring, memory) = if is_maker {
        let (ring, fd) = Ring::create().unwrap();
        (ring, Memory::open(fd.as_fd(), LENGTH).unwrap())
    } else {
        let (memory, fd) = Memory::create(LENGTH).unwrap();
        (Ring::open(fd.as_fd()).unwrap(), memory)
    };
    let mut bytes = Vec::new();
    while let (Some(step), Some(number), Some(short)) = (input.byte(), input.number::<4>(), input.byte()) {
        let number = number as u32;
        let length = number as usize % (2 * SIZE);
        // The first page of either lane is its header.
        let lane = usize::from(short % 2) * (HEADER + SIZE);
        let place = if step & 16 == 0 { Place::Next } else { Place::Front };
        bytes.clear();
        match step % 12 {
            0 => memory.write(lane, &number.to_ne_bytes()),
            1 => memory.write(lane + 64, &number.to_ne_bytes()),
            2 => memory.write(lane + usize::from(short), &number.to_ne_bytes()),
            // A count that may be.
            3 => memory.write(lane + 64 * usize::from(short & 2 != 0), &(number % 4096).to_ne_bytes()),
            4 => {
                let data = vec![step; length];
                if let Ok(count) = ring.producer.push(&data, place) {
                    assert!(count <= SIZE && count <= length);
                }
            }
            5 => {
                if let Ok(count) = ring.consumer.pop(length, &mut bytes) {
                    assert_eq!(count, bytes.len());
                    assert!(count <= SIZE && count <= length);
                }
            }
            6 => drop(ring.producer.wait_for_room(place)),
            7 => drop(ring.consumer.sleep()),
            8 => {
                for count in [ring.producer.room(place), ring.consumer.available()].into_iter().flatten() {
                    assert!(count <= SIZE);
                }
            }
            // A jump.
            9 => memory.write(lane + 256 + 64 * usize::from(short & 2 != 0), &number.to_ne_bytes()),
            10 => memory.write(lane + 256 + 64 * usize::from(short & 2 != 0), &(number % 4096).to_ne_bytes()),
            _ => {
                ring.producer.must_wake();
                ring.consumer.must_wake();
            }
        }
    }
}
