//! A server that answers what it is told to, and keeps a record of every byte and of every connection's end.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use cloakroom_tests::demo::eventually;

/// What the server does with the reads that follow the greeting, by the number of the connection and of the read.
pub(crate) type Reply = fn(connection: usize, asked: &str) -> Option<Vec<u8>>;

/// What happened on a connection after its greeting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// What each read of the server brought.
    pub(crate) reads: Vec<String>,
    pub(crate) is_closed: bool,
}

pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    traces: Arc<Mutex<Vec<Trace>>>,
}

impl Script {
    /// Starts one, which says this to the greeting. Its threads end with the process.
    pub(crate) fn start(greeting: &'static str, reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, traces) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Trace>>>::default());
        let log = traces.clone();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                log.lock().unwrap().push(Trace::default());
                let log = log.clone();
                thread::spawn(move || talk(stream.unwrap(), number, greeting, reply, &log));
            }
        });
        Self { address, traces }
    }

    pub(crate) fn url(&self) -> String {
        format!("memcached://{}", self.address)
    }

    /// Returns how many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.traces.lock().unwrap().len()
    }

    /// Returns how many questions came over all connections.
    pub(crate) fn reads(&self) -> usize {
        self.traces.lock().unwrap().iter().map(|trace| trace.reads.len()).sum()
    }

    /// Returns what happened on every connection, once it is as expected.
    #[track_caller]
    pub(crate) fn traces(&self, what: &str, holds: impl Fn(&[Trace]) -> bool) -> Vec<Trace> {
        eventually(what, || holds(&self.traces.lock().unwrap()));
        self.traces.lock().unwrap().clone()
    }
}

fn talk(mut stream: TcpStream, number: usize, greeting: &str, reply: Reply, log: &Mutex<Vec<Trace>>) {
    let mut chunk = [0; 64 * 1024];
    let mut is_greeted = false;
    loop {
        match stream.read(&mut chunk) {
            Ok(len) if len > 0 => {
                let asked = String::from_utf8_lossy(&chunk[..len]).into_owned();
                if !is_greeted {
                    is_greeted = true;
                    stream.write_all(greeting.as_bytes()).unwrap();
                    continue;
                }
                let answer = reply(number, &asked);
                log.lock().unwrap()[number].reads.push(asked);
                if let Some(answer) = answer {
                    // Whoever asked may be gone.
                    let _ = stream.write_all(&answer);
                }
            }
            _ => return log.lock().unwrap()[number].is_closed = true,
        }
    }
}

/// Returns the number of a question.
pub(crate) fn opaque(asked: &str) -> &str {
    let flag = asked.split_ascii_whitespace().find(|word| word.starts_with('O'));
    flag.expect("a question with a number")
}
