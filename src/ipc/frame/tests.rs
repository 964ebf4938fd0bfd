use super::*;

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// What comes out when `stream` arrives in these pieces, emptied after each.
fn decoded(
    framing: Framing,
    pieces: &[&[u8]],
    empty: impl Fn(&mut Decoder, &mut Vec<u8>),
) -> (Vec<u8>, bool) {
    let mut decoder = Decoder::new(framing);
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        empty(&mut decoder, &mut out);
    }
    (out, decoder.is_partial())
}

fn by_consume(decoder: &mut Decoder, out: &mut Vec<u8>) {
    out.extend_from_slice(decoder.whole());
    decoder.consume();
}

fn by_take(decoder: &mut Decoder, out: &mut Vec<u8>) {
    out.extend(decoder.take());
}

#[test]
fn every_split_gives_the_same_messages() {
    let lines = b"{\"a\":1}\n\"\xc3\xa9\"\n\n3\n".to_vec();
    let frames = [frame(b"one"), frame(b""), frame(&[0; 300]), frame(b"\n")].concat();
    for (framing, stream) in [(Framing::Lines, lines), (Framing::Lengths, frames)] {
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(decoded(framing, &pieces, by_consume), (stream.clone(), false));
                assert_eq!(decoded(framing, &pieces, by_take), (stream.clone(), false));
            }
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decoded(framing, &bytes, by_consume), (stream.clone(), false));
    }
}

#[test]
fn what_is_longer_than_the_limit_is_not_given_out_however_it_arrives() {
    let cases = [
        (Framing::Lines, b"123\n12345\n1\n".to_vec(), 6, 4),
        (Framing::Lengths, [frame(b"123"), frame(b"12345"), frame(b"1")].concat(), 9, 7),
    ];
    for (framing, stream, length, before) in cases {
        for limit in [length, length - 1] {
            for cut in 0..=stream.len() {
                let mut decoder = Decoder::new(framing);
                decoder.set_limit(limit);
                decoder.push(&stream[..cut]);
                decoder.push(&stream[cut..]);
                let expected = if limit == length { stream.len() } else { before };
                assert_eq!((decoder.whole().len(), decoder.is_over()), (expected, limit < length));
                decoder.consume();
                assert!(!decoder.is_ready());
            }
        }
    }
    let mut decoder = Decoder::with_parcels(Framing::Lines);
    decoder.set_limit(3);
    decoder.push(b"1\n\x01\0\0\0\x04\0\0\0abcd");
    assert_eq!((decoder.whole(), decoder.is_over()), (&b"1\n"[..], true));
    decoder.consume();
    assert_eq!(decoder.take_parcel(), None);
}

#[test]
fn part_of_a_message_is_kept_back() {
    let mut decoder = Decoder::new(Framing::Lines);
    decoder.push(b"1\n2");
    assert_eq!((decoder.whole(), decoder.is_partial()), (&b"1\n"[..], true));
    decoder.consume();
    assert_eq!((decoder.whole(), decoder.is_partial()), (&b""[..], true));
    decoder.push(b"3\n");
    assert_eq!((decoder.take(), decoder.is_partial()), (b"23\n".to_vec(), false));

    let mut decoder = Decoder::new(Framing::Lengths);
    decoder.push(&[frame(b"one"), vec![0, 0]].concat());
    assert_eq!((decoder.take(), decoder.is_partial()), (frame(b"one"), true));
    decoder.push(&[0, 2, b'x']);
    assert_eq!((decoder.whole(), decoder.is_partial()), (&b""[..], true));
    decoder.push(b"y");
    assert_eq!(decoder.take(), frame(b"xy"));
}

#[test]
fn what_is_coming_is_known_by_its_length() {
    let mut frames = Decoder::with_parcels(Framing::Lengths);
    assert_eq!(frames.coming(), 0);
    frames.push(&[frame(b"xy"), frame(&[b'x'; 1000])[..6].to_vec()].concat());
    assert_eq!((frames.coming(), frames.ready_len()), (1004, 6));
    let mut lines = Decoder::with_parcels(Framing::Lines);
    lines.push(b"{},\n\x01\0\0\0\x10\0\0\0ab");
    assert_eq!((lines.coming(), lines.ready_len()), (24, 4));
    lines.consume();
    lines.push(&[b'x'; 14]);
    assert_eq!((lines.coming(), lines.ready_len()), (24, 24));
}

