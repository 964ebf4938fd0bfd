//! Descriptors over Unix sockets (SCM_RIGHTS): one short message, at most one descriptor, no allocation.
//!
//! Neither end ever blocks. A descriptor that arrives is close-on-exec and owned by the caller.

use std::io::IoSlice;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;

/// Room for the control message of one descriptor; CMSG_SPACE(4) is 24 with 64-bit, 16 with 32-bit pointers.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// Room for eight descriptors. Senders of ours put one in; the kernel closes what does not fit, and we the rest.
#[repr(C, align(8))]
struct ReceivedControl([u8; 48]);

/// Sends `bytes` as one message, with `fd` if given; returns how many bytes the socket took.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<usize, Errno> {
    match fd {
        None => send_bytes(socket, bytes),
        Some(fd) => send_with(socket, bytes, fd),
    }
}

fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match nix::sys::socket::send(
            socket.as_raw_fd(),
            bytes,
            MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
        ) {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    let parts = [IoSlice::new(bytes)];
    let mut control = Control([0; 24]);
    // SAFETY: an all-zero msghdr is valid: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    // IoSlice is guaranteed to have the layout of iovec.
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute; CMSG_FIRSTHDR points into `control`, which is aligned
    // and has room for a header and one descriptor.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd.as_raw_fd());
    }
    loop {
        // SAFETY: `message` points to `parts` and `control`, which live until the call returns.
        let result =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map(|sent| sent as usize),
        }
    }
}

/// Sends `parts` one behind the other as one message, without the first `gone` bytes of them; returns how many bytes
/// the socket took.
pub fn send_parts(socket: BorrowedFd<'_>, parts: &[&[u8]], mut gone: usize) -> Result<usize, Errno> {
    let mut slices = Vec::with_capacity(parts.len());
    for part in parts {
        let skipped = gone.min(part.len());
        gone -= skipped;
        slices.push(IoSlice::new(&part[skipped..]));
    }
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match nix::sys::socket::sendmsg::<()>(socket.as_raw_fd(), &slices, &[], flags, None) {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

/// Receives one message into `bytes`: its length, 0 at the end, and the first descriptor it carries.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    receive_at(socket, libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() })
}

/// The same, appended to `bytes`: up to `most`.
pub fn receive_into(
    socket: BorrowedFd<'_>,
    bytes: &mut Vec<u8>,
    most: usize,
) -> Result<(usize, Option<OwnedFd>), Errno> {
    bytes.reserve(most);
    let room = &mut bytes.spare_capacity_mut()[..most];
    let received = receive_at(socket, libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: most })?;
    // SAFETY: the kernel has written that many bytes there, no more than `most`, for which there was room.
    unsafe { bytes.set_len(bytes.len() + received.0) };
    Ok(received)
}

/// The caller vouches for `part`: memory of its own, to be written to.
fn receive_at(socket: BorrowedFd<'_>, mut part: libc::iovec) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut control = ReceivedControl([0; 48]);
    // SAFETY: an all-zero msghdr is valid: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<ReceivedControl>() as _;
    let received = loop {
        // SAFETY: `message` points to `part`, its memory and `control`, which live until the call returns.
        let result = unsafe {
            libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC)
        };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            outcome => break outcome? as usize,
        }
    };
    Ok((received, take_descriptor(&message)))
}

/// Looks at the next message and leaves it, with its descriptor, where it is.
pub fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    // Without room for a control message no descriptor is made.
    nix::sys::socket::recv(socket.as_raw_fd(), bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)
}

/// The first descriptor of a received message; any further one is closed.
fn take_descriptor(message: &libc::msghdr) -> Option<OwnedFd> {
    let mut first = None;
    // SAFETY: recvmsg filled `message` and its control buffer; the CMSG macros stay within msg_controllen.
    // Each descriptor in an SCM_RIGHTS message is new in this process and belongs to the receiver alone.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let length = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for index in 0..length / size_of::<RawFd>() {
                    let fd = OwnedFd::from_raw_fd(data.add(index).read_unaligned());
                    first.get_or_insert(fd);
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use nix::unistd::{pipe, read, write};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn a_descriptor_arrives_with_its_message_and_packets_keep_their_bounds() {
        let (a, b) = pair();
        let (reader, writer) = pipe().unwrap();
        assert_eq!(send(a.as_fd(), b"one", Some(writer.as_fd())), Ok(3));
        assert_eq!(send(a.as_fd(), b"two", None), Ok(3));
        drop(writer);
        let mut bytes = [0; 16];
        assert_eq!(peek(b.as_fd(), &mut bytes), Ok(3));
        let (length, fd) = receive(b.as_fd(), &mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"one");
        write(fd.unwrap(), b"x").unwrap();
        assert_eq!(read(&reader, &mut bytes), Ok(1));
        let (length, fd) = receive(b.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..length], fd.is_none()), (&b"two"[..], true));
        assert_eq!(receive(b.as_fd(), &mut bytes).map(|_| ()), Err(Errno::EAGAIN));
        drop(a);
        assert_eq!(receive(b.as_fd(), &mut bytes).map(|(length, _)| length), Ok(0));
    }

    #[test]
    fn descriptors_beyond_the_first_are_closed() {
        use nix::sys::socket::{ControlMessage, sendmsg};
        let (a, b) = pair();
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let many = [writer.as_raw_fd(); 12];
        let part = [IoSlice::new(b"x")];
        let control = [ControlMessage::ScmRights(&many)];
        sendmsg::<()>(a.as_raw_fd(), &part, &control, MsgFlags::empty(), None).unwrap();
        drop(writer);
        let (_, first) = receive(b.as_fd(), &mut [0; 16]).unwrap();
        drop(first.unwrap());
        // The end of the pipe is only seen once no writer is left.
        assert_eq!(read(&reader, &mut [0; 1]), Ok(0));
    }

    #[test]
    fn a_full_socket_refuses_and_a_second_reader_takes_what_the_first_did_not() {
        let (a, b) = pair();
        nix::sys::socket::setsockopt(&a, nix::sys::socket::sockopt::SndBuf, &1).unwrap();
        let sent = (0..1000).take_while(|_| send(a.as_fd(), b"x", Some(b.as_fd())).is_ok()).count();
        assert!((1..100).contains(&sent), "{sent}");
        let duplicate = b.try_clone().unwrap();
        let mut bytes = [0; 16];
        receive(b.as_fd(), &mut bytes).unwrap();
        drop(b);
        let rest = (0..1000).take_while(|_| receive(duplicate.as_fd(), &mut bytes).is_ok()).count();
        assert_eq!(rest, sent - 1);
    }
}
