//! The accept thread against workers that are played by the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::time::Instant;

use super::*;
use crate::cluster::listener::{Endpoint, Host, Options, listen_on};
use crate::cluster::worker::{Inbox, Received};
use crate::sys::fd::duplicate;
use crate::sys::socket::faults;

const TOKEN: u32 = 7;

/// A listener and workers that have joined it.
struct Stage {
    primary: Primary,
    listening: Listening,
    address: SocketAddr,
    workers: Vec<(WorkerId, Inbox)>,
}

impl Stage {
    fn new(count: usize) -> Self {
        Self::with(Policy::RoundRobin, count)
    }

    fn with(policy: Policy, count: usize) -> Self {
        Self::sticky(policy, Clients::default(), count)
    }

    fn sticky(policy: Policy, clients: Clients, count: usize) -> Self {
        let primary = Primary::new().unwrap();
        let endpoint = Endpoint::Tcp(Some(Host::parse("127.0.0.1").unwrap()), 0);
        let bound = listen_on(&endpoint, Options::default()).unwrap();
        let address = bound.address().unwrap();
        let listening = primary.listen(bound, policy, clients);
        let mut stage = Self { primary, listening, address, workers: Vec::new() };
        for _ in 0..count {
            stage.add_worker();
        }
        stage.settle();
        stage
    }

    /// Connects until all workers are known to be ready and the turn is the first one's.
    fn settle(&self) {
        let mut known = vec![false; self.workers.len()];
        let mut last = None;
        while known.contains(&false) || last != known.len().checked_sub(1) {
            let _client = self.connect(0);
            wait_until(|| {
                last = (0..known.len()).find(|&index| !self.is_empty(index));
                last.is_some()
            });
            last.inspect(|&index| known[index] = true);
        }
    }

    fn add_worker(&mut self) {
        let new = self.primary.add_worker(self.workers.len() as u32 + 1).unwrap();
        self.primary.join(self.listening.id(), new.worker, Some(TOKEN));
        let mut inbox = Inbox::open(duplicate(new.fd).unwrap().into_raw_fd(), new.inode).unwrap();
        inbox.ready(TOKEN);
        self.workers.push((new.worker, inbox));
    }

    /// Connects, naming itself in the first byte.
    fn connect(&self, name: u8) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.write_all(&[name]).unwrap();
        client
    }

    /// The names of the connections that worker `index` gets, until it has `count`.
    fn take(&self, index: usize, count: usize) -> Vec<u8> {
        self.take_connections(index, count).into_iter().map(|(_, name)| name).collect()
    }

    fn take_connections(&self, index: usize, count: usize) -> Vec<(OwnedFd, u8)> {
        let mut taken = Vec::new();
        wait_until(|| {
            while let Received::Connection(packet, connection) = self.workers[index].1.receive() {
                assert_eq!((packet.token, packet.listener), (TOKEN, self.listening.id()));
                let name = name_of(&connection);
                taken.push((connection, name));
            }
            taken.len() >= count
        });
        assert_eq!(taken.len(), count);
        taken
    }

    fn is_empty(&self, index: usize) -> bool {
        matches!(self.workers[index].1.receive(), Received::Empty)
    }
}

