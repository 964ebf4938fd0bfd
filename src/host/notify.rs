//! Telling systemd how the service is: one datagram, as `sd_notify(3)` sends it.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};

/// Sends `message`, lines of `NAME=value`, to the socket at `address` (NOTIFY_SOCKET). Never blocks.
pub fn notify(address: &str, message: &str) -> Result<(), Errno> {
    let address = match address.strip_prefix('@') {
        Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
        None => UnixAddr::new(address)?,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    sendto(socket.as_raw_fd(), message.as_bytes(), &address, MsgFlags::MSG_NOSIGNAL).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn what_is_sent_arrives_at_a_path_and_at_an_abstract_name() {
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("rcluster-notify-{id}"));
        let _ = std::fs::remove_file(&path);
        let name = format!("rcluster-notify-{id}");
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [
            (path.to_str().unwrap().to_owned(), UnixDatagram::bind(&path).unwrap()),
            (format!("@{name}"), UnixDatagram::bind_addr(&abstract_address).unwrap()),
        ];
        for (address, socket) in sockets {
            notify(&address, "READY=1\nSTATUS=2 workers").unwrap();
            let mut bytes = [0; 64];
            let length = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1\nSTATUS=2 workers");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(notify("/nonexistent/socket", "READY=1"), Err(Errno::ENOENT));
    }
}
