use std::borrow::Cow;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::sending::BELL;
use super::*;
use crate::ipc::ring;

fn pair(framing: Framing) -> (Channel, Channel) {
    let (a, b) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    (Channel::new(a, framing), Channel::new(b, framing))
}

#[test]
fn a_backlog_arrives_whole_and_in_order() {
    let (mut a, mut b) = pair(Framing::Lines);
    let mut buffer = vec![0; READ_SIZE];
    let sizes = [10, 3_000_000, 1, 500_000, 20, 30];
    let mut later = 0;
    for size in sizes {
        let message = [vec![b'x'; size], b"\n".to_vec()].concat();
        later += usize::from(a.write(Cow::Owned(message), None) == Ok(Written::Later));
    }
    assert!(later >= 4 && a.queued() > 2_000_000);
    let mut lengths = Vec::new();
    while lengths.len() < sizes.len() {
        later -= a.flush().messages;
        assert_eq!(b.read(&mut buffer, false), None);
        lengths.extend(b.decoder().take().split_inclusive(|&byte| byte == b'\n').map(|line| line.len() - 1));
    }
    assert_eq!((lengths.as_slice(), later, a.queued()), (&sizes[..], 0, 0));
}

#[test]
fn descriptors_arrive_behind_a_backlog_each_with_its_message() {
    let (mut a, mut b) = pair(Framing::Lengths);
    let mut buffer = vec![0; READ_SIZE];
    let payload = [&1_000_000_u32.to_be_bytes()[..], &[7; 1_000_000]].concat();
    assert_eq!(a.write(Cow::Borrowed(&payload), None), Ok(Written::Later));
    let (reader, writer) = nix::unistd::pipe().unwrap();
    assert_eq!(a.write(Cow::Borrowed(&[0, 0, 0, 1, 1]), Some(writer.as_fd())), Ok(Written::Later));
    drop(writer);
    let mut received = 0;
    while received < payload.len() + 5 {
        a.flush();
        b.read(&mut buffer, false);
        received += b.decoder().take().len();
    }
    nix::unistd::write(b.next_descriptor().unwrap(), b"x").unwrap();
    assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(1));
}

#[test]
fn the_end_comes_after_what_was_written_before_it() {
    let (mut a, mut b) = pair(Framing::Lines);
    a.write(Cow::Borrowed(b"1\n2\n3"), None).unwrap();
    drop(a);
    let mut buffer = vec![0; READ_SIZE];
    assert_eq!(b.read(&mut buffer, true), Some(Ok(())));
    assert_eq!(b.decoder().take(), b"1\n2\n");
    assert_eq!(b.write(Cow::Borrowed(b"4\n"), None), Err(Errno::EPIPE));
}

#[test]
fn a_backlog_towards_a_peer_that_went_is_lost_with_an_error() {
    let (mut a, b) = pair(Framing::Lines);
    a.write(Cow::Owned(vec![b'x'; 3_000_000]), None).unwrap();
    a.write(Cow::Borrowed(b"\n"), None).unwrap();
    drop(b);
    assert_eq!(a.flush(), Flushed { messages: 2, error: Some(Errno::EPIPE) });
    assert_eq!(a.queued(), 0);
}

#[test]
fn descriptors_nobody_claims_do_not_pile_up() {
    let (mut a, mut b) = pair(Framing::Lines);
    let mut buffer = vec![0; READ_SIZE];
    for _ in 0..200 {
        let fd = a.socket().try_clone_to_owned().unwrap();
        a.write(Cow::Borrowed(b"1\n"), Some(fd.as_fd())).unwrap();
        b.read(&mut buffer, false);
        b.decoder().consume();
    }
    assert_eq!(b.waiting.len(), 1);
}

