//! Who a proxy says the client is: a pure reading of the first bytes of a connection.
//!
//! The bytes are anybody's. Nothing here allocates, loops over more than it is given, or changes its mind: what is
//! read from the first bytes is read from more of them too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the client's address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// It is the other end of the connection.
    #[default]
    Address,
    /// In the header of the PROXY protocol, version 1 or 2.
    ProxyHeader,
    /// In the first `X-Forwarded-For` of the first HTTP request.
    ForwardedFor,
}

/// What the bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// This is the client.
    Client(IpAddr),
    /// Nothing, and more bytes would not either.
    Nothing,
    /// Nothing yet.
    Incomplete,
}

/// No more than this is looked at; Node refuses longer headers.
pub const LIMIT: usize = 16 * 1024;

/// Length of the longest header of version 1.
const LONGEST_V1: usize = 107;
const SIGNATURE_V1: &[u8] = b"PROXY ";
const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2: signature, version and command, family, length.
const FIXED_V2: usize = 16;

/// Reads the client's address from the first bytes of a connection.
pub fn read(by: By, bytes: &[u8]) -> Reading {
    let bytes = &bytes[..bytes.len().min(LIMIT)];
    let reading = match by {
        By::Address => Reading::Nothing,
        By::ProxyHeader => proxy_header(bytes),
        By::ForwardedFor => forwarded_for(bytes),
    };
    if reading == Reading::Incomplete && bytes.len() == LIMIT { Reading::Nothing } else { reading }
}

fn found(address: Option<IpAddr>) -> Reading {
    address.map_or(Reading::Nothing, Reading::Client)
}

