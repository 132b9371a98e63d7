//! A server of the simulated network that reads commands as Redis does, and answers whatever it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arbitrary::Arbitrary;
use cloakroom_core::StoreKey;
use cloakroom_runtime::{Endpoint, run};
use cloakroom_sim::{Sim, SimStream};
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::entry::key;

/// An answer, or what comes in place of one.
#[derive(Arbitrary, Clone, Debug)]
pub(super) enum Reply {
    /// A value and its time to live, as a conflict or a load brings them.
    Found(Vec<u8>, i64),
    Number(i64),
    Bulk(Vec<u8>),
    Nothing,
    Okay,
    /// One of the errors that mean something.
    Known(u8, u16),
    Error(String),
    /// Masters of slots: from, to, port and host. None is one for all of them, here.
    Slots(Vec<(i16, u16, u16, u8)>),
    /// No answer, and none to what comes after it.
    Silence,
    /// The connection ends after a part of an answer.
    Cut(u8),
    /// Any bytes. They may hold several answers, so that later ones are out of step.
    Raw(Vec<u8>),
    /// How many members an index has, and some of them.
    Listed(i64, Vec<u8>),
}

const KNOWN: [&str; 12] = [
    "MOVED 1 127.0.0.1:6379",
    "ASK 1 127.0.0.1:6379",
    "MOVED 1 127.0.0.1:",
    "ASK 1 :",
    "NOSCRIPT No matching script.",
    "OOM command not allowed",
    "LOADING",
    "READONLY",
    "ERR syntax error",
    "ERR unknown command 'EVALSHA', with args beginning with: '",
    "TRYAGAIN",
    "ERR Error running script: cloakroom:0000000000000000000001",
];

/// How a node names its host, or does not.
const HOSTS: [&str; 5] = ["$9\r\n127.0.0.1\r\n", "$0\r\n\r\n", "$1\r\n?\r\n", "$-1\r\n", "$9\r\nelsewhere\r\n"];
const METADATA: &str = "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n";

impl Reply {
    /// The members of a listing; one of them is none.
    pub(super) fn member(number: u8) -> Option<StoreKey> {
        (number != u8::MAX).then(|| key(u64::from(number)))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let bulk = |bytes: &[u8]| [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let line = |text: &str| text.replace(['\r', '\n'], " ");
        match self {
            Self::Found(value, ttl) => [b"*2\r\n", &bulk(value)[..], format!(":{ttl}\r\n").as_bytes()].concat(),
            Self::Listed(total, members) => {
                let member = |number: &u8| bulk(Self::member(*number).as_ref().map_or(&b""[..], StoreKey::as_bytes));
                let head = format!("*2\r\n:{total}\r\n*{}\r\n", members.len()).into_bytes();
                [head, members.iter().flat_map(member).collect()].concat()
            }
            Self::Number(number) => format!(":{number}\r\n").into_bytes(),
            Self::Bulk(bytes) => bulk(bytes),
            Self::Nothing => b"$-1\r\n".to_vec(),
            Self::Okay => b"+OK\r\n".to_vec(),
            Self::Known(which, port) => {
                let known = KNOWN[usize::from(*which) % KNOWN.len()];
                let port = if known.ends_with(':') { port.to_string() } else { String::new() };
                format!("-{known}{port}\r\n").into_bytes()
            }
            Self::Error(words) => format!("-{}\r\n", line(words)).into_bytes(),
            Self::Slots(ranges) => {
                let range = |(first, last, port, host): &(i16, u16, u16, u8)| {
                    let host = HOSTS[usize::from(*host) % HOSTS.len()];
                    let port = if *port % 4 == 0 { 6379 } else { *port };
                    format!("*3\r\n:{first}\r\n:{last}\r\n*4\r\n{host}:{port}\r\n$2\r\nid\r\n{METADATA}")
                };
                let ranges = if ranges.is_empty() { &[(0, 16383, 0, 0)][..] } else { ranges };
                format!("*{}\r\n{}", ranges.len(), ranges.iter().map(range).collect::<String>()).into_bytes()
            }
            Self::Silence => Vec::new(),
            Self::Cut(at) => bulk(b"cut off")[..usize::from(*at) % 13].to_vec(),
            Self::Raw(bytes) => bytes.clone(),
        }
    }
}

/// What the server was asked, by the command's name, and what it said.
pub(super) type Log = Arc<Mutex<Vec<(String, Reply)>>>;

/// Starts the server. What it was not told how to answer it cuts off.
pub(super) fn serve(sim: &Sim, replies: Vec<Reply>, is_cluster: bool) -> Log {
    let log = Log::default();
    let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
    let listener = sim.listen(&Endpoint::Host("127.0.0.1".to_owned(), 6379)).expect("a free port");
    let (runtime, logs) = (sim.runtime(), log.clone());
    drop(run(&sim.runtime(), async move {
        loop {
            let stream = listener.accept().await;
            drop(run(&runtime, talk(stream, replies.clone(), logs.clone(), is_cluster)));
        }
    }));
    log
}

async fn talk(mut stream: SimStream, replies: Arc<Mutex<VecDeque<Reply>>>, log: Log, is_cluster: bool) {
    let (mut unread, mut chunk, mut is_silent) = (Vec::new(), [0; 4096], false);
    loop {
        while let Some((name, len)) = command(&unread) {
            unread.drain(..len);
            let reply = match name.as_str() {
                _ if is_silent => Reply::Silence,
                // What a connection begins with.
                "PING" => Reply::Raw(b"+PONG\r\n".to_vec()),
                "CLIENT" => Reply::Okay,
                "INFO" | "CONFIG" => Reply::Error("ERR no".to_owned()),
                "CLUSTER" if !is_cluster => Reply::Okay,
                _ => lock(&replies).pop_front().unwrap_or(Reply::Cut(0)),
            };
            lock(&log).push((name, reply.clone()));
            is_silent |= matches!(reply, Reply::Silence);
            if stream.write_all(&reply.bytes()).await.is_err() || matches!(reply, Reply::Cut(_)) {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(len) if len > 0 => unread.extend_from_slice(&chunk[..len]),
            _ => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of the first command, and its length, once all of it is there.
fn command(bytes: &[u8]) -> Option<(String, usize)> {
    let mut at = 0;
    let line = |at: &mut usize| {
        let len = bytes.get(*at..)?.windows(2).position(|end| end == b"\r\n")?;
        let text = str::from_utf8(&bytes[*at + 1..*at + len]).expect("a number").parse::<usize>().expect("a number");
        *at += len + 2;
        Some(text)
    };
    let parts = line(&mut at)?;
    let mut name = String::new();
    for part in 0..parts {
        let len = line(&mut at)?;
        let text = bytes.get(at..at + len)?;
        if part == 0 {
            name = String::from_utf8_lossy(text).to_ascii_uppercase();
        }
        at += len + 2;
    }
    (at <= bytes.len()).then_some((name, at))
}
