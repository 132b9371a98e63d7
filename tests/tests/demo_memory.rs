//! Sessions that are made and expire leave nothing in the process.

#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use cloakroom_tests::demo::Demo;

const ROUNDS: usize = 4;
const SESSIONS: usize = 25_000;
const CONNECTIONS: usize = 8;
/// How long the sweeper may take to come round on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are sent before the first of their answers is read.
const BATCH: usize = 25;
/// What the process may hold more after the last round than after the first: 96 bytes for each session between.
const TOLERANCE: u64 = ((ROUNDS - 1) * SESSIONS * 96) as u64;

/// A connection that stays, as cheap for the client as can be.
struct Connection(BufReader<TcpStream>);

/// What an answer said.
struct Said {
    cookie: Option<String>,
    body: String,
}

impl Connection {
    fn open(demo: &Demo) -> Self {
        Self(BufReader::new(TcpStream::connect(demo.address()).unwrap()))
    }

    /// Sends requests one after the other, and returns what their answers said.
    fn batch(&mut self, requests: &[String]) -> Vec<Said> {
        self.0.get_mut().write_all(requests.concat().as_bytes()).unwrap();
        requests.iter().map(|_| self.answer()).collect()
    }

    fn answer(&mut self) -> Said {
        let (mut cookie, mut length, mut line) = (None, 0, String::new());
        assert!(self.0.read_line(&mut line).unwrap() > 0, "it hung up");
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it hung up");
            let Some((name, value)) = line.split_once(": ") else { break };
            match name {
                "content-length" => length = value.trim().parse().unwrap(),
                "set-cookie" => cookie = value.split(';').next().map(str::to_owned),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut self.0, &mut body).unwrap();
        Said { cookie, body: String::from_utf8(body).unwrap() }
    }
}

/// Makes sessions over one connection; returns some of their tickets.
fn make(demo: &Demo, sessions: usize) -> Vec<String> {
    const MAKE: &str = "PUT /api/session/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n1";
    let mut connection = Connection::open(demo);
    let mut tickets = Vec::new();
    for _ in 0..sessions / BATCH {
        let made = connection.batch(&vec![MAKE.to_owned(); BATCH]);
        tickets.extend(made.into_iter().take(1).map(|said| said.cookie.unwrap()));
    }
    tickets
}

/// Waits until the store was swept of all that nobody asks for any more.
fn wait_until_swept(demo: &Demo) {
    let since = Instant::now();
    while demo.metrics().sessions() > 0 {
        assert!(since.elapsed() < PATIENCE, "what has expired is held on to");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Presents tickets of sessions that have expired.
fn present(demo: &Demo, tickets: &[String]) {
    let mut connection = Connection::open(demo);
    let show = |ticket| format!("GET /api/session HTTP/1.1\r\nhost: localhost\r\ncookie: {ticket}\r\n\r\n");
    for said in connection.batch(&tickets.iter().map(show).collect::<Vec<_>>()) {
        assert_eq!(said.cookie, None);
        assert!(said.body.contains("\"new\":true,\"data\":{}"), "{}", said.body);
    }
}

#[test]
fn a_hundred_thousand_sessions_made_and_expired_leave_nothing() {
    let demo = Demo::start(&["--idle", "1s"]);
    let since = Instant::now();
    let resident: Vec<u64> = (0..ROUNDS)
        .map(|round| {
            let tickets: Vec<String> = thread::scope(|scope| {
                let makers = [(); CONNECTIONS].map(|()| scope.spawn(|| make(&demo, SESSIONS / CONNECTIONS)));
                makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
            });
            assert_eq!(demo.metrics().event("created"), ((round + 1) * SESSIONS) as u64);
            wait_until_swept(&demo);
            present(&demo, &tickets);
            let resident = demo.resident_bytes();
            println!(
                "round {round}: {SESSIONS} sessions made and expired, {} KiB resident, {:.1} s",
                resident / 1024,
                since.elapsed().as_secs_f64(),
            );
            resident
        })
        .collect();
    assert!(
        resident[ROUNDS - 1] <= resident[0] + TOLERANCE,
        "it grows by more than {TOLERANCE} bytes after the first round: {resident:?}"
    );
}
