//! The proxy between clients and a server that echoes.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use cloakroom_tests::{
    demo::{PATIENCE, eventually},
    proxy::{Direction, Fault, Plan, Proxy},
};

use Direction::{ToClient, ToServer};

/// How long nothing has to happen until it is taken for good.
const SILENCE: Duration = Duration::from_millis(60);
const HELLO: &[u8] = b"hello, echo";

/// How a stream ended for its reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Fin,
    Reset,
}

/// A server that sends back what it gets, and tells what it got and how that ended.
struct Echo {
    address: SocketAddr,
    ended: mpsc::Receiver<(Vec<u8>, End)>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, end) = (client.unwrap(), end.clone());
                thread::spawn(move || {
                    let _ = end.send(echo(client));
                });
            }
        });
        Self { address, ended }
    }

    /// Returns what came of the next connection that ended.
    fn next_end(&self) -> (Vec<u8>, End) {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }
}

fn echo(mut client: TcpStream) -> (Vec<u8>, End) {
    let mut got = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match client.read(&mut bytes) {
            Ok(0) => return (got, End::Fin),
            Ok(count) => {
                got.extend(&bytes[..count]);
                if client.write_all(&bytes[..count]).is_err() {
                    return (got, End::Reset);
                }
            }
            Err(_) => return (got, End::Reset),
        }
    }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Sends, and reads until all of it is back.
fn ask(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let mut answer = vec![0; bytes.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, bytes);
}

/// Reads to the end.
fn rest(client: &mut TcpStream) -> (Vec<u8>, End) {
    let mut got = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match client.read(&mut bytes) {
            Ok(0) => return (got, End::Fin),
            Ok(count) => got.extend(&bytes[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                return (got, End::Reset);
            }
        }
    }
}

/// Checks that nothing comes, not even an end.
fn is_silent(client: &mut TcpStream) {
    client.set_read_timeout(Some(SILENCE)).unwrap();
    let read = client.read(&mut [0]);
    assert!(matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock), "{read:?}");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[test]
fn bytes_pass_both_ways_and_are_counted() {
    let (echo, big) = (Echo::start(), vec![b'x'; 1 << 20]);
    let proxy = Proxy::start(echo.address);
    assert_eq!((proxy.connections(), proxy.open()), (0, 0));
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    ask(&mut one, HELLO);
    ask(&mut other, HELLO);
    assert_eq!((proxy.connections(), proxy.open()), (2, 2));
    let sender = {
        let (mut one, big) = (one.try_clone().unwrap(), big.clone());
        thread::spawn(move || one.write_all(&big).unwrap())
    };
    let mut answer = vec![0; big.len()];
    one.read_exact(&mut answer).unwrap();
    sender.join().unwrap();
    assert!(answer == big);
    let all = 2 * HELLO.len() as u64 + (1 << 20);
    eventually("all bytes", || proxy.bytes(ToServer) == all && proxy.bytes(ToClient) == all);
    assert_eq!(proxy.faults(), 0);
    drop((one, other));
    eventually("ends", || proxy.open() == 0);
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn an_end_passes_after_all_bytes_before_it() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    client.write_all(HELLO).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), (HELLO.to_vec(), End::Fin));
    assert_eq!(echo.next_end(), (HELLO.to_vec(), End::Fin));
    eventually("an end", || proxy.open() == 0);
}

#[test]
fn a_client_that_resets_resets_the_server() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    client.write_all(HELLO).unwrap();
    eventually("an answer", || client.peek(&mut [0; 64]).unwrap() == HELLO.len());
    // Closed with an answer unread.
    drop(client);
    assert_eq!(echo.next_end(), (HELLO.to_vec(), End::Reset));
}

#[test]
fn answers_are_cut_at_every_byte() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    for offset in 0..HELLO.len() {
        for (fault, end) in [(Fault::Reset, End::Reset), (Fault::Finish, End::Fin)] {
            let faults = proxy.faults();
            proxy.plan_next(Plan::new().at(ToClient, offset as u64, fault));
            let mut client = connect(&proxy);
            client.write_all(HELLO).unwrap();
            assert_eq!(rest(&mut client), (HELLO[..offset].to_vec(), end), "{fault:?} at {offset}");
            drop(client);
            // The server has all that was asked.
            assert_eq!(echo.next_end(), (HELLO.to_vec(), end), "{fault:?} at {offset}");
            assert_eq!(proxy.faults(), faults + 1);
            eventually("an end", || proxy.open() == 0);
        }
    }
}

