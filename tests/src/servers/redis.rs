//! A Redis server.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    process::{Process, free_port},
    resp::{Connection, Reply},
};
use crate::demo::{PATIENCE, eventually};

/// Who the tests are on their servers, whatever rights other users have.
const ADMIN: [&str; 2] = ["tests", "the-tests-own-password"];

/// How a server is set up.
#[derive(Clone, Debug, Default)]
#[must_use = "start a server with it"]
pub struct Options {
    lines: Vec<String>,
    password: Option<String>,
    kind: Kind,
    has_tls: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Kind {
    Cluster,
    Sentinel,
    #[default]
    Standalone,
}

impl Options {
    /// A server that keeps nothing on disk, asks for no password and may use all memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line to its configuration, such as `("maxmemory", "10mb")`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.lines.push(format!("{name} {value}"));
        self
    }

    /// Writes every change to disk before it is acknowledged.
    pub fn durable(self) -> Self {
        self.set("appendonly", "yes").set("appendfsync", "always")
    }

    /// Sets the password of the default user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        let quoted: String = password.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        self.set("requirepass", &format!("\"{quoted}\""))
    }

    /// Adds a user with rules, such as `("web", "on >secret ~app:* +@all")`.
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.set("user", &format!("{name} {rules}"))
    }

    /// Listens for TLS alone.
    pub fn tls(mut self) -> Self {
        self.has_tls = true;
        self
    }

    pub(super) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

/// A server on a free port, and on a Unix socket. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Redis {
    // Before the folder, which goes after it.
    process: Option<Process>,
    options: Options,
    port: u16,
    /// Where the nodes of a cluster talk to each other.
    bus: u16,
    certificates: Option<Certificates>,
    folder: TempDir,
}

impl Redis {
    /// Starts one, and waits until it answers.
    pub fn start(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("cloakroom-redis-").tempdir().unwrap();
        let certificates = options.has_tls.then(|| Certificates::make(folder.path()));
        let mut server = Self { process: None, options, port: 0, bus: 0, certificates, folder };
        // Somebody else may take the port first.
        for _ in 0..10 {
            (server.port, server.bus) = (free_port(), free_port());
            server.configure();
            if server.launch() {
                return server;
            }
        }
        panic!("Redis does not start: {}", server.log());
    }

    /// Returns the URL as the default user.
    pub fn url(&self) -> String {
        let encoded = |password: &String| password.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let password = self.options.password.as_ref().map(|password| format!(":{}@", encoded(password)));
        let password = password.unwrap_or_default();
        match self.certificates {
            None => format!("redis://{password}127.0.0.1:{}", self.port),
            Some(_) => format!("rediss://{password}localhost:{}", self.port),
        }
    }

    /// Returns the URL of the Unix socket.
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns the port on which nodes of a cluster talk to each other.
    pub(super) fn bus(&self) -> u16 {
        self.bus
    }

    /// Returns the path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Returns the certificates of a server that speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Returns what the server wrote to its log.
    pub fn log(&self) -> String {
        ["log", "output"].map(|name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()).concat()
    }

