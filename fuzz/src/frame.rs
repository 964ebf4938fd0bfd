//! The decoder of messages, parcels among them, against one that looks at everything at once; and the memory of large
//! ones, which comes back.

use rcluster::ipc::frame::{Decoder, Framing};
use rcluster::ipc::parcel::Parcel;
use rcluster::ipc::recycled;

use super::Input;

const MARK: u8 = 1;

/// More than a message of this size is not made up.
const MOST: usize = 1 << 19;

/// How much of `bytes`, from the start, is whole messages, and how long the parcel is that is next.
fn expected(framing: Framing, parcels: bool, bytes: &[u8]) -> (usize, Option<usize>) {
    match framing {
        Framing::Lines => {
            if let Some(at) = bytes.iter().position(|&byte| parcels && byte == MARK) {
                let length = bytes
                    .get(4..8)
                    .filter(|_| at == 0)
                    .map(|length| 8 + u32::from_le_bytes(length.try_into().unwrap()) as usize);
                return (at, length.filter(|&length| length <= bytes.len()));
            }
            (bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1), None)
        }
        Framing::Lengths => {
            let mut end = 0;
            while let Some((header, rest)) = bytes[end..].split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*header) as usize;
                if rest.len() < length {
                    break;
                }
                end += 4 + length;
            }
            (end, None)
        }
    }
}

/// What `whole` is as one list.
fn expected_list(framing: Framing, whole: &[u8]) -> Option<Vec<u8>> {
    let mut texts = Vec::new();
    let mut rest = whole;
    while let (Framing::Lengths, Some((header, behind))) = (framing, rest.split_first_chunk::<4>()) {
        let (text, behind) = behind.split_at(u32::from_be_bytes(*header) as usize);
        if matches!(text.first(), None | Some(0xff | &MARK)) {
            return None;
        }
        texts.extend([text, b"\n"].concat());
        rest = behind;
    }
    texts.extend_from_slice(rest);
    (!whole.is_empty()).then(|| [b"[", &texts[..], b"0]"].concat())
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(kind) = input.byte() else { return };
    let framing = if kind & 1 == 0 { Framing::Lines } else { Framing::Lengths };
    let parcels = kind & 2 != 0;
    let mut decoder = if parcels { Decoder::with_parcels(framing) } else { Decoder::new(framing) };
    // All that has come and is not taken yet.
    let mut rest = Vec::new();
    let mut left = MOST;
    while let Some(step) = input.byte() {
        let mut push = |bytes: &[u8]| {
            if let Some(less) = left.checked_sub(bytes.len()) {
                left = less;
                rest.extend_from_slice(bytes);
                decoder.push(bytes);
            }
        };
        match step % 10 {
            0 | 1 => {
                let length = input.byte().unwrap_or_default();
                push(input.up_to(usize::from(length)));
            }
            2 => {
                let (Some(byte), Some(length)) = (input.byte(), input.number::<2>()) else { return };
                push(&vec![byte; length as usize * 2]);
            }
            3 => push(&input.number::<2>().map_or(0, |length| length as u32).to_be_bytes()),
            4 => push(&input.number::<4>().map_or(0, |length| length as u32).to_be_bytes()),
            5 => {
                let Some(length) = input.number::<3>() else { return };
                push(&[&[MARK, 0, 0, 0][..], &(length as u32 % (1 << 19)).to_le_bytes()].concat());
            }
            6 => {
                let whole = decoder.whole().to_vec();
                assert_eq!(whole, rest[..whole.len()]);
                decoder.consume();
                rest.drain(..whole.len());
            }
            7 => {
                let taken = decoder.take();
                assert_eq!(taken, rest[..taken.len()]);
                rest.drain(..taken.len());
                recycled::give(taken);
            }
            8 => {
                let (_, length) = expected(framing, parcels, &rest);
                let parcel = decoder.take_parcel();
                assert_eq!(parcel.as_ref().map(Vec::len), length);
                if let Some(parcel) = parcel {
                    assert_eq!(parcel, rest[..parcel.len()]);
                    rest.drain(..parcel.len());
                    let _ = Parcel::parse(&parcel);
                    recycled::give(parcel);
                }
            }
            9 if kind & 4 != 0 => {
                let whole = decoder.whole().to_vec();
                let list = decoder.take_list();
                assert_eq!(list, expected_list(framing, &whole));
                if list.is_some() {
                    rest.drain(..whole.len());
                }
            }
            _ => {
                recycled::release();
            }
        }
        let (whole, parcel) = expected(framing, parcels, &rest);
        assert_eq!(decoder.whole(), &rest[..whole]);
        assert_eq!(decoder.is_ready(), whole > 0 || parcel.is_some());
        assert_eq!(decoder.is_partial(), rest.len() > whole);
        assert_eq!(decoder.partial_len(), rest.len() - whole);
        assert_eq!(decoder.has_parcel(), parcel.is_some());
    }
}
