//! The decoder of frames against one that looks at everything at once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rcluster::ipc::frame::{Decoder, Framing};

/// How much of `bytes`, from the start, is whole messages.
fn whole(framing: Framing, bytes: &[u8]) -> usize {
    match framing {
        Framing::Lines => bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
        Framing::Lengths => {
            let mut end = 0;
            while let Some((header, rest)) = bytes[end..].split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*header) as usize;
                if rest.len() < length {
                    break;
                }
                end += 4 + length;
            }
            end
        }
    }
}

fuzz_target!(|input: (bool, Vec<(Vec<u8>, bool)>)| {
    let (is_advanced, pieces) = input;
    let framing = if is_advanced { Framing::Lengths } else { Framing::Lines };
    let mut decoder = Decoder::new(framing);
    let (mut all, mut out) = (Vec::new(), Vec::new());
    for (piece, takes) in pieces {
        all.extend_from_slice(&piece);
        decoder.push(&piece);
        if takes {
            out.extend(decoder.take());
        } else {
            out.extend_from_slice(decoder.whole());
            decoder.consume();
        }
        assert_eq!(out.len(), whole(framing, &all));
        assert_eq!(decoder.is_partial(), out.len() < all.len());
    }
    assert!(all.starts_with(&out));
});