#[test]
fn requests_are_cut_at_every_byte() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    for offset in 0..HELLO.len() {
        for (fault, end) in [(Fault::Reset, End::Reset), (Fault::Finish, End::Fin)] {
            proxy.plan_next(Plan::new().at(ToServer, offset as u64, fault));
            let mut client = connect(&proxy);
            client.write_all(HELLO).unwrap();
            assert_eq!(echo.next_end(), (HELLO[..offset].to_vec(), end), "{fault:?} at {offset}");
            let (got, how) = rest(&mut client);
            assert!(HELLO[..offset].starts_with(&got), "{got:?}");
            assert_eq!(how, end, "{fault:?} at {offset}");
        }
    }
}

#[test]
fn a_fault_waits_for_the_byte_that_it_is_for() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    proxy.plan_next(Plan::new().at(ToServer, HELLO.len() as u64, Fault::Reset));
    let mut client = connect(&proxy);
    ask(&mut client, HELLO);
    is_silent(&mut client);
    assert_eq!((proxy.faults(), proxy.open()), (0, 1));
    client.write_all(b"!").unwrap();
    assert_eq!(rest(&mut client).1, End::Reset);
    assert_eq!(proxy.faults(), 1);
    eventually("an end", || proxy.open() == 0);
}

#[test]
fn what_is_delayed_comes_late_and_in_order() {
    const DELAY: Duration = Duration::from_millis(80);
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    proxy.plan_next(Plan::new().at(ToClient, 5, Fault::Delay(DELAY)));
    let mut client = connect(&proxy);
    let since = Instant::now();
    client.write_all(HELLO).unwrap();
    let mut start = [0; 5];
    client.read_exact(&mut start).unwrap();
    assert_eq!(start, HELLO[..5]);
    is_silent(&mut client);
    let mut end = vec![0; HELLO.len() - 5];
    client.read_exact(&mut end).unwrap();
    assert_eq!(end, HELLO[5..]);
    assert!(since.elapsed() >= DELAY);
    let since = Instant::now();
    ask(&mut client, HELLO);
    assert!(since.elapsed() >= DELAY);
}

#[test]
fn nothing_is_late_after_it_was_healed() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    proxy.plan_next(Plan::new().at(ToServer, HELLO.len() as u64, Fault::Delay(10 * PATIENCE)));
    let mut client = connect(&proxy);
    ask(&mut client, HELLO);
    client.write_all(b"!").unwrap();
    is_silent(&mut client);
    assert_eq!(proxy.faults(), 1);
    proxy.heal();
    let mut late = [0];
    client.read_exact(&mut late).unwrap();
    ask(&mut client, HELLO);
}

#[test]
fn what_is_held_goes_on_when_it_is_healed() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    for direction in [ToClient, ToServer] {
        proxy.plan_next(Plan::new().at(direction, 5, Fault::Hold));
        let mut client = connect(&proxy);
        client.write_all(HELLO).unwrap();
        let mut start = [0; 5];
        client.read_exact(&mut start).unwrap();
        is_silent(&mut client);
        client.write_all(b"!").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        is_silent(&mut client);
        proxy.heal();
        assert_eq!(rest(&mut client), ([&HELLO[5..], b"!"].concat(), End::Fin));
        assert_eq!(echo.next_end(), ([HELLO, b"!"].concat(), End::Fin));
    }
}

#[test]
fn all_connections_are_held_and_go_on() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut before = connect(&proxy);
    ask(&mut before, HELLO);
    proxy.hold();
    let mut after = connect(&proxy);
    for client in [&mut before, &mut after] {
        client.write_all(HELLO).unwrap();
        is_silent(client);
    }
    proxy.heal();
    for client in [&mut before, &mut after] {
        let mut answer = vec![0; HELLO.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, HELLO);
    }
}

#[test]
fn one_that_gave_up_while_it_was_held_is_told_of_late() {
    for resets in [false, true] {
        let echo = Echo::start();
        let proxy = Proxy::start(echo.address);
        let mut client = connect(&proxy);
        ask(&mut client, HELLO);
        if resets {
            // An answer that is unread when it closes.
            client.write_all(b"?").unwrap();
            eventually("an answer", || client.peek(&mut [0]).unwrap() == 1);
        }
        proxy.hold();
        client.write_all(b"!").unwrap();
        drop(client);
        assert_eq!(echo.ended.recv_timeout(SILENCE), Err(mpsc::RecvTimeoutError::Timeout));
        proxy.heal();
        // What it sent last arrives all the same.
        let (got, _) = echo.next_end();
        assert_eq!(got.last(), Some(&b'!'));
    }
}

