//! Whose a connection is, as one number: what `Sticky` goes by.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getpeername, recv};

use super::proxied::{By, Reading, read};
use super::schedule::mix;

/// The number of the client of a connection, by what has arrived of it; `None` where it has no address, as on a Unix
/// socket. `buffer` is for what is looked at.
pub(super) fn client_of(connection: &OwnedFd, by: By, buffer: &mut [u8]) -> Option<u64> {
    match look(connection, by, buffer) {
        Reading::Client(address) => Some(client_at(address)),
        Reading::Nothing | Reading::Incomplete => peer_of(connection),
    }
}

/// What the bytes that wait in a connection say of its client. They stay where they are.
pub(super) fn look(connection: &OwnedFd, by: By, buffer: &mut [u8]) -> Reading {
    if by == By::Address {
        return Reading::Nothing;
    }
    match recv(connection.as_raw_fd(), buffer, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        // The client has nothing more to say; what it has said is its server's to answer.
        Ok(0) => Reading::Nothing,
        Ok(length) => read(by, &buffer[..length]),
        Err(Errno::EAGAIN | Errno::EINTR) => Reading::Incomplete,
        Err(_) => Reading::Nothing,
    }
}

fn peer_of(connection: &OwnedFd) -> Option<u64> {
    let name: SockaddrStorage = getpeername(connection.as_raw_fd()).ok()?;
    let address = name
        .as_sockaddr_in()
        .map(|name| SocketAddr::from((name.ip(), name.port())))
        .or_else(|| name.as_sockaddr_in6().map(|name| (*name).into()))?;
    Some(client_at(address.ip()))
}

/// IPv6 by its first 64 bits: the rest is the client's to change at will, and privacy extensions do.
pub(super) fn client_at(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(ip) => mix(u64::from(u32::from(ip)) | 1 << 32),
        IpAddr::V6(ip) => mix((u128::from(ip) >> 64) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        client_at(text.parse().unwrap())
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("10.0.0.1"), at("::ffff:10.0.0.1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }
}
