//! The visits program with the core driven by hand: threads, blocking sockets, and a map as the store.
//!
//! `cargo run -p cloakroom-core --example blocking`, then open <http://127.0.0.1:8000>.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, reason = "not the core itself")]

use std::{
    collections::HashMap,
    error::Error,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use cloakroom_core::{
    Access, CommitError, Engine, Entropy, EntropyError, Key, KeyId, Keyring, Loaded, Op, Outcome, RequestInfo, Session,
    StoreKey, Stored, UnixTime, Value, Version,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut secret = [0; 32];
    OsEntropy.fill(&mut secret)?;
    let ring = Keyring::new(Key::from_bytes(KeyId::new(1), &secret)?);
    let engine = Engine::new(ring);
    let store = Arc::new(Map::default());
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned()))?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, engine, store) = (stream?, engine.clone(), Arc::clone(&store));
        thread::spawn(move || serve(stream, &engine, &store).unwrap_or_else(|error| eprintln!("{error}")));
    }
    Ok(())
}

/// Answers one request.
fn serve(mut stream: TcpStream, engine: &Engine, store: &Map) -> Result<(), Box<dyn Error>> {
    let Some(Head { method, headers }) = read_head(&stream)? else { return Ok(()) };
    let all = |name| headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_bytes());
    let facts = RequestInfo::new().method(&method);
    let facts = all("sec-fetch-site").next().map_or(facts, |site| facts.sec_fetch_site(site));
    let mut session = engine.open(all("cookie"), &facts);

    let n = loaded(&mut session, store)?.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;

    // The cookie can be had only from `done`: once the record is stored.
    let done = session.commit(now(), &mut OsEntropy).run(|op| store.perform(op), now);
    let (status, body) = match done.result() {
        Ok(()) => ("200 OK", format!("visit {n}\n")),
        Err(error @ (CommitError::Contention | CommitError::Lost)) => ("409 Conflict", format!("{error}\n")),
        Err(error @ CommitError::CrossSite) => ("403 Forbidden", format!("{error}\n")),
        Err(error) => ("503 Service Unavailable", format!("{error}\n")),
    };
    let headers: String = done.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    Ok(())
}

/// Asks for the data, and loads what is asked for.
fn loaded<'s>(session: &'s mut Session, store: &Map) -> Result<&'s mut Loaded, Box<dyn Error>> {
    let mut access = session.access();
    loop {
        match access {
            Access::Ready(loaded) => return Ok(loaded),
            Access::Load(load) => {
                let sent = now();
                let found = match store.perform(&Op::Load { key: load.key().clone() }) {
                    Outcome::Found(stored) => Some(stored),
                    Outcome::Absent => None,
                    _ => return Err("the store is down, which is no empty session".into()),
                };
                access = load.supply(found, sent)?;
            }
        }
    }
}

/// What a request says before its body, header names in lower case.
struct Head {
    method: String,
    headers: Vec<(String, String)>,
}

/// Reads a head; nothing when nobody asked anything.
fn read_head(stream: &TcpStream) -> io::Result<Option<Head>> {
    let lines = BufReader::new(stream).split(b'\n').take(100);
    let mut lines = lines.map(|line| Ok(String::from_utf8_lossy(&line?).trim_end().to_owned()));
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let method = first.split(' ').next().unwrap_or_default().to_owned();
    let is_header = |line: &io::Result<String>| !line.as_ref().is_ok_and(String::is_empty);
    let lines: Vec<String> = lines.take_while(is_header).collect::<io::Result<_>>()?;
    let headers = lines.iter().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Some(Head { method, headers }))
}

fn now() -> UnixTime {
    UnixTime::EPOCH.saturating_add(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|_| EntropyError)
    }
}

/// The store: values with their versions and the times at which they expire.
#[derive(Default)]
struct Map {
    entries: Mutex<HashMap<StoreKey, (Value, u64, UnixTime)>>,
    versions: AtomicU64,
}

impl Map {
    fn perform(&self, op: &Op) -> Outcome {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, now) = (op.key(), now());
        entries.retain(|_, (_, _, expires)| *expires > now);
        let there = entries.get(key).map(|(value, version, expires)| Stored {
            value: value.clone(),
            version: Version::from_u64(*version),
            expires_in: Some(expires.since(now)),
        });
        let (value, ttl) = match (op, there) {
            // Without an index of users' sessions they sign in and out, but nobody can list or end them all.
            (Op::Enroll { .. } | Op::List { .. } | Op::Unenroll { .. }, _) => return Outcome::Unsupported,
            (Op::Load { .. }, there) => return there.map_or(Outcome::Absent, Outcome::Found),
            (Op::Create { .. }, Some(_)) => return Outcome::Exists,
            (Op::Create { value, ttl, .. }, None) => (value, ttl),
            (_, None) => return Outcome::Absent,
            (Op::Replace { version, .. } | Op::Touch { version, .. } | Op::Remove { version, .. }, Some(there))
                if there.version != *version =>
            {
                return Outcome::Conflict(Some(there));
            }
            (Op::Remove { .. }, Some(_)) => {
                entries.remove(key);
                return Outcome::Removed;
            }
            (Op::Replace { value, ttl, .. } | Op::Touch { value, ttl, .. }, Some(_)) => (value, ttl),
        };
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        entries.insert(key.clone(), (value.clone(), version, now.saturating_add(*ttl)));
        Outcome::Done(Version::from_u64(version))
    }
}
