//! A peer that overwrites the shared memory between any two steps of the other side.

#![no_main]

use std::cell::RefCell;
use std::os::fd::AsFd;

use libfuzzer_sys::fuzz_target;
use rcluster::ipc::ring::{LENGTH, Ring, SIZE};
use rcluster::sys::ring_memory::Memory;

thread_local! {
    static RINGS: RefCell<(Ring, Memory)> = RefCell::new({
        let (ring, fd) = Ring::create().unwrap();
        (ring, Memory::open(fd.as_fd(), LENGTH).unwrap())
    });
}

fuzz_target!(|steps: Vec<(u8, u32, u16)>| {
    RINGS.with_borrow_mut(|(ring, memory)| {
        let mut bytes = Vec::new();
        for (step, number, short) in steps {
            let length = (number as usize) % (2 * SIZE);
            bytes.clear();
            match step % 8 {
                // The first page of either lane is its header.
                0 => memory.write((short as usize % 2) * (4096 + SIZE), &number.to_ne_bytes()),
                1 => memory.write(64 + (short as usize % 2) * (4096 + SIZE), &number.to_ne_bytes()),
                2 => memory.write(short as usize % 256, &number.to_ne_bytes()),
                3 => {
                    let data = vec![step; length];
                    if let Ok(count) = ring.producer.push(&data) {
                        assert!(count <= SIZE && count <= length);
                    }
                }
                4 => {
                    if let Ok(count) = ring.consumer.pop(length, &mut bytes) {
                        assert_eq!(count, bytes.len());
                        assert!(count <= SIZE && count <= length);
                    }
                }
                5 => drop(ring.producer.wait_for_room()),
                6 => drop(ring.consumer.sleep()),
                _ => {
                    ring.producer.must_wake();
                    ring.consumer.must_wake();
                }
            }
        }
    });
});
