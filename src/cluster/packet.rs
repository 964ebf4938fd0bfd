//! What the primary and a worker say on the hand-off socket: 12 bytes, with a descriptor or without.
//!
//! The two ends come from the same primary's start-up, but a rolling deploy may mix versions: an unknown
//! kind is ignored by either end.

/// One message on the hand-off socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// What it says.
    pub kind: Kind,
    /// The worker's number for the server, from its `queryServer`. Other kinds say what it is.
    pub token: u32,
    /// The primary's number for the listener; 0 where only the token is known. Other kinds say what it is.
    pub listener: u32,
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Primary to worker: here is a connection.
    Connection = 1,
    /// Worker to primary: the server of `token` takes connections from now on. `listener` is 0, or says that it can
    /// take turns: in the slot of this number less one.
    Ready = 2,
    /// Worker to primary: take back this connection, if there is one, and send none until the next `Ready`. Without a
    /// connection `listener` is `CLOSE_DOOR`, `TAKE_BACK` or 0.
    Refused = 3,
    /// Primary to worker: with it comes the memory that the worker's load is told in.
    Load = 4,
    /// Worker to primary: it wants to talk to the worker that JavaScript calls `token`.
    Meet = 5,
    /// Primary to worker: here is a socket to the worker that JavaScript calls `token`. `listener` is 1 if this end
    /// asked for it, else 0.
    Peer = 6,
    /// Primary to worker: there is no worker that JavaScript calls `token`.
    Absent = 7,
    /// Worker to primary: which other workers are there? `token` is the number of the question.
    List = 8,
    /// Primary to worker: in answer to question `token`, the worker that JavaScript calls `listener`; 0 ends the list.
    Listed = 9,
    /// Primary to worker: with it comes the event descriptor by which it is woken for its turns.
    Bell = 10,
    /// Primary to worker: with it comes the listening socket at which the server of `token` has turns.
    Door = 11,
    /// Worker to primary: it has gone on, as the primary wanted to know.
    News = 12,
}

/// Of a `Refused`: the server has no more to do with its slot.
pub const CLOSE_DOOR: u32 = 1;
/// Of a `Refused`: the worker cannot receive what is in its socket.
pub const TAKE_BACK: u32 = 2;

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
            5 => Kind::Meet,
            6 => Kind::Peer,
            7 => Kind::Absent,
            8 => Kind::List,
            9 => Kind::Listed,
            10 => Kind::Bell,
            11 => Kind::Door,
            12 => Kind::News,
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
        let kinds = [
            Kind::Connection,
            Kind::Ready,
            Kind::Refused,
            Kind::Load,
            Kind::Meet,
            Kind::Peer,
            Kind::Absent,
            Kind::List,
            Kind::Listed,
            Kind::Bell,
            Kind::Door,
            Kind::News,
        ];
        for kind in kinds {
            let packet = Packet { kind, token: 7, listener: u32::MAX };
            assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }
        assert_eq!(Packet::decode(&[0; LENGTH]), None);
        assert_eq!(Packet::decode(&[1; LENGTH]), None);
        assert_eq!(Packet::decode(&[1, 0, 0, 0]), None);
    }
}