#[test]
fn whole_messages_of_a_ring_are_one_list() {
    let mut lines = Decoder::with_parcels(Framing::Lines);
    assert_eq!(lines.take_list(), None);
    lines.push(b"{},\n0,1,\n[2]");
    assert_eq!(lines.take_list().unwrap(), b"[{},\n0,1,\n0]");
    lines.push(b",\n\x01");
    assert_eq!(lines.take_list().unwrap(), b"[[2],\n0]");
    assert_eq!((lines.take_list(), lines.is_partial()), (None, true));

    let mut frames = Decoder::with_parcels(Framing::Lengths);
    frames.push(&[frame(b"{},"), frame(b"0,1,"), b"\0\0".to_vec()].concat());
    assert_eq!(frames.take_list().unwrap(), b"[{},\n0,1,\n0]");
    frames.push(&[&b"\0\x02"[..], b"1,"].concat());
    assert_eq!(frames.take_list().unwrap(), b"[1,\n0]");
    for other in [&b""[..], &[MARK, 0], &[V8_FORMAT, 15]] {
        frames.push(&[frame(b"1,"), frame(other)].concat());
        assert_eq!(frames.take_list(), None);
        assert_eq!(frames.take(), [frame(b"1,"), frame(other)].concat());
    }
}

#[test]
fn keys_may_be_longer_than_messages_and_what_is_around_these_is_no_part_of_them() {
    for framing in [Framing::Lines, Framing::Lengths] {
        let message = |text: &[u8]| match framing {
            Framing::Lines => [text, b",\n"].concat(),
            Framing::Lengths => frame(&[text, b","].concat()),
        };
        let overhead = message(b"").len() - 1;
        let keys = [b"\"", &[b'k'; 200][..], b"\""].concat();
        let stream = [message(&keys), message(&[b'x'; 50])].concat();
        for (limit, fits) in [(50 + overhead, true), (40, false)] {
            for step in [1, 3, stream.len()] {
                let mut decoder = Decoder::with_parcels(framing);
                decoder.set_limit(limit);
                stream.chunks(step).for_each(|piece| decoder.push(piece));
                assert_eq!(
                    (decoder.is_over(), decoder.whole() == stream),
                    (!fits, fits),
                    "{framing:?} {step}"
                );
            }
        }
        let mut decoder = Decoder::with_parcels(framing);
        decoder.set_limit(100);
        decoder.push(&message(&[&b"\""[..], &[b'k'; MOST_OF_KEYS]].concat()));
        assert!(decoder.is_over());
    }
}

#[test]
fn the_rest_of_a_large_message_is_read_where_it_belongs() {
    let length = recycled::SMALLEST;
    let messages = [frame(&vec![b'x'; 4 * length]), [vec![b'x'; 4 * length], b"\n".to_vec()].concat()];
    for (framing, message) in [Framing::Lengths, Framing::Lines].into_iter().zip(messages) {
        let mut decoder = Decoder::new(framing);
        assert_eq!(decoder.make_room(), 0);
        for first in [length, length + 1, 2 * length, message.len() - 1] {
            decoder.push(&message[..first]);
            let mut at = first;
            while at < message.len() {
                let room = decoder.make_room();
                assert!(framing == Framing::Lines || room == 0 || room == message.len() - at);
                assert!(room <= decoder.buffer.capacity() - decoder.buffer.len() || room == length);
                let more = if room == 0 { 1 } else { room.min(message.len() - at) };
                decoder.push(&message[at..at + more]);
                at += more;
            }
            assert!(decoder.whole() == message);
            assert_eq!(decoder.make_room(), 0);
            decoder.consume();
        }
    }
}

#[test]
fn a_length_out_of_reason_only_waits() {
    let mut decoder = Decoder::new(Framing::Lengths);
    decoder.push(&[0xff; 64]);
    assert_eq!((decoder.whole(), decoder.is_partial()), (&b""[..], true));
    assert!(decoder.buffer.capacity() < 1024);
}

#[test]
fn the_memory_of_a_large_message_is_given_back() {
    let mut decoder = Decoder::new(Framing::Lines);
    for _ in 0..128 {
        decoder.push(&[b'x'; 64 * 1024]);
    }
    decoder.push(b"\n1");
    assert_eq!(decoder.whole().len(), 128 * 64 * 1024 + 1);
    decoder.consume();
    assert!(decoder.buffer.capacity() <= KEPT);
    decoder.push(b"\n");
    assert_eq!(decoder.whole(), b"1\n");
}
