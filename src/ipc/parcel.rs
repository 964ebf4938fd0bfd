//! What is in a parcel: a message as JSON without its large strings, and these. Pure; lib/child_process/parcels.js
//! writes them and describes the format.

use std::ops::Range;

/// Mark, length, length of the skeleton, number of blocks.
const HEADER: usize = 16;

/// Kind and length.
const BLOCK_HEADER: usize = 8;

const PADDED: usize = 8;

const LATIN1: u32 = 0;
const UTF16: u32 = 1;

/// Where the parts of a parcel are.
#[derive(Debug, PartialEq, Eq)]
pub struct Parcel {
    /// JSON.
    pub skeleton: Range<usize>,
    /// In the order in which they were sent.
    pub blocks: Vec<Block>,
}

/// A string.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it is.
    pub range: Range<usize>,
    /// Whether each character takes two bytes, little endian, instead of one.
    pub is_wide: bool,
}

impl Parcel {
    /// Finds the parts; `None` where the numbers cannot be.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let inside = |start: usize, length: u32| {
            let end = start.checked_add(length as usize)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let count = number(12)? as usize;
        let start =
            HEADER.checked_add(count.checked_mul(BLOCK_HEADER)?).filter(|&start| start <= bytes.len())?;
        let skeleton = inside(start, number(8)?)?;
        let mut blocks = Vec::with_capacity(count);
        let mut at = skeleton.end.next_multiple_of(PADDED);
        for index in 0..count {
            let header = HEADER + index * BLOCK_HEADER;
            let (kind, length) = (number(header)?, number(header + 4)?);
            let range = inside(at, length)?;
            at = range.end.next_multiple_of(PADDED);
            let is_wide = match kind {
                LATIN1 => false,
                UTF16 if length.is_multiple_of(2) => true,
                _ => return None,
            };
            blocks.push(Block { range, is_wide });
        }
        Some(Self { skeleton, blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_and_none_lies_outside() {
        let numbers = [1, 40, 3, 2, LATIN1, 5, UTF16, 2];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number: &u32| number.to_le_bytes()).collect();
        bytes.extend_from_slice(b"[0]\0\0\0\0\0hello\0\0\0x\0");
        let blocks = vec![Block { range: 40..45, is_wide: false }, Block { range: 48..50, is_wide: true }];
        assert_eq!(Parcel::parse(&bytes), Some(Parcel { skeleton: 32..35, blocks }));
        for length in 0..bytes.len() {
            assert_eq!(Parcel::parse(&bytes[..length]), None);
        }
        for at in 8..32 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let parsed = Parcel::parse(&damaged);
            let is_inside =
                |parcel: &Parcel| parcel.blocks.iter().all(|block| block.range.end <= bytes.len());
            assert!(parsed.as_ref().is_none_or(is_inside));
        }
    }
}