fn name_of(connection: &OwnedFd) -> u8 {
    let mut stream = TcpStream::from(connection.try_clone().unwrap());
    stream.set_nonblocking(false).unwrap();
    let mut name = [0];
    stream.read_exact(&mut name).unwrap();
    name[0]
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 5 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn connections_go_round() {
    let stage = Stage::new(3);
    let _clients: Vec<_> = (0..9).map(|name| stage.connect(name)).collect();
    assert_eq!(stage.take(0, 3), [0, 3, 6]);
    assert_eq!(stage.take(1, 3), [1, 4, 7]);
    assert_eq!(stage.take(2, 3), [2, 5, 8]);
}

#[test]
fn connections_wait_for_the_first_worker() {
    let mut stage = Stage::new(0);
    let _clients: Vec<_> = (0..3).map(|name| stage.connect(name)).collect();
    stage.add_worker();
    assert_eq!(stage.take(0, 3), [0, 1, 2]);
}

#[test]
fn what_a_worker_has_not_taken_goes_to_others_in_order_when_it_goes() {
    let stage = Stage::new(2);
    let _clients: Vec<_> = (0..6).map(|name| stage.connect(name)).collect();
    assert_eq!(stage.take(1, 3), [1, 3, 5]);
    stage.primary.remove_worker(stage.workers[0].0, false);
    assert_eq!(stage.take(1, 3), [0, 2, 4]);
}

#[test]
fn the_end_of_a_process_is_seen_without_being_told() {
    let mut stage = Stage::new(1);
    let mut process = std::process::Command::new("/bin/sleep").arg("100").spawn().unwrap();
    stage.primary.watch_worker(stage.workers[0].0, process.id() as i32).unwrap();
    let _clients: Vec<_> = (0..3).map(|name| stage.connect(name)).collect();
    stage.add_worker();
    process.kill().unwrap();
    let mut names = stage.take(1, 3);
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2]);
    process.wait().unwrap();
}

#[test]
fn a_refused_connection_goes_to_another_and_none_come_until_the_worker_is_ready() {
    let mut stage = Stage::new(2);
    let _first = stage.connect(0);
    let (connection, _) = stage.take_connections(0, 1).pop().unwrap();
    // Its name has been read; another one in its place.
    let listener = stage.listening.id();
    (&_first).write_all(&[100]).unwrap();
    stage.workers[0].1.refuse(TOKEN, listener, connection);
    assert_eq!(stage.take(1, 1), [100]);
    let _others: Vec<_> = (1..4).map(|name| stage.connect(name)).collect();
    assert_eq!(stage.take(1, 3), [1, 2, 3]);
    assert!(stage.is_empty(0));
    stage.workers[0].1.ready(TOKEN);
    std::thread::sleep(Duration::from_millis(20));
    let _more: Vec<_> = (4..6).map(|name| stage.connect(name)).collect();
    assert_eq!((stage.take(0, 1).len(), stage.take(1, 1).len()), (1, 1));
}

#[test]
fn a_worker_that_takes_nothing_is_passed_over_when_its_socket_is_full() {
    const COUNT: usize = 200;
    let stage = Stage::new(2);
    let mut taken = [0; 2];
    let mut clients = Vec::new();
    let mut drain = |index: usize| {
        while let Received::Connection(..) = stage.workers[index].1.receive() {
            taken[index] += 1;
        }
        taken
    };
    for _ in 0..COUNT {
        clients.push(stage.connect(0));
        drain(1);
    }
    wait_until(|| drain(1)[1] > COUNT - 50);
    wait_until(|| {
        drain(1);
        drain(0).iter().sum::<usize>() == COUNT
    });
    assert!((4..50).contains(&taken[0]), "{taken:?}");
}