/// Both directions of a pair go over to the ring, `a` having made it.
fn by_ring(a: &mut Channel, b: &mut Channel) {
    let mut buffer = vec![0; READ_SIZE];
    let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
    a.write(Cow::Borrowed(b"hello\n"), Some(fd.as_fd())).unwrap();
    b.read(&mut buffer, false);
    b.open_ring(true).unwrap();
    assert_eq!(b.decoder().take(), b"hello\n");
    b.write(Cow::Borrowed(b"ready\n"), None).unwrap();
    b.send_by_ring();
    a.read(&mut buffer, false);
    assert_eq!(a.decoder().take(), b"ready\n");
    a.receive_by_ring();
    a.write(Cow::Borrowed(b"switch\n"), None).unwrap();
    a.send_by_ring();
    b.read(&mut buffer, false);
    assert_eq!(b.decoder().take(), b"switch\n");
    b.receive_by_ring();
}

#[test]
fn nothing_stays_queued_that_neither_the_socket_nor_a_full_ring_holds_up() {
    for queued in 25..40 {
        let (mut a, mut b) = pair(Framing::Lines);
        let mut buffer = vec![0; READ_SIZE];
        let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
        b.waiting.push_back(fd);
        b.open_ring(true).unwrap();
        let mut count = 0;
        while a.write(Cow::Owned(vec![b'x'; 100_000]), None) == Ok(Written::Now) {
            count += 1;
        }
        assert!(count < 100);
        (0..queued).for_each(|_| assert_eq!(a.write(Cow::Borrowed(b"x"), None), Ok(Written::Later)));
        a.send_by_ring();
        assert_eq!(a.write(Cow::Borrowed(b"\n"), None), Ok(Written::Later));
        b.read(&mut buffer, false);
        while a.flush().messages > 0 && a.waits_for_socket() {
            b.read(&mut buffer, false);
        }
        assert_eq!(a.queued(), 0, "after {queued}");
    }
}

#[test]
fn what_is_queued_for_the_socket_leaves_before_what_goes_by_the_ring() {
    let (mut a, mut b) = pair(Framing::Lines);
    let mut buffer = vec![0; READ_SIZE];
    let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
    b.waiting.push_back(fd);
    b.open_ring(true).unwrap();
    let first = [vec![b'1'; 2_000_000], b"\n".to_vec()].concat();
    assert_eq!(a.write(Cow::Borrowed(&first), None), Ok(Written::Later));
    assert_eq!(a.write(Cow::Borrowed(b"switch\n"), None), Ok(Written::Later));
    a.send_by_ring();
    assert_eq!(a.write(Cow::Borrowed(b"2\n"), None), Ok(Written::Later));
    assert!(a.waits_for_socket());
    let mut received = Vec::new();
    for _ in 0..1000 {
        a.flush();
        b.read(&mut buffer, false);
        received.extend(b.decoder().take());
    }
    assert_eq!((received, a.queued()), ([&first, &b"switch\n"[..], BELL].concat(), 0));
    b.receive_by_ring();
    assert_eq!(b.receive(), Ok(true));
    assert_eq!(b.decoder().take(), b"2\n");
}

#[test]
fn no_bell_is_rung_in_the_middle_of_a_message_that_goes_by_the_socket() {
    let (mut a, mut b) = pair(Framing::Lines);
    let mut buffer = vec![0; READ_SIZE];
    let fd = a.offer_ring().unwrap().try_clone_to_owned().unwrap();
    b.waiting.push_back(fd);
    b.open_ring(true).unwrap();
    b.send_by_ring();
    a.receive_by_ring();
    let message = [vec![b'1'; 2_000_000], b"\n".to_vec()].concat();
    a.write(Cow::Borrowed(&message), None).unwrap();
    a.send_by_ring();
    // It waits for room, which is made while the other direction is still by the socket.
    assert_eq!(b.write(Cow::Borrowed(&message), None), Ok(Written::Later));
    let mut received = Vec::new();
    for _ in 0..1000 {
        a.receive().unwrap();
        a.flush();
        b.read(&mut buffer, false);
        received.extend(b.decoder().take());
    }
    assert_eq!(received, [&message, BELL].concat());
    b.receive_by_ring();
    for _ in 0..10 {
        b.flush();
        a.receive().unwrap();
    }
    assert_eq!(b.queued(), 0);
}

