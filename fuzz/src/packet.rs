//! What comes out of a hand-off socket is one of the packets that may go in, or nothing.

use rcluster::cluster::packet::{LENGTH, Packet};

pub fn run(data: &[u8]) {
    let packet = Packet::decode(data);
    assert!(packet.is_none() || data.len() == LENGTH);
    if let Some(packet) = packet {
        assert_eq!(packet.encode(), data);
    }
    for bytes in data.chunks(LENGTH) {
        if let Some(packet) = Packet::decode(bytes) {
            assert_eq!(packet.encode(), bytes);
        }
    }
}