    /// Returns the id of its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Sends a command over a connection of its own, with all rights, and returns the answer, be it an error.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Reply {
        let answer = self.connect().and_then(|mut connection| connection.command(words));
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}; {}", self.log()))
    }

    /// Sends a command that must not be refused.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Reply {
        let answer = self.command(words);
        assert_eq!(answer.error(), None, "{words:?}");
        answer
    }

    /// Returns a section of `INFO`.
    pub fn info(&self, section: &str) -> BTreeMap<String, String> {
        fields(&self.ask(&["INFO", section]).text())
    }

    /// Returns how often each command was called since the start or `CONFIG RESETSTAT`, by its name in small letters.
    /// Those inside a script count as well; commands of this connection's own are `auth` and `info`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let calls = |(name, stats): (String, String)| {
            let name = name.strip_prefix("cmdstat_")?.to_owned();
            let calls = stats.split(',').find_map(|field| field.strip_prefix("calls="))?;
            Some((name, calls.parse().ok()?))
        };
        self.info("commandstats").into_iter().filter_map(calls).collect()
    }

    /// Opens a connection with all rights.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn connect(&self) -> std::io::Result<Connection> {
        let mut connection = Connection::unix(&self.socket())?;
        let answer = connection.command(&["AUTH", ADMIN[0], ADMIN[1]])?;
        assert_eq!(answer.error(), None, "{answer:?}");
        Ok(connection)
    }

    /// Stops it so that it answers nothing, and loses nothing that was sent: `SIGSTOP`.
    pub fn pause(&self) {
        self.process().signal(Signal::STOP);
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

    /// Ends it as an operator does, `SIGTERM`, and waits. It writes what its options say.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            let status = process.terminate();
            assert!(status.success(), "{status}: {}", self.log());
        }
    }

    /// Starts it on the same port, in the same folder, after ending it at once if it runs; waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        let since = Instant::now();
        while !self.launch() {
            // The port may be held by what its clients have not closed.
            assert!(since.elapsed() < PATIENCE, "Redis does not start again: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Adds a line to the configuration of the next start.
    pub(super) fn reconfigure(&self, line: &str) {
        let path = self.folder.path().join("conf");
        let lines = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{lines}\n{line}\n")).unwrap();
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    fn configure(&self) {
        let folder = self.folder.path().display();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "protected-mode no".to_owned(),
            format!("dir {folder}"),
            format!("logfile {folder}/log"),
            format!("unixsocket {folder}/socket"),
            format!("user {} on >{} ~* &* +@all", ADMIN[0], ADMIN[1]),
        ];
        match &self.certificates {
            None => lines.push(format!("port {}", self.port)),
            Some(certificates) => lines.extend([
                "port 0".to_owned(),
                format!("tls-port {}", self.port),
                "tls-auth-clients no".to_owned(),
                format!("tls-ca-cert-file {}", certificates.authority().display()),
                format!("tls-cert-file {}", certificates.certificate().display()),
                format!("tls-key-file {}", certificates.key().display()),
            ]),
        }
        if self.options.kind != Kind::Sentinel {
            // A replica is to follow at once.
            lines.extend(["save \"\"", "enable-debug-command yes", "repl-diskless-sync-delay 0"].map(str::to_owned));
        }
        if self.options.kind == Kind::Cluster {
            lines.extend(["cluster-enabled yes".to_owned(), format!("cluster-port {}", self.bus)]);
        }
        lines.extend(self.options.lines.iter().cloned());
        fs::write(self.folder.path().join("conf"), lines.join("\n") + "\n").unwrap();
    }

    /// Starts the process, and tells whether it came to answer. It does not where its port is taken.
    fn launch(&mut self) -> bool {
        for left in ["log", "socket"] {
            let _ = fs::remove_file(self.folder.path().join(left));
        }
        let mut command = Command::new("redis-server");
        command.arg(self.folder.path().join("conf"));
        if self.options.kind == Kind::Sentinel {
            command.arg("--sentinel");
        }
        let mut process = Process::start(command, self.folder.path());
        let mut has_ended = false;
        eventually("an answer of Redis", || {
            has_ended = process.has_ended();
            has_ended || self.answers(process.id())
        });
        if has_ended {
            let log = self.log();
            assert!(log.contains("already in use"), "Redis does not start: {log}");
            return false;
        }
        self.process = Some(process);
        true
    }

    /// Tells whether it has loaded what it keeps.
    fn answers(&self, pid: u32) -> bool {
        let Ok(mut connection) = self.connect() else { return false };
        let is_up = connection.command(&["PING"]).is_ok_and(|answer| answer == Reply::Text(b"PONG".to_vec()));
        is_up
            && connection
                .command(&["INFO", "server"])
                .is_ok_and(|info| fields(&info.text()).get("process_id") == Some(&pid.to_string()))
    }
}

/// Takes apart lines of `name:value`.
pub(super) fn fields(text: &str) -> BTreeMap<String, String> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
