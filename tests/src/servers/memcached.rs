//! A memcached server.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, free_port};
use crate::demo::{PATIENCE, eventually};

/// What ends an answer to [`Memcached::ask`].
const END: &[u8] = b"MN\r\n";

/// How a memcached is set up.
#[derive(Clone, Debug, Default)]
#[must_use = "start a server with it"]
pub struct MemcachedOptions {
    arguments: Vec<String>,
    has_socket: bool,
}

impl MemcachedOptions {
    /// A server as it comes: 64 MB, items of up to 1 MiB, and it evicts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds arguments of its command line, such as `["-I", "2m"]`.
    pub fn arguments<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// Listens on a Unix socket in place of a port.
    pub fn socket(mut self) -> Self {
        self.has_socket = true;
        self
    }
}

/// A server on a free port or a Unix socket. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Memcached {
    // Before the folder, which goes after it.
    process: Option<Process>,
    options: MemcachedOptions,
    port: u16,
    folder: TempDir,
}

impl Memcached {
    /// Starts one, and waits until it answers.
    pub fn start(options: MemcachedOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("cloakroom-memcached-").tempdir().unwrap();
        let mut server = Self { process: None, options, port: 0, folder };
        // Somebody else may take the port first.
        for _ in 0..10 {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("memcached does not start: {}", server.log());
    }

    /// Returns the URL.
    pub fn url(&self) -> String {
        match self.options.has_socket {
            false => format!("memcached://127.0.0.1:{}", self.port),
            true => format!("memcached+unix://{}", self.socket().display()),
        }
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns what the server wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Sends a command over a connection of its own and returns all answers to it.
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        let answer = self.asked(command);
        answer.unwrap_or_else(|error| panic!("{command}: {error}; {}", self.log()))
    }

    /// Returns what is under a key, byte by byte as text.
    #[track_caller]
    pub fn value(&self, key: &str) -> Option<String> {
        let answer = self.ask(&format!("mg {key} v"));
        let (head, value) = answer.split_once("\r\n").unwrap();
        head.starts_with("VA ").then(|| value.strip_suffix("\r\n").unwrap().to_owned())
    }

    /// Returns the statistics of a section, or those of an empty name.
    #[track_caller]
    pub fn stats(&self, section: &str) -> BTreeMap<String, String> {
        let text = self.ask(format!("stats {section}").trim());
        let stats = text.lines().filter_map(|line| line.strip_prefix("STAT ")?.split_once(' '));
        stats.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
    }

    /// Returns how many clients are connected, this one not among them.
    pub fn clients(&self) -> usize {
        // One of its own listens, or two; this connection is another.
        let conns = self.ask("stats conns");
        conns.lines().filter(|line| line.contains(":state conn_") && !line.contains("conn_listening")).count() - 1
    }

    /// Stops it, so that it answers nobody until [`resume`](Self::resume).
    pub fn pause(&self) {
        let process = self.process();
        process.signal(Signal::STOP);
        // Each of its threads stops when it comes to it.
        let tasks = format!("/proc/{}/task", process.id());
        eventually("a server that stands still", || {
            let Ok(mut tasks) = fs::read_dir(&tasks) else { return true };
            tasks.all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
            })
        });
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process().signal(Signal::CONT);
    }

    /// Ends it at once: `SIGKILL`.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it in the same place, after ending it at once if it runs; waits until it answers. It has nothing of what it
    /// had.
    pub fn restart(&mut self) {
        self.kill();
        let since = Instant::now();
        while !self.launch() {
            // The port may be held by what its clients have not closed.
            assert!(since.elapsed() < PATIENCE, "memcached does not start again: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn asked(&self, command: &str) -> io::Result<String> {
        match self.options.has_socket {
            false => ask(TcpStream::connect(self.address())?, command),
            true => ask(UnixStream::connect(self.socket())?, command),
        }
    }

    /// Starts the process, and tells whether it came to answer. It does not where its port is taken.
    fn launch(&mut self) -> bool {
        let _ = fs::remove_file(self.socket());
        let mut command = Command::new("memcached");
        // The user matters to a superuser alone, without whom it takes none.
        command.args(["-u", "root", "-l", "127.0.0.1", "-U", "0", "-p", &self.port.to_string()]);
        if self.options.has_socket {
            command.arg("-s").arg(self.socket());
        }
        command.args(&self.options.arguments);
        let mut process = Process::start(command, self.folder.path());
        let (mut has_ended, id) = (false, process.id().to_string());
        eventually("an answer of memcached", || {
            has_ended = process.has_ended();
            // It may be another's that has the port.
            has_ended || self.asked("stats").is_ok_and(|stats| stats.contains(&format!("STAT pid {id}\r\n")))
        });
        if has_ended {
            let log = self.log();
            assert!(log.contains("in use"), "memcached does not start: {log}");
            return false;
        }
        self.process = Some(process);
        true
    }
}

fn ask(mut stream: impl io::Read + io::Write, command: &str) -> io::Result<String> {
    stream.write_all(format!("{command}\r\nmn\r\n").as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(END) {
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => answer.extend_from_slice(&chunk[..len]),
        }
    }
    answer.truncate(answer.len() - END.len());
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