#[test]
fn large_messages_and_descriptors_go_through_the_ring_in_order() {
    let (mut a, mut b) = pair(Framing::Lines);
    by_ring(&mut a, &mut b);
    let mut buffer = vec![0; READ_SIZE];
    let large = [vec![b'x'; 3 * ring::SIZE], b"\n".to_vec()].concat();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    assert_eq!(a.write(Cow::Borrowed(b"small\n"), None), Ok(Written::Now));
    assert_eq!(a.write(Cow::Borrowed(&large), None), Ok(Written::Later));
    assert_eq!(a.write(Cow::Borrowed(b"handle\n"), Some(writer.as_fd())), Ok(Written::Later));
    drop(writer);
    let (mut received, mut messages) = (Vec::new(), 0);
    for _ in 0..1000 {
        b.receive().unwrap();
        received.extend(b.decoder().take());
        assert!(b.sleep().is_ok());
        a.read(&mut buffer, false);
        messages += a.flush().messages;
    }
    assert_eq!((received.len(), messages, a.queued()), (6 + large.len() + 7, 2, 0));
    b.read(&mut buffer, false);
    nix::unistd::write(b.next_descriptor().unwrap(), b"y").unwrap();
    assert_eq!(nix::unistd::read(&reader, &mut buffer), Ok(1));
}

#[test]
fn a_peer_that_went_in_its_sleep_is_an_error_for_each_message() {
    let (mut a, mut b) = pair(Framing::Lines);
    by_ring(&mut a, &mut b);
    assert_eq!(b.receive(), Ok(false));
    assert_eq!(b.sleep(), Ok(true));
    drop(b);
    for _ in 0..2 {
        assert_eq!(a.write(Cow::Borrowed(b"1\n"), None), Err(Errno::EPIPE));
        assert_eq!(a.write_parts(&[b"1", b"2"]), Err(Errno::EPIPE));
        assert_eq!(a.wake(), Err(Errno::EPIPE));
    }
}

#[test]
fn what_was_sent_before_the_end_is_still_in_the_ring() {
    let (mut a, mut b) = pair(Framing::Lines);
    by_ring(&mut a, &mut b);
    let mut buffer = vec![0; READ_SIZE];
    a.write(Cow::Borrowed(b"last\nhalf"), None).unwrap();
    drop(a);
    assert_eq!(b.read(&mut buffer, true), Some(Ok(())));
    assert_eq!(b.receive(), Ok(true));
    assert_eq!((b.decoder().take(), b.decoder().is_partial()), (b"last\n".to_vec(), true));
}

#[test]
fn a_message_above_the_limit_is_neither_sent_nor_collected() {
    let (mut a, mut b) = pair(Framing::Lines);
    let mut buffer = vec![0; READ_SIZE];
    b.set_limit(1000);
    assert_eq!(b.write(Cow::Owned(vec![b'x'; 1001]), None), Err(Errno::EMSGSIZE));
    a.write(Cow::Owned(vec![b'x'; 1001]), None).unwrap();
    assert_eq!(b.read(&mut buffer, false), Some(Err(Errno::EMSGSIZE)));
}

#[test]
fn the_lane_may_be_lent_only_when_nothing_is_queued() {
    let (mut a, mut b) = pair(Framing::Lines);
    assert!(a.lend().is_none());
    by_ring(&mut a, &mut b);
    let (_, written) = a.lend().unwrap();
    a.resume(written);
    a.write(Cow::Owned(vec![b'x'; 2 * ring::SIZE]), None).unwrap();
    assert!(a.lend().is_none());
}
