//! The session service, `cloakroom serve`.

use std::{
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;
use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

use super::{
    certificates::Certificates,
    process::{Process, free_port},
};
use crate::demo::{PATIENCE, eventually, tool};

/// How a service is set up.
#[derive(Clone, Debug)]
#[must_use = "start a service with it"]
pub struct ServiceOptions {
    store: String,
    tokens: Vec<String>,
    has_tls: bool,
    arguments: Vec<String>,
}

impl ServiceOptions {
    /// A service of a store, such as `memory:`, that serves everybody on this machine.
    pub fn new(store: &str) -> Self {
        Self { store: store.to_owned(), tokens: Vec::new(), has_tls: false, arguments: Vec::new() }
    }

    /// Adds a token that it takes.
    pub fn token(mut self, token: &str) -> Self {
        self.tokens.push(token.to_owned());
        self
    }

    /// Speaks TLS alone.
    pub fn tls(mut self) -> Self {
        self.has_tls = true;
        self
    }

    /// Adds an argument with its value.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }
}

/// A session service on a free port. Dropping it ends it.
#[derive(Debug)]
pub struct Service {
    // Before the folder, which goes after it.
    process: Option<Process>,
    options: ServiceOptions,
    port: u16,
    certificates: Option<Certificates>,
    agent: Agent,
    folder: TempDir,
}

/// What the service said to a request.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "tests look at it")]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Said {
    /// Returns a header, which must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// Checks status and outcome.
    #[track_caller]
    pub fn expect(self, status: u16, outcome: &str) -> Self {
        let found = self.headers.get("cloakroom-outcome").map(|outcome| outcome.to_str().unwrap());
        assert_eq!((self.status, found), (status, Some(outcome)), "{self:?}");
        self
    }
}

impl Service {
    /// Starts one, and waits until it listens.
    pub fn start(options: ServiceOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("cloakroom-serve-").tempdir().unwrap();
        let certificates = options.has_tls.then(|| Certificates::make(folder.path()));
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let config = config.allow_non_standard_methods(true).build();
        let mut service = Self { process: None, options, port: 0, certificates, agent: config.into(), folder };
        // Somebody else may take the port first.
        for _ in 0..10 {
            service.port = free_port();
            if service.launch() {
                return service;
            }
        }
        panic!("the service does not start: {}", service.log());
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        match self.certificates {
            None => format!("http://127.0.0.1:{}", self.port),
            Some(_) => format!("https://localhost:{}", self.port),
        }
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns the certificates of a service that speaks TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Returns what it wrote to standard output and standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Sends a request, without TLS.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Said {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            [] => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
        };
        let (head, mut body) = response.unwrap().into_parts();
        Said { status: head.status.as_u16(), headers: head.headers, body: body.read_to_vec().unwrap() }
    }

    /// Returns a counter, with its labels; zero where there is none.
    pub fn counter(&self, name: &str) -> u64 {
        let said = self.send("GET", "/metrics", &[], b"");
        let lines = said.text().lines().filter_map(|line| line.rsplit_once(' '));
        lines.filter(|(known, _)| *known == name).map(|(_, count)| count.parse::<u64>().unwrap()).sum()
    }

    /// Stops it so that it answers nothing, and loses nothing that was sent: `SIGSTOP`; waits until each of its threads
    /// has stopped.
    pub fn pause(&self) {
        let process = self.process();
        process.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", process.id());
        eventually("a stop", || {
            fs::read_dir(&threads).unwrap().all(|thread| {
                let stat = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
                // Behind the name, which is in parentheses.
                stat.rsplit(") ").next().is_some_and(|state| state.starts_with('T'))
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

    /// Asks it to end: `SIGTERM`, and waits for nothing.
    pub fn terminate(&self) {
        self.process().signal(Signal::TERM);
    }

    /// Asks it to end, and waits until it has; it must end well.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            let status = process.terminate();
            assert!(status.success(), "{status}: {}", self.log());
        }
    }

    /// Tells whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(Process::has_ended)
    }

    /// Starts it on the same port, after ending it at once if it runs; waits until it listens.
    pub fn restart(&mut self) {
        self.kill();
        let since = Instant::now();
        while !self.launch() {
            // The port may be held by what its clients have not closed.
            assert!(since.elapsed() < PATIENCE, "the service does not start again: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the service runs")
    }

    /// Starts the process, and tells whether it came to listen. It does not where its port is taken.
    fn launch(&mut self) -> bool {
        let mut command =
            tool(&["serve", "--listen", &format!("127.0.0.1:{}", self.port), "--store", &self.options.store]);
        for (number, token) in self.options.tokens.iter().enumerate() {
            command.args(["--auth", &format!("env:TOKEN_{number}")]).env(format!("TOKEN_{number}"), token);
        }
        if let Some(certificates) = &self.certificates {
            command.arg("--tls-cert").arg(certificates.certificate()).arg("--tls-key").arg(certificates.key());
        }
        command.args(&self.options.arguments);
        let mut process = Process::start(command, self.folder.path());
        let mut has_ended = false;
        eventually("a service that listens", || {
            has_ended = process.has_ended();
            has_ended || self.log().contains("stop     Ctrl-C")
        });
        if has_ended {
            let log = self.log();
            assert!(log.contains("cannot listen"), "the service does not start: {log}");
            return false;
        }
        self.process = Some(process);
        true
    }
}
