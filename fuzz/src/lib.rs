//! What each fuzz target does with its bytes. `cargo test` runs them too, on random ones: tests/fuzz.rs.

pub mod channel;
pub mod frame;
pub mod packet;
pub mod page;
pub mod parcel;
pub mod proxied;
pub mod ring;

/// Bytes from which a body makes its choices; none once they are used up.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub fn number<const N: usize>(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.bytes(N)?);
        Some(u64::from_le_bytes(bytes))
    }

    /// So many bytes, or what is left of them.
    pub fn up_to(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