#[test]
fn a_worker_without_a_token_gets_one_at_a_time_until_it_has_answered() {
    let stage = Stage::new(0);
    let (primary, listener) = (&stage.primary, stage.listening.id());
    let worker = primary.add_worker(1).unwrap().worker;
    primary.join(listener, worker, None);
    let _clients: Vec<_> = (0..3).map(|name| stage.connect(name)).collect();
    let next = || {
        let mut found = None;
        wait_until(|| {
            found = primary.next_event();
            found.is_some()
        });
        match found {
            Some(Event::Connection { connection, .. }) => connection,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(name_of(&next()), 0);
    std::thread::sleep(Duration::from_millis(20));
    assert!(primary.next_event().is_none());
    primary.free(listener, worker);
    let refused = next();
    primary.refused(listener, worker, refused);
    // Again the second, for nobody else is there.
    assert_eq!(name_of(&next()), 1);
    primary.free(listener, worker);
    assert_eq!(name_of(&next()), 2);
}

#[test]
fn a_closed_listener_frees_its_port_at_once_and_closes_what_waits() {
    let stage = Stage::new(1);
    let address = stage.address;
    let worker = stage.workers[0].0;
    let mut client = stage.connect(0);
    wait_until(|| {
        stage.primary.remove_worker(worker, false);
        true
    });
    drop(stage.listening);
    let endpoint = Endpoint::Tcp(Some(Host::parse("127.0.0.1").unwrap()), address.port());
    let again = listen_on(&endpoint, Options::default()).unwrap();
    assert!(again.socket.as_raw_fd() >= 0);
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // End of file, or a reset as its byte was never read.
    assert!(!matches!(client.read(&mut [0]), Ok(1..)));
}

#[test]
fn what_a_worker_has_not_taken_is_taken_back_after_it_has_left() {
    let stage = Stage::new(2);
    let _clients: Vec<_> = (0..6).map(|name| stage.connect(name)).collect();
    assert_eq!(stage.take(1, 3), [1, 3, 5]);
    let worker = stage.workers[0].0;
    stage.primary.leave(stage.listening.id(), worker);
    stage.primary.take_back(worker);
    assert_eq!(stage.take(1, 3), [0, 2, 4]);
}

#[test]
fn the_fewest_connections_count_with_those_that_wait_for_the_worker() {
    let stage = Stage::with(Policy::LeastConnections, 2);
    for (_, inbox) in &stage.workers {
        inbox.load().unwrap().beat(0);
    }
    stage.workers[0].1.load().unwrap().set_open(3);
    let _clients: Vec<_> = (0..5).map(|name| stage.connect(name)).collect();
    // Three for the second; then they are equal.
    wait_until(|| stage.workers[1].1.load().unwrap().pending() >= 3);
    let (first, second) = (stage.take(0, 1), stage.take(1, 4));
    assert_eq!((first, second), (vec![3], vec![0, 1, 2, 4]));
}

#[test]
fn a_worker_that_is_paused_gets_none_until_it_is_resumed() {
    let stage = Stage::new(2);
    let paused = stage.workers[0].0;
    stage.primary.tune(paused, 1, true);
    std::thread::sleep(Duration::from_millis(20));
    let _clients: Vec<_> = (0..3).map(|name| stage.connect(name)).collect();
    assert_eq!(stage.take(1, 3), [0, 1, 2]);
    stage.primary.tune(paused, 1, false);
    std::thread::sleep(Duration::from_millis(20));
    let _more: Vec<_> = (3..5).map(|name| stage.connect(name)).collect();
    assert_eq!((stage.take(0, 1).len(), stage.take(1, 1).len()), (1, 1));
}

const BY_PROXY: Clients = Clients { by: By::ProxyHeader, patience: Duration::from_millis(200) };

/// Connects as a proxy does, naming a client; the name of the connection is the `P` the header begins with.
fn connect_for(stage: &Stage, client: u8) -> TcpStream {
    let mut connection = TcpStream::connect(stage.address).unwrap();
    write!(connection, "PROXY TCP4 192.0.2.{client} 192.0.2.200 1 2\r\n").unwrap();
    connection
}

/// Which workers get how many of the connections under way.
fn takers(stage: &Stage, count: usize) -> Vec<usize> {
    let mut taken = vec![0; stage.workers.len()];
    wait_until(|| {
        for (index, (_, inbox)) in stage.workers.iter().enumerate() {
            while let Received::Connection(..) = inbox.receive() {
                taken[index] += 1;
            }
        }
        taken.iter().sum::<usize>() == count
    });
    taken
}

#[test]
fn clients_behind_a_proxy_are_told_apart_and_found_again() {
    let mut stage = Stage::sticky(Policy::Sticky, BY_PROXY, 0);
    (0..4).for_each(|_| stage.add_worker());
    let mut homes = Vec::new();
    for client in 0..40 {
        let _connections = [(); 3].map(|()| connect_for(&stage, client));
        let taken = takers(&stage, 3);
        homes.push(taken.iter().position(|&count| count == 3).expect("all of one client to one worker"));
    }
    assert!((0..4).all(|worker| homes.contains(&worker)), "{homes:?}");
}

#[test]
fn a_header_may_come_in_parts_and_stays_to_be_read() {
    let stage = Stage::sticky(Policy::Sticky, BY_PROXY, 1);
    let mut connection = TcpStream::connect(stage.address).unwrap();
    connection.set_nodelay(true).unwrap();
    for part in ["PRO", "XY TCP4 192.0", ".2.1 x 1 2\r", "\nrest"] {
        assert!(stage.is_empty(0));
        connection.write_all(part.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(stage.take(0, 1), [b'P']);
}

#[test]
fn who_says_nothing_holds_up_nobody_and_is_served_in_the_end() {
    let stage = Stage::sticky(Policy::Sticky, BY_PROXY, 1);
    let mut silent: Vec<_> = (0..50).map(|_| TcpStream::connect(stage.address).unwrap()).collect();
    let begin = Instant::now();
    let _other = connect_for(&stage, 1);
    assert_eq!(stage.take(0, 1), [b'P']);
    assert!(begin.elapsed() < BY_PROXY.patience);
    // One that has gone meanwhile is its worker's to see.
    drop(silent.pop());
    silent.iter_mut().for_each(|connection| connection.write_all(b"P").unwrap());
    assert_eq!(takers(&stage, 50), [50]);
    assert!(begin.elapsed() >= BY_PROXY.patience);
}

#[test]
fn a_client_that_drips_bytes_is_not_looked_at_for_each() {
    let clients = Clients { by: By::ForwardedFor, patience: Duration::from_secs(60) };
    let stage = Stage::sticky(Policy::Sticky, clients, 1);
    let mut connection = TcpStream::connect(stage.address).unwrap();
    connection.set_nodelay(true).unwrap();
    let mut sent = 0;
    wait_until(|| {
        connection.write_all(b"G").unwrap();
        sent += 1;
        matches!(stage.workers[0].1.receive(), Received::Connection(..))
    });
    assert!(sent >= 8, "{sent}");
}

#[test]
fn more_that_wait_than_there_is_room_for_push_out_the_oldest() {
    let clients = Clients { by: By::ProxyHeader, patience: Duration::from_secs(60) };
    let stage = Stage::sticky(Policy::Sticky, clients, 1);
    let _silent: Vec<_> = (0..70).map(|_| TcpStream::connect(stage.address).unwrap()).collect();
    assert_eq!(takers(&stage, 6), [6]);
    // What still waits ends with its listener.
    let Stage { listening, .. } = stage;
    drop(listening);
}

/// The next thing that worker `index` is told beside connections.
fn letter(stage: &Stage, index: usize) -> (Packet, Option<OwnedFd>) {
    let mut next = None;
    wait_until(|| {
        if let Received::Letter(packet, descriptor) = stage.workers[index].1.receive() {
            next = Some((packet, descriptor));
        }
        next.is_some()
    });
    next.unwrap()
}

#[test]
fn workers_are_given_a_socket_to_each_other() {
    let mut stage = Stage::new(2);
    stage.workers[0].1.meet(2);
    let (asked, ours) = letter(&stage, 0);
    let (told, theirs) = letter(&stage, 1);
    assert_eq!((asked.kind, asked.token, asked.listener), (Kind::Peer, 2, 1));
    assert_eq!((told.kind, told.token, told.listener), (Kind::Peer, 1, 0));
    nix::unistd::write(ours.unwrap(), b"x").unwrap();
    let mut byte = [0];
    assert_eq!(nix::unistd::read(theirs.unwrap(), &mut byte), Ok(1));

    stage.workers[0].1.meet(9);
    let (absent, none) = letter(&stage, 0);
    assert_eq!((absent.kind, absent.token, none.is_none()), (Kind::Absent, 9, true));
    stage.primary.remove_worker(stage.workers[1].0, false);
    stage.workers[0].1.meet(2);
    assert_eq!(letter(&stage, 0).0.kind, Kind::Absent);
}

#[test]
fn workers_of_another_cluster_are_not_there() {
    let (mut stage, _other) = (Stage::new(1), Stage::new(2));
    stage.workers[0].1.meet(2);
    assert_eq!(letter(&stage, 0).0.kind, Kind::Absent);
}

#[test]
fn a_list_names_those_that_have_told_that_they_are_there_however_many() {
    let mut stage = Stage::new(40);
    for (_, inbox) in &stage.workers[..39] {
        inbox.load().unwrap().beat(0);
    }
    stage.workers[0].1.list(5);
    let mut numbers = Vec::new();
    loop {
        let (packet, _) = letter(&stage, 0);
        assert_eq!((packet.kind, packet.token), (Kind::Listed, 5));
        if packet.listener == 0 {
            break;
        }
        numbers.push(packet.listener);
    }
    assert_eq!(numbers, (2..40).collect::<Vec<_>>());
}

#[test]
fn what_is_taken_back_from_a_worker_that_lives_are_connections_only() {
    let mut stage = Stage::new(2);
    let _clients: Vec<_> = (0..4).map(|name| stage.connect(name)).collect();
    stage.workers[0].1.meet(2);
    stage.primary.take_back(stage.workers[0].0);
    // All four are there, whoever has them, and so is the socket.
    let mut names = Vec::new();
    let mut peers = 0;
    wait_until(|| {
        for (_, inbox) in &stage.workers {
            match inbox.receive() {
                Received::Connection(_, connection) => names.push(name_of(&connection)),
                Received::Letter(..) => peers += 1,
                _ => {}
            }
        }
        names.len() == 4 && peers == 2
    });
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2, 3]);
}

/// What is told of failing accepts, so far.
fn failures(stage: &Stage) -> Vec<Errno> {
    std::iter::from_fn(|| stage.primary.next_event())
        .filter_map(|event| match event {
            Event::AcceptFailed { errno, .. } => Some(errno),
            Event::Connection { .. } => None,
        })
        .collect()
}

#[test]
fn accepts_that_fail_for_want_of_something_are_tried_again_and_told_once() {
    for errno in [Errno::ENFILE, Errno::EMFILE, Errno::ENOBUFS, Errno::ENOMEM] {
        let stage = Stage::new(1);
        faults::prepare(stage.listening.number, vec![errno; 5]);
        let begin = Instant::now();
        let _client = stage.connect(1);
        assert_eq!(stage.take(0, 1), [1]);
        // A pause between any two.
        assert!(begin.elapsed() >= Duration::from_millis(5 * 15), "{errno}");
        assert_eq!(failures(&stage), [errno]);
        // It worked meanwhile, so it is news.
        faults::prepare(stage.listening.number, vec![errno]);
        let _client = stage.connect(2);
        assert_eq!(stage.take(0, 1), [2]);
        assert_eq!(failures(&stage), [errno]);
    }
}

#[test]
fn a_connection_that_has_gone_costs_the_others_nothing() {
    let stage = Stage::new(2);
    let errors = vec![Errno::ECONNABORTED, Errno::EPROTO, Errno::EPERM, Errno::EINTR, Errno::ENETDOWN];
    faults::prepare(stage.listening.number, errors);
    let _clients: Vec<_> = (0..4).map(|name| stage.connect(name)).collect();
    assert_eq!((stage.take(0, 2), stage.take(1, 2)), (vec![0, 2], vec![1, 3]));
    assert_eq!((failures(&stage), faults::left(stage.listening.number)), (vec![], 0));
}