#[test]
fn what_is_swallowed_is_lost_and_nobody_hears_of_an_end() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    proxy.plan_next(Plan::new().at(ToServer, 5, Fault::Swallow));
    let mut client = connect(&proxy);
    client.write_all(HELLO).unwrap();
    let mut start = [0; 5];
    client.read_exact(&mut start).unwrap();
    assert_eq!(start, HELLO[..5]);
    is_silent(&mut client);
    proxy.heal();
    client.write_all(HELLO).unwrap();
    is_silent(&mut client);
    drop(client);
    assert_eq!(echo.ended.recv_timeout(SILENCE), Err(mpsc::RecvTimeoutError::Timeout));
    assert_eq!(proxy.open(), 1);
    drop(proxy);
    assert_eq!(echo.next_end(), (HELLO[..5].to_vec(), End::Reset));
}

#[test]
fn a_black_hole_takes_all_and_answers_nothing() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut before = connect(&proxy);
    ask(&mut before, HELLO);
    proxy.blackhole();
    let mut after = connect(&proxy);
    for client in [&mut before, &mut after] {
        client.write_all(HELLO).unwrap();
        is_silent(client);
    }
    assert_eq!(proxy.bytes(ToServer), HELLO.len() as u64);
    proxy.heal();
    ask(&mut connect(&proxy), HELLO);
    // What fell in is gone.
    is_silent(&mut before);
    is_silent(&mut after);
}

#[test]
fn nobody_is_let_in_while_it_refuses() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut before = connect(&proxy);
    ask(&mut before, HELLO);
    proxy.refuse();
    let refused = TcpStream::connect(proxy.address()).map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::ConnectionRefused));
    ask(&mut before, HELLO);
    proxy.heal();
    ask(&mut connect(&proxy), HELLO);
    ask(&mut before, HELLO);
}

#[test]
fn resets_reach_both_ends_of_all_connections() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut clients = [connect(&proxy), connect(&proxy)];
    for client in &mut clients {
        ask(client, HELLO);
    }
    proxy.reset();
    assert_eq!(proxy.open(), 0);
    for client in &mut clients {
        assert_eq!(rest(client), (Vec::new(), End::Reset));
        assert_eq!(echo.next_end(), (HELLO.to_vec(), End::Reset));
    }
    ask(&mut connect(&proxy), HELLO);
}

#[test]
fn ends_reach_both_ends_of_all_connections() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    ask(&mut client, HELLO);
    proxy.finish();
    assert_eq!(rest(&mut client), (Vec::new(), End::Fin));
    assert_eq!(echo.next_end(), (HELLO.to_vec(), End::Fin));
    eventually("an end", || proxy.open() == 0);
}

#[test]
fn plans_go_to_connections_in_turn() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let cut = |offset| Plan::new().at(ToClient, offset, Fault::Reset);
    proxy.plan(cut(1));
    proxy.plan_next(cut(2));
    proxy.plan_next(Plan::new());
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let mut client = connect(&proxy);
        client.write_all(HELLO).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        lengths.push(rest(&mut client).0.len());
    }
    assert_eq!(lengths, [2, HELLO.len(), 1, 1]);
    proxy.heal();
    ask(&mut connect(&proxy), HELLO);
}

#[test]
fn a_strike_counts_from_what_has_passed() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    ask(&mut client, HELLO);
    proxy.strike(ToClient, 3, Fault::Finish);
    client.write_all(HELLO).unwrap();
    assert_eq!(rest(&mut client), (HELLO[..3].to_vec(), End::Fin));
    assert_eq!(proxy.faults(), 1);
    // Those that come later are none of its business.
    ask(&mut connect(&proxy), HELLO);
}

#[test]
fn pieces_come_one_after_the_other() {
    const PIECES: u64 = 60;
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    proxy.plan_next(Plan::new().at(ToClient, 0, Fault::Pieces(2)));
    let mut client = connect(&proxy);
    let since = Instant::now();
    ask(&mut client, &[b'x'; 2 * PIECES as usize]);
    assert!(since.elapsed() >= Duration::from_millis(PIECES - 1));
}

#[test]
fn a_server_that_is_not_there_resets_its_clients() {
    let nowhere = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nowhere);
    let mut client = connect(&proxy);
    assert_eq!(rest(&mut client), (Vec::new(), End::Reset));
    eventually("an end", || proxy.open() == 0);
}

#[test]
fn nothing_is_open_after_the_proxy() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    ask(&mut client, HELLO);
    let address = proxy.address();
    drop(proxy);
    assert_eq!(rest(&mut client), (Vec::new(), End::Reset));
    assert_eq!(echo.next_end().1, End::Reset);
    assert!(TcpStream::connect(address).is_err());
}
