//! The parts of a parcel lie inside it, in order and apart, whatever its numbers say; and what was put in comes out.

use rcluster::ipc::parcel::{Block, Parcel};

use super::Input;

const HEADER: usize = 16;
const BLOCK_HEADER: usize = 8;

fn check(bytes: &[u8]) -> Option<Parcel> {
    let parcel = Parcel::parse(bytes)?;
    let mut at = HEADER + parcel.blocks.len() * BLOCK_HEADER;
    let ranges = std::iter::once(&parcel.skeleton).chain(parcel.blocks.iter().map(|block| &block.range));
    for range in ranges {
        assert!(at <= range.start && range.start <= range.end && range.end <= bytes.len());
        at = range.end;
    }
    for Block { range, is_wide } in &parcel.blocks {
        assert!(range.start.is_multiple_of(8));
        assert!(!is_wide || range.len().is_multiple_of(2));
    }
    Some(parcel)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

pub fn run(data: &[u8]) {
    check(data);

    let mut input = Input::new(data);
    let (Some(length), Some(count)) = (input.byte(), input.byte()) else { return };
    let skeleton = input.up_to(usize::from(length));
    let blocks: Vec<(bool, &[u8])> = (0..count % 16)
        .map_while(|_| Some((input.byte()? & 1 != 0, usize::from(input.byte()?))))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(is_wide, length)| (is_wide, input.up_to(if is_wide { length & !1 } else { length })))
        .map(|(is_wide, text)| (is_wide && text.len().is_multiple_of(2), text))
        .collect();
    let mut bytes: Vec<u8> = [1, 0, skeleton.len() as u32, blocks.len() as u32]
        .into_iter()
        .chain(blocks.iter().flat_map(|(is_wide, text)| [u32::from(*is_wide), text.len() as u32]))
        .flat_map(u32::to_le_bytes)
        .collect();
    bytes.extend_from_slice(skeleton);
    for (_, text) in &blocks {
        pad(&mut bytes);
        bytes.extend_from_slice(text);
    }
    let parcel = check(&bytes).expect("a parcel that is well made");
    assert_eq!(&bytes[parcel.skeleton], skeleton);
    assert_eq!(parcel.blocks.len(), blocks.len());
    for (found, (is_wide, text)) in parcel.blocks.iter().zip(&blocks) {
        assert_eq!((found.is_wide, &bytes[found.range.clone()]), (*is_wide, *text));
    }
    // One number after the other is made wrong.
    while let (Some(place), Some(number)) = (input.byte(), input.number::<4>()) {
        let numbers = 4 + 2 * blocks.len();
        let at = usize::from(place) % numbers * 4;
        bytes[at..at + 4].copy_from_slice(&(number as u32).to_le_bytes());
        check(&bytes);
    }
}
