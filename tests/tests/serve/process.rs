//! How it starts and ends.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use cloakroom_tests::{
    demo::{PATIENCE, eventually},
    servers::{Service, ServiceOptions},
};

tests! {
    what_is_under_way_is_answered_before_it_ends,
    connections_without_a_request_do_not_hold_it_up,
    connections_without_a_handshake_do_not_hold_it_up,
    a_second_signal_ends_it_at_once,
    a_file_keeps_its_sessions,
    a_client_that_goes_away_is_forgotten,
}

const HEAD: &str = "PUT /sessions/a HTTP/1.1\r\nhost: localhost\r\nif-none-match: *\r\ncloakroom-ttl: 60000\r\n";

/// Sends half of a request, of which the service has read the head.
fn half(service: &Service) -> TcpStream {
    let mut stream = TcpStream::connect(service.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It asks for the body once it has read the head.
    write!(stream, "{HEAD}content-length: 8\r\nexpect: 100-continue\r\n\r\n").unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said[..], b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"half").unwrap();
    stream
}

fn what_is_under_way_is_answered_before_it_ends() {
    let mut service = Service::start(ServiceOptions::new("memory:"));
    let mut stream = half(&service);
    service.terminate();
    eventually("the log says so", || service.log().contains("stopping"));
    assert!(TcpStream::connect(service.address()).is_err(), "nobody new gets in");
    assert!(!service.has_ended());
    stream.write_all(b"half").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 201 ") && said.contains("cloakroom-outcome: done"), "{said}");
    service.stop();
    assert!(service.log().contains("stopped"), "{}", service.log());
}

fn connections_without_a_request_do_not_hold_it_up() {
    let mut service = Service::start(ServiceOptions::new("memory:"));
    let silent = TcpStream::connect(service.address()).unwrap();
    service.send("GET", "/sessions/a", &[], b"").expect(404, "absent");
    let since = Instant::now();
    service.stop();
    assert!(since.elapsed().as_secs() < 8, "it waited for those who ask nothing");
    drop(silent);
}

fn connections_without_a_handshake_do_not_hold_it_up() {
    let mut service = Service::start(ServiceOptions::new("memory:").tls());
    let silent = TcpStream::connect(service.address()).unwrap();
    // Who came later is turned away: the first was let in.
    let mut later = TcpStream::connect(service.address()).unwrap();
    later.set_read_timeout(Some(PATIENCE)).unwrap();
    later.write_all(b"this is no handshake").unwrap();
    let _ = later.read_to_end(&mut Vec::new());
    let since = Instant::now();
    service.stop();
    assert!(since.elapsed().as_secs() < 8, "it waited for a handshake");
    drop(silent);
}

fn a_second_signal_ends_it_at_once() {
    let mut service = Service::start(ServiceOptions::new("memory:"));
    let stream = half(&service);
    service.terminate();
    eventually("the log says so", || service.log().contains("stopping"));
    service.terminate();
    eventually("its end", || service.has_ended());
    assert!(service.log().contains("stopped with requests under way"), "{}", service.log());
    drop(stream);
}

fn a_file_keeps_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let mut service = Service::start(ServiceOptions::new(&format!("redb:{}", path.display())));
    let create = [("if-none-match", "*"), ("cloakroom-ttl", "600000")];
    let etag = service.send("PUT", "/sessions/a", &create, b"one").expect(201, "done").header("etag").to_owned();
    service.restart();
    let found = service.send("GET", "/sessions/a", &[], b"").expect(200, "found");
    assert_eq!((found.text(), found.header("etag")), ("one", etag.as_str()));
    service.stop();
}

fn a_client_that_goes_away_is_forgotten() {
    let service = Service::start(ServiceOptions::new("memory:"));
    let streams: Vec<_> = (0..20).map(|_| half(&service)).collect();
    assert!(service.counter("cloakroom_connections") >= 20);
    drop(streams);
    eventually("closed connections", || service.counter("cloakroom_connections") <= 2);
    service.send("GET", "/sessions/a", &[], b"").expect(404, "absent");
}
