//! The demo server as a process of its own, and clients of it: for tests from end to end.
//!
//! Everything here panics where it does not get what it wants, as tests do.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use ureq::{
    Agent,
    http::{HeaderMap, Request, StatusCode},
};

/// Longer than any one step takes on a busy machine, and less than the minute after which the demo closes a connection
/// that asks nothing.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The programs that tests run, for [`executable`]. With an example among them, cargo takes the features that the tests of the
/// workspace are built with, so that what these were built of is not built again.
pub const BESIDE_THE_TESTS: [&str; 5] = ["--workspace", "--bin", "cloakroom", "--example", "instructions"];

/// Makes a command of the tool, built in the profile of this test run.
pub fn tool(args: &[&str]) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(BUILT.get_or_init(|| executable(&BESIDE_THE_TESTS, "cloakroom")));
    // No folder can be there: no test gets at the files of who runs it.
    command.args(args).stdin(Stdio::null()).env("XDG_DATA_HOME", "/dev/null/none");
    command
}

/// Builds what `target` names to cargo, in the profile of this test run; returns where the program of that name is.
pub fn executable(target: &[&str], name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--message-format=json-render-diagnostics"]).args(target);
    // Cargo tells a test of its package, and takes that for a change where a build script asks for the same of its own: ring,
    // and all that is made of it, would be built again here, and once more outside.
    for (variable, _) in env::vars_os() {
        let is_of_package = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
        if variable.to_str().is_some_and(is_of_package) {
            cargo.env_remove(variable);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{name} does not build");
    let messages = output.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut programs = messages.filter(|message: &Value| message["target"]["name"] == name);
    programs.find_map(|message| message["executable"].as_str().map(PathBuf::from)).expect("cargo names the executable")
}

/// Makes a ring of one key.
pub fn keygen() -> String {
    let output = tool(&["keygen"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned()
}

/// Waits until something holds; `what` says what was waited for in vain.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A running demo on a free port. Dropping it stops it as an operator does, and it must end well.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    url: String,
    /// The lines that it says before its URL: who signs in with what.
    said: String,
}

impl Demo {
    /// Starts one with further options.
    pub fn start(options: &[&str]) -> Self {
        Self::with(options, &[])
    }

    /// Starts one with further options and variables of the environment. Its store is the memory, unless they say
    /// otherwise.
    pub fn with(options: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = tool(&["demo", "--listen", "127.0.0.1:0", "--log", "error"]);
        if !options.contains(&"--store") {
            command.args(["--store", "memory:"]);
        }
        command.args(options).envs(env.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "no line has a URL: {said}");
            if let Some(start) = line.find("http://") {
                break line[start..].trim_end().to_owned();
            }
            said.push_str(&line);
        };
        // What else it says must not find the pipe closed or full.
        thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Self { child, url, said }
    }

    /// Makes a client with no cookie and connections of its own.
    pub fn client(&self) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE));
        Client { agent: config.build().into(), url: self.url.clone(), cookie: None }
    }

    /// Makes a client that has a new session with `value` under `key`.
    pub fn visitor(&self, key: &str, value: &Value) -> Client {
        let mut client = self.client();
        client.visit("PUT", &format!("/api/session/{key}"), Some(&value.to_string())).expect(200, "create", "set");
        client
    }

    /// Returns the password that it said of a user.
    pub fn password(&self, user: &str) -> &str {
        let said = self.said.lines().find_map(|line| line.strip_prefix(user)?.strip_prefix(": "));
        said.unwrap_or_else(|| panic!("no password of {user} in {}", self.said))
    }

    /// Returns the id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the host and port to connect to.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Returns what was counted so far.
    pub fn metrics(&self) -> Metrics {
        Metrics(self.client().send("GET", "/api/metrics", None).expect(200, "", "keep").json())
    }

    /// Returns the bytes of memory that the process holds.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Returns how many files and sockets the process has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Asks it to stop, as an operator does, and waits for no answer.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits until it has ended, and checks that it ended well.
    pub fn ended(&mut self) {
        let mut status = None;
        eventually("its end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(0));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        } else if self.child.try_wait().unwrap().is_none() {
            self.terminate();
            self.ended();
        }
    }
}

/// What the demo counted.
#[derive(Debug)]
pub struct Metrics(Value);

impl Metrics {
    /// Returns how many events of a kind there were.
    pub fn event(&self, name: &str) -> u64 {
        self.0["events"][name].as_u64().unwrap_or_else(|| panic!("no event {name} in {self:?}"))
    }

