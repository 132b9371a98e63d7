//! A demo as a process of its own, and a client that keeps a cookie.

#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use ureq::{
    Agent,
    http::{HeaderMap, Request, StatusCode},
};

/// What a demo can run on.
pub(crate) const RUNTIMES: [&str; 3] = ["async-std", "smol", "tokio"];
/// The content type of a form.
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// Longer than anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tool(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    // No folder can be there: no test gets at the files of who runs it.
    command.args(args).env_remove("SESSION_KEYS").env("XDG_DATA_HOME", "/dev/null/none");
    command
}

/// Runs a command that must end by itself, with this exit code; returns what it said on standard error.
pub(crate) fn refused(command: &mut Command, code: i32) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(ended(&mut child).code(), Some(code));
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty(), "{}", stdout(&output));
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Waits for the end of a process, which must come by itself.
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it does not end");
}

/// Waits until something holds; `what` says what was waited for in vain.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// A running demo on a free port.
pub(crate) struct Demo {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// What it said on standard output before its URL, line by line: who signs in with what.
    pub(crate) passwords: Vec<String>,
    out: BufReader<ChildStdout>,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::with(&[], &[])
    }

    /// Starts one on a runtime.
    pub(crate) fn on(runtime: &str) -> Self {
        Self::with(&["--runtime", runtime], &[])
    }

    /// Starts one with further options. Its store is the memory, unless they or a data folder say otherwise.
    pub(crate) fn with(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = tool(&["demo", "--listen", "127.0.0.1:0"]);
        if !args.contains(&"--store") && !env.iter().any(|(name, _)| *name == "XDG_DATA_HOME") {
            command.args(["--store", "memory:"]);
        }
        Self::of(command.args(args).envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Starts one by a command of one's own.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut passwords = Vec::new();
        let url = loop {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "no line has the URL");
            if let Some(start) = line.find("http://127.0.0.1:") {
                break line[start..].trim_end().to_owned();
            }
            passwords.push(line.trim_end_matches('\n').to_owned());
        };
        Self { child, url, passwords, out }
    }

    /// Returns the password that it said of a user.
    pub(crate) fn password(&self, user: &str) -> &str {
        let said = self.passwords.iter().find_map(|line| line.strip_prefix(user)?.strip_prefix(": "));
        said.unwrap_or_else(|| panic!("no password of {user}"))
    }

    /// Returns a client where a user has signed in.
    pub(crate) fn signed_in(&self, user: &str) -> Client {
        let mut client = self.client();
        assert_eq!(client.login(user, self.password(user)).status, 200);
        client
    }

    /// Reads what it says after its URL, up to a line that starts with `last`.
    pub(crate) fn says(&mut self, last: &str) -> String {
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.starts_with(last)) {
            assert!(self.out.read_line(&mut said).unwrap() > 0, "no line starts with {last}: {said}");
        }
        said
    }

    pub(crate) fn client(&self) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE));
        Client { agent: config.build().into(), url: self.url.clone(), cookie: None }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        ended(&mut self.child)
    }

    /// Waits until the store was asked to load so many times: a slow request is then past its load.
    pub(crate) fn wait_for_loads(&self, loads: u64) {
        let client = self.client();
        eventually("loads", || client.get("/api/metrics").json()["operations"]["load"].as_u64().unwrap() >= loads);
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser as far as cookies go; clones start with the same one.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    /// `name=value`.
    pub(crate) cookie: Option<String>,
}

impl Client {
    /// Returns a client of the same demo with the cookie of another.
    pub(crate) fn presenting(self, other: &Self) -> Self {
        Self { cookie: other.cookie.clone(), ..self }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// Sends a request with our cookie, without keeping what comes back.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = match body {
            None => self.agent.run(request.body(()).unwrap()),
            Some(body) => self.agent.run(request.body(body).unwrap()),
        };
        let (parts, mut body) = response.unwrap().into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.read_to_string().unwrap() }
    }

    /// Sends a request and does with the cookie what the answer says.
    pub(crate) fn visit(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.visit_with(method, path, &[], body)
    }

    /// Sends a form, as browsers do from a page of the same site.
    pub(crate) fn post_form(&mut self, path: &str, body: &str) -> Answer {
        self.visit_with("POST", path, &[FORM, ("sec-fetch-site", "same-origin")], Some(body))
    }

    /// Sends a form, as programs and old browsers do.
    pub(crate) fn post_silently(&mut self, path: &str, body: &str) -> Answer {
        self.visit_with("POST", path, &[FORM], Some(body))
    }

    /// Signs in by the API.
    pub(crate) fn login(&mut self, user: &str, password: &str) -> Answer {
        self.visit("POST", "/api/login", Some(&json!({ "user": user, "password": password }).to_string()))
    }

    /// Who is signed in, by the API; `null` if nobody is.
    pub(crate) fn me(&self) -> Value {
        let answer = self.get("/api/me");
        match answer.status.as_u16() {
            401 => {
                assert_eq!(answer.json()["error"], "not_signed_in");
                Value::Null
            }
            status => {
                assert_eq!(status, 200, "{}", answer.body);
                answer.json()["user"].take()
            }
        }
    }

    /// The sessions of who is signed in, by the API.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        let answer = self.get("/api/sessions");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json().as_array().unwrap().clone()
    }

    pub(crate) fn visit_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let answer = self.send(method, path, headers, body);
        if let Some(line) = answer.set_cookie() {
            let pair = line.split(';').next().unwrap();
            self.cookie = (!line.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        answer
    }

    /// The whole session, by the API.
    pub(crate) fn session(&self) -> Value {
        let answer = self.get("/api/session");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn set_cookie(&self) -> Option<&str> {
        let mut lines = self.headers.get_all("set-cookie").iter();
        let line = lines.next().map(|line| line.to_str().unwrap());
        assert!(lines.next().is_none(), "more than one cookie");
        line
    }

    /// Checks status, operations, and that the cookie is what the header says.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, ops: &str, cookie: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("x-session-ops"), ops);
        assert_eq!(self.header("x-session-cookie"), cookie);
        let is_removal = self.set_cookie().map(|line| line.contains("Max-Age=0"));
        let set = match is_removal {
            None => "keep",
            Some(false) => "set",
            Some(true) => "clear",
        };
        assert_eq!(set, cookie);
        self
    }
}
