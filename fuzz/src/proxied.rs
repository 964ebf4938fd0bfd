//! Who a proxy says the client is: what is read from the first bytes of a connection is read from more of them too.

use rcluster::cluster::proxied::{By, LIMIT, Reading, read};

const STARTS: [&[u8]; 6] = [
    b"",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
    b"PROXY TCP6 2001:db8::1 ",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
    b"GET / HTTP/1.1\r\nX-Forwarded-For: ",
    b"POST /x HTTP/1.1\r\nHost: x\r\nx-forwarded-for:[2001:db8::1]:1",
];

pub fn run(data: &[u8]) {
    let Some((&start, rest)) = data.split_first() else { return };
    let start = STARTS[usize::from(start) % STARTS.len()];
    let bytes = [&start[..start.len().min(usize::from(data.len() as u8))], rest].concat();
    for by in [By::ProxyHeader, By::ForwardedFor, By::Address] {
        let whole = read(by, &bytes);
        let mut is_known = false;
        for end in 0..=bytes.len().min(LIMIT + 1) {
            let reading = read(by, &bytes[..end]);
            assert!(!is_known || reading == whole);
            is_known = reading != Reading::Incomplete;
            assert!(!is_known || reading == whole);
        }
    }
}
