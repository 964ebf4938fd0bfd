//! What the primary and a worker say on the hand-off socket: 12 bytes, with a connection or without.
//!
//! The two ends come from the same primary's start-up, but a rolling deploy may mix versions: an unknown
//! kind is ignored by either end.

/// One message on the hand-off socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// What it says.
    pub kind: Kind,
    /// The worker's number for the server, from its `queryServer`.
    pub token: u32,
    /// The primary's number for the listener; 0 where only the token is known.
    pub listener: u32,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Primary to worker: here is a connection.
    Connection = 1,
    /// Worker to primary: the server of `token` takes connections from now on.
    Ready = 2,
    /// Worker to primary: take this connection back, and send none until the next `Ready`.
    Refused = 3,
    /// Primary to worker: with it comes the memory that the worker's load is told in.
    Load = 4,
}

/// Length of an encoded packet.
pub const LENGTH: usize = 12;

impl Packet {
    /// The bytes on the socket.
    pub fn encode(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&(self.kind as u32).to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.token.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.listener.to_ne_bytes());
        bytes
    }

    /// Reads what `encode` wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let kind = match word(0) {
            1 => Kind::Connection,
            2 => Kind::Ready,
            3 => Kind::Refused,
            4 => Kind::Load,
            _ => return None,
        };
        Some(Self { kind, token: word(4), listener: word(8) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_anything_else_is_refused() {
        for kind in [Kind::Connection, Kind::Ready, Kind::Refused, Kind::Load] {
            let packet = Packet { kind, token: 7, listener: u32::MAX };
            assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }
        assert_eq!(Packet::decode(&[0; LENGTH]), None);
        assert_eq!(Packet::decode(&[1; LENGTH]), None);
        assert_eq!(Packet::decode(&[1, 0, 0, 0]), None);
    }
}