/// Whether one is the beginning of the other.
fn agree(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

fn proxy_header(bytes: &[u8]) -> Reading {
    if agree(bytes, SIGNATURE_V2) {
        version_2(bytes)
    } else if agree(bytes, SIGNATURE_V1) {
        version_1(bytes)
    } else {
        Reading::Nothing
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`
fn version_1(bytes: &[u8]) -> Reading {
    let head = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LONGEST_V1 { Reading::Incomplete } else { Reading::Nothing };
    };
    let mut words = head[..end].split(|&byte| byte == b' ').skip(1);
    let (family, source) = (words.next(), words.next().and_then(text));
    found(match (family, source) {
        (Some(b"TCP4"), Some(source)) => source.parse().ok().map(IpAddr::V4),
        (Some(b"TCP6"), Some(source)) => source.parse().ok().map(IpAddr::V6),
        _ => None,
    })
}

fn version_2(bytes: &[u8]) -> Reading {
    let Some((fixed, addresses)) = bytes.split_at_checked(FIXED_V2) else { return Reading::Incomplete };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    // The proxy's own connection, as a health check, is LOCAL: 0x20.
    let source = match (fixed[12], fixed[13] >> 4) {
        (0x21, 1) if length >= 12 => 4,
        (0x21, 2) if length >= 36 => 16,
        _ => return Reading::Nothing,
    };
    let Some(source) = addresses.get(..source) else { return Reading::Incomplete };
    found(match *source {
        [a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => <[u8; 16]>::try_from(source).ok().map(|octets| Ipv6Addr::from(octets).into()),
    })
}

fn forwarded_for(bytes: &[u8]) -> Reading {
    // What is not HTTP, as TLS, is known by its first byte.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_alphabetic() && !matches!(byte, b'\r' | b'\n')) {
        return Reading::Nothing;
    }
    let mut rest = bytes;
    let mut has_request_line = false;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        match (line, has_request_line) {
            // Empty lines may come before the request.
            ([], false) => {}
            ([], true) => return Reading::Nothing,
            (_, false) => has_request_line = true,
            (line, true) => {
                if let Some(value) = value_of(line) {
                    return found(first_address(value));
                }
            }
        }
    }
    Reading::Incomplete
}

/// The value of a line, if it is the header looked for.
fn value_of(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    line[..colon].eq_ignore_ascii_case(b"x-forwarded-for").then(|| &line[colon + 1..])
}

/// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1` or `[2001:db8::1]:1234`, the first of a list.
fn first_address(list: &[u8]) -> Option<IpAddr> {
    let first = text(list.split(|&byte| byte == b',').next()?)?.trim_matches([' ', '\t']);
    if let Some(bracketed) = first.strip_prefix('[') {
        return bracketed.split_once(']')?.0.parse().ok().map(IpAddr::V6);
    }
    first.parse().ok().or_else(|| first.split_once(':')?.0.parse().ok().map(IpAddr::V4))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::schedule::mix;

    const ALL: [By; 2] = [By::ProxyHeader, By::ForwardedFor];

    fn client(text: &str) -> Reading {
        Reading::Client(text.parse().unwrap())
    }

    fn v2(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE_V2.to_vec();
        bytes.extend([command, family]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn request(headers: &str) -> Vec<u8> {
        format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\nrest").into_bytes()
    }

    #[test]
    fn version_1_names_the_client() {
        let of = |line: &str| read(By::ProxyHeader, format!("{line}\r\nGET /").as_bytes());
        assert_eq!(of("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443"), client("192.0.2.1"));
        assert_eq!(of("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443"), client("2001:db8::1"));
        for line in [
            "PROXY UNKNOWN",
            "PROXY UNKNOWN ffff::1 ffff::2 1 2",
            "PROXY TCP4 2001:db8::1 x 1 2",
            "PROXY TCP4 300.0.0.1 x 1 2",
            "PROXY TCP4",
            "PROXY  TCP4 192.0.2.1",
            "proxy TCP4 192.0.2.1 x 1 2",
            "PROXY TCP4 \u{e9} x 1 2",
        ] {
            assert_eq!(of(line), Reading::Nothing, "{line}");
        }
        let long = format!("PROXY TCP4 {}", "1".repeat(200));
        assert_eq!(read(By::ProxyHeader, long.as_bytes()), Reading::Nothing);
    }

    #[test]
    fn version_2_names_the_client() {
        let of = |bytes: &[u8]| read(By::ProxyHeader, bytes);
        let four = [192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2];
        assert_eq!(of(&v2(0x21, 0x11, 12, &four)), client("192.0.2.1"));
        assert_eq!(of(&v2(0x21, 0x11, 900, &four)), client("192.0.2.1"));
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(of(&v2(0x21, 0x21, 36, &six)), client("2001:db8::1"));
        for bytes in [
            v2(0x20, 0x11, 12, &four),
            v2(0x20, 0, 0, &[]),
            v2(0x11, 0x11, 12, &four),
            v2(0x21, 0x31, 216, &[0; 216]),
            v2(0x21, 0x21, 12, &six),
            v2(0x21, 0x11, 4, &four),
        ] {
            assert_eq!(of(&bytes), Reading::Nothing);
        }
    }

    #[test]
    fn the_first_forwarded_address_is_the_client() {
        for (value, expected) in [
            ("X-Forwarded-For: 192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for:192.0.2.1, 10.0.0.1", "192.0.2.1"),
            ("X-FORWARDED-FOR: \t192.0.2.1:4711 ", "192.0.2.1"),
            ("X-Forwarded-For: 2001:db8::1", "2001:db8::1"),
            ("X-Forwarded-For: [2001:db8::1]:4711", "2001:db8::1"),
            ("A: b\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2", "192.0.2.1"),
        ] {
            assert_eq!(
                read(By::ForwardedFor, &request(&format!("{value}\r\n"))),
                client(expected),
                "{value}"
            );
        }
        let bare = b"\r\n\nGET / HTTP/1.0\nX-Forwarded-For: 192.0.2.1\n\n";
        assert_eq!(read(By::ForwardedFor, bare), client("192.0.2.1"));
    }

    #[test]
    fn what_names_nobody_is_not_waited_for() {
        for headers in [
            "",
            "A: b\r\n",
            "X-Forwarded-For: unknown\r\n",
            "X-Forwarded-For:\r\n",
            "Forwarded: for=1.2.3.4\r\n",
        ] {
            assert_eq!(read(By::ForwardedFor, &request(headers)), Reading::Nothing, "{headers}");
        }
        // In the body it is the client's.
        let body = b"GET / HTTP/1.1\r\n\r\nX-Forwarded-For: 192.0.2.1\r\n";
        assert_eq!(read(By::ForwardedFor, body), Reading::Nothing);
        // TLS.
        assert_eq!(read(By::ForwardedFor, &[0x16, 3, 1]), Reading::Nothing);
        assert_eq!(read(By::ProxyHeader, b"GET"), Reading::Nothing);
        assert_eq!(read(By::ForwardedFor, &vec![b'x'; LIMIT]), Reading::Nothing);
        assert_eq!(read(By::Address, b"PROXY TCP4 192.0.2.1 x 1 2\r\n"), Reading::Nothing);
    }

    /// A sequence that is the same in every run.
    fn random(seed: &mut u64) -> usize {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(*seed) as usize
    }

    /// Every beginning of `bytes` says nothing yet, until one says what all longer ones say too.
    fn check_beginnings(by: By, bytes: &[u8]) {
        let whole = read(by, bytes);
        let mut is_known = false;
        for end in 0..=bytes.len() {
            let reading = read(by, &bytes[..end]);
            assert!(!is_known || reading == whole, "{by:?} {end} {bytes:?}");
            is_known = reading != Reading::Incomplete;
            assert!(!is_known || reading == whole, "{by:?} {end} {bytes:?}");
        }
    }

    #[test]
    fn the_reading_does_not_depend_on_how_the_bytes_come() {
        let mut seed = 1;
        let valid = [
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n".to_vec(),
            v2(0x21, 0x11, 12, &[192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2]),
            v2(0x21, 0x21, 40, &[7; 40]),
            request("X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\nA: b\r\n"),
            request("x-forwarded-for: [2001:db8::1]:1\r\n"),
        ];
        for bytes in &valid {
            ALL.iter().for_each(|&by| check_beginnings(by, bytes));
            for _ in 0..2000 {
                let mut bytes = bytes.clone();
                for _ in 0..=random(&mut seed) % 4 {
                    let at = random(&mut seed) % bytes.len();
                    match random(&mut seed) % 4 {
                        0 => bytes[at] = random(&mut seed) as u8,
                        1 => bytes.insert(at, b"\r\n ,:[]\0"[random(&mut seed) % 8]),
                        2 if bytes.len() > 1 => drop(bytes.remove(at)),
                        _ => bytes.truncate(at.max(1)),
                    }
                }
                ALL.iter().for_each(|&by| check_beginnings(by, &bytes));
            }
        }
    }

    #[test]
    fn noise_is_read_without_harm() {
        let mut seed = 2;
        for _ in 0..20_000 {
            let length = random(&mut seed) % 300;
            let alphabet: &[u8] = if random(&mut seed).is_multiple_of(2) {
                b"PROXYTCP46 :.\r\n[],xX-forwardedF012"
            } else {
                &[]
            };
            let bytes: Vec<u8> = (0..length)
                .map(|_| random(&mut seed))
                .map(|n| if alphabet.is_empty() { n as u8 } else { alphabet[n % alphabet.len()] })
                .collect();
            for by in ALL {
                let _ = read(by, &bytes);
            }
        }
    }
}