    /// Returns how many operations of all kinds the store was asked for.
    pub fn operations(&self) -> u64 {
        self.0["operations"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    }

    /// Returns how many operations of a kind the store was asked for.
    pub fn operation(&self, name: &str) -> u64 {
        self.0["operations"][name].as_u64().unwrap_or_else(|| panic!("no operation {name} in {self:?}"))
    }

    /// Returns how many entries the store holds, which it must be able to tell.
    pub fn sessions(&self) -> u64 {
        self.0["sessions"].as_u64().unwrap_or_else(|| panic!("the store does not tell: {self:?}"))
    }
}

/// A browser as far as cookies go. Clones start with the same cookie, and share connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    url: String,
    /// What it presents, `name=value`.
    pub cookie: Option<String>,
}

impl Client {
    /// Sends a request with the cookie, and keeps none that comes back.
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = match body {
            // An empty body of a known length: one in pieces may end after its answer, and its connection with it.
            None if method == "POST" => self.agent.run(request.body("").unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
            Some(body) => self.agent.run(request.body(body).unwrap()),
        };
        let (parts, mut body) = response.unwrap_or_else(|error| panic!("{method} {path}: {error}")).into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.read_to_string().unwrap() }
    }

    /// Sends a request, and does with the cookie what the answer says.
    pub fn visit(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let answer = self.send(method, path, body);
        match answer.header("x-session-cookie") {
            "set" => self.cookie = answer.ticket(),
            "clear" => self.cookie = None,
            _ => {}
        }
        answer
    }

    /// Returns the session as the server sees it.
    pub fn session(&self) -> Seen {
        Seen(self.send("GET", "/api/session", None).json())
    }

    /// Returns a client with the same connections and another cookie.
    #[must_use = "the client itself is unchanged"]
    pub fn presenting(&self, cookie: &str) -> Self {
        Self { cookie: Some(cookie.to_owned()), ..self.clone() }
    }
}

/// The answer of `GET /api/session`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen(Value);

impl Seen {
    /// Returns the data.
    pub fn data(&self) -> &Value {
        &self.0["data"]
    }

    /// Tells whether no session was opened.
    pub fn opens_nothing(&self) -> bool {
        self.0["new"] == true && self.0["data"].as_object().unwrap().is_empty()
    }
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// Returns a header that must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Returns the operations that the session asked for.
    pub fn ops(&self) -> &str {
        self.header("x-session-ops")
    }

    /// Returns the body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the word that says what went wrong.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}")).to_owned()
    }

    /// Returns the cookie line, of which there is at most one.
    pub fn set_cookie(&self) -> Option<&str> {
        let mut lines = self.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
        let line = lines.next();
        assert_eq!(lines.next(), None, "more than one cookie");
        line
    }

    /// Returns the cookie to present from here on, `name=value`, if one was set.
    pub fn ticket(&self) -> Option<String> {
        let line = self.set_cookie().filter(|line| !line.contains("Max-Age=0"))?;
        line.split(';').next().map(str::to_owned)
    }

    /// Returns the cookie's attributes but for its age, in order of their names.
    pub fn cookie_attributes(&self) -> BTreeMap<&str, &str> {
        let attributes = self.set_cookie().expect("a cookie").split(';').skip(1).map(str::trim);
        let pairs = attributes.map(|attribute| attribute.split_once('=').unwrap_or((attribute, "")));
        pairs.filter(|(name, _)| !["Expires", "Max-Age"].contains(name)).collect()
    }

    /// Checks status, operations and what became of the cookie; and that its line says the same.
    #[track_caller]
    pub fn expect(self, status: u16, ops: &str, cookie: &str) -> Self {
        assert_eq!(
            (self.status.as_u16(), self.ops(), self.header("x-session-cookie")),
            (status, ops, cookie),
            "{self:?}"
        );
        let line = match (self.set_cookie(), self.ticket()) {
            (None, _) => "keep",
            (Some(_), None) => "clear",
            (Some(_), Some(_)) => "set",
        };
        assert_eq!(line, cookie, "{self:?}");
        self
    }
}

/// Where a test's random numbers start; a test that fails prints it.
#[derive(Debug)]
pub struct Seed(u64);

impl Seed {
    /// Takes the seed from `CLOAKROOM_SEED`, or from the clock.
    pub fn draw() -> Self {
        let asked = env::var("CLOAKROOM_SEED").ok().map(|seed| seed.parse().expect("CLOAKROOM_SEED is a number"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        Self(asked.unwrap_or_else(clock))
    }

    /// Returns one of many independent generators.
    pub fn random(&self, stream: u64) -> Random {
        let mut random = Random(self.0 ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the delays were those of CLOAKROOM_SEED={}", self.0);
        }
    }
}

/// A small generator, splitmix64: the same numbers for the same seed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Returns a number less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Sleeps for less than so many milliseconds.
    pub fn pause(&mut self, millis: u64) {
        thread::sleep(Duration::from_micros(self.below(millis * 1000)));
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
