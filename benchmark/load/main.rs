//! The load generator's process: plain HTTP/1.1 over epoll, so that on a small machine the server gets the processors
//! and not the client. Arguments: port, path, connections, keep-alive (0 or 1), seconds, seconds of warm-up, and how
//! many requests to end after, if not by time (0: by time); then, if requests are to come at random at a rate and not one
//! after the other, how many a second. The result goes as JSON to stdout.
//!
//! Without keep-alive the request says `Connection: close`, and the next connection is opened after the server's FIN. At a
//! rate, a latency counts from when the request was due, and there is a connection for each.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Among what epoll tells, beside the numbers of clients.
const TIMER: u64 = u64::MAX;

struct Client {
    stream: TcpStream,
    sent_at: Instant,
    answered: bool,
}

struct Load {
    port: u16,
    request: Vec<u8>,
    keep_alive: bool,
    epoll: Epoll,
    latencies: Vec<Duration>,
    errors: BTreeMap<String, u64>,
    /// Answers of each worker that says which it is, in `X-Worker`.
    workers: BTreeMap<String, u64>,
    measuring: bool,
}

/// Which worker a response is from.
fn worker_of(response: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"x-worker: ";
    response.split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then(|| String::from_utf8_lossy(value.trim_ascii_end()).into_owned())
    })
}

impl Load {
    fn connect(&mut self, index: usize) -> Client {
        // On the loopback a connect is done at once, or waits for room in the backlog.
        let sent_at = Instant::now();
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => break stream,
                Err(error) => self.failed(&error.kind().to_string()),
            }
        };
        stream.set_nodelay(true).expect("a connected socket takes the option");
        stream.write_all(&self.request).unwrap_or_else(|error| self.failed(&error.kind().to_string()));
        stream.set_nonblocking(true).expect("a connected socket takes the option");
        self.epoll
            .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))
            .expect("epoll takes a socket");
        Client { stream, sent_at, answered: false }
    }

    fn failed(&mut self, kind: &str) {
        if self.measuring {
            *self.errors.entry(kind.to_owned()).or_default() += 1;
        }
    }

    fn answered(&mut self, sent_at: Instant, response: &[u8]) {
        if self.measuring {
            self.latencies.push(sent_at.elapsed());
            if let Some(worker) = worker_of(response) {
                *self.workers.entry(worker).or_default() += 1;
            }
        }
    }

    /// Whether the connection is over.
    fn read(&mut self, client: &mut Client, buffer: &mut [u8]) -> bool {
        match client.stream.read(buffer) {
            Ok(0) => {
                if !client.answered {
                    self.failed("cut");
                }
                true
            }
            Ok(length) => {
                // The answers measured here are short: they come in one piece.
                if !buffer[..length].starts_with(b"HTTP/1.1 200") {
                    self.failed("status");
                } else if !std::mem::replace(&mut client.answered, true) {
                    self.answered(client.sent_at, &buffer[..length]);
                }
                if self.keep_alive {
                    (client.answered, client.sent_at) = (false, Instant::now());
                    return client.stream.write_all(&self.request).is_err();
                }
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                self.failed(&error.kind().to_string());
                true
            }
        }
    }

    /// So many clients, each with one request after the other.
    fn run(&mut self, connections: usize, total: u64, measured_from: Instant, end: Instant) {
        let mut clients: Vec<_> = (0..connections).map(|index| self.connect(index)).collect();
        let (mut begun, mut ended) = (clients.len() as u64, 0);
        let (mut events, mut buffer) = ([EpollEvent::empty(); 64], [0; 65536]);
        while Instant::now() < end && ended < total {
            self.measuring = Instant::now() >= measured_from;
            let count = self.epoll.wait(&mut events, 100u8).unwrap_or(0);
            for event in &events[..count] {
                let index = event.data() as usize;
                if self.read(&mut clients[index], &mut buffer) {
                    ended += 1;
                    if begun < total {
                        begun += 1;
                        clients[index] = self.connect(index);
                    } else {
                        let _ = self.epoll.delete(&clients[index].stream);
                    }
                }
            }
        }
    }

    /// A request of a connection of its own at random moments, whatever becomes of the others.
    fn run_at_rate(&mut self, rate: f64, measured_from: Instant, end: Instant) {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).expect("timerfd");
        self.epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).expect("epoll takes a timer");
        let (mut clients, mut free): (Vec<Client>, Vec<usize>) = (Vec::new(), Vec::new());
        let (mut events, mut buffer) = ([EpollEvent::empty(); 64], [0; 65536]);
        let mut random = 0x9e37_79b9_7f4a_7c15;
        let mut due = Instant::now();
        while Instant::now() < end {
            while due <= Instant::now() {
                self.measuring = due >= measured_from;
                let index = free.pop().unwrap_or(clients.len());
                let client = Client { sent_at: due, ..self.connect(index) };
                if index == clients.len() {
                    clients.push(client)
                } else {
                    clients[index] = client
                }
                due += Duration::from_secs_f64(-uniform(&mut random).ln() / rate);
            }
            let wait = due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            let _ = timer.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty());
            let count = self.epoll.wait(&mut events, 100u8).unwrap_or(0);
            for event in events[..count].iter().filter(|event| event.data() != TIMER) {
                let index = event.data() as usize;
                self.measuring = clients[index].sent_at >= measured_from;
                if self.read(&mut clients[index], &mut buffer) {
                    let _ = self.epoll.delete(&clients[index].stream);
                    let _ = clients[index].stream.shutdown(std::net::Shutdown::Both);
                    free.push(index);
                }
            }
        }
        // What has no answer in the end has waited at least until now.
        for client in clients.iter().filter(|client| !client.answered && client.sent_at >= measured_from) {
            self.latencies.push(client.sent_at.elapsed());
        }
    }
}

/// In (0, 1]: xorshift, always the same numbers.
fn uniform(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    ((*state >> 11) as f64 + 1.0) / (1u64 << 53) as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments[at].parse::<f64>().expect("a number");
    let keep_alive = number(3) != 0.0;
    let close = if keep_alive { "" } else { "Connection: close\r\n" };
    let mut load = Load {
        port: number(0) as u16,
        request: format!("GET {} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n", arguments[1]).into_bytes(),
        keep_alive,
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll"),
        latencies: Vec::new(),
        errors: BTreeMap::new(),
        workers: BTreeMap::new(),
        measuring: false,
    };
    let total = if arguments.len() > 6 && number(6) > 0.0 { number(6) as u64 } else { u64::MAX };
    let measured_from = Instant::now() + Duration::from_secs_f64(number(5));
    let end = measured_from + Duration::from_secs_f64(number(4));
    if arguments.len() > 7 {
        load.run_at_rate(number(7), measured_from, end);
    } else {
        load.run(number(2) as usize, total, measured_from, end);
    }
    load.latencies.sort_unstable();
    let at = |share: f64| load.latencies.get((load.latencies.len() as f64 * share) as usize);
    let milliseconds = |share| at(share).map(|latency| latency.as_secs_f64() * 1000.0);
    let result = serde_json::json!({
        "requests": load.latencies.len(),
        "perSecond": load.latencies.len() as f64 / number(4),
        "p50": milliseconds(0.5),
        "p99": milliseconds(0.99),
        "errors": load.errors.values().sum::<u64>(),
        "errorKinds": load.errors,
        "workers": load.workers,
    });
    let _ = writeln!(std::io::stdout(), "{result}");
}
