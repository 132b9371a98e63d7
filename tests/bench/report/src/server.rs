//! A system that serves over loopback.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bench_kit::{Jar, processor_time};
use ureq::{Body, http::Response};

use crate::programs::System;

/// How many threads answer, on every framework and runtime.
const THREADS: &str = "2";

/// A server that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) url: String,
    child: Child,
}

impl Server {
    pub(crate) fn start(system: &System, redis: &str) -> anyhow::Result<Self> {
        Self::start_by(Command::new(&system.program), system, redis)
    }

    /// Starts it by a command that runs its program.
    pub(crate) fn start_by(mut command: Command, system: &System, redis: &str) -> anyhow::Result<Self> {
        command.args(["serve", &system.name, THREADS, redis]);
        command.env("SMOL_THREADS", THREADS).env("ASYNC_STD_THREAD_COUNT", THREADS);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        let server = Self { name: system.name.clone(), url: url.trim().to_owned(), child };
        ensure!(server.url.starts_with("http://"), "{} does not serve", server.name);
        Ok(server)
    }

    /// Makes so many sessions with the small data; returns a `Cookie` header for each, with those of others around it.
    pub(crate) fn sessions(&self, count: usize) -> anyhow::Result<Vec<String>> {
        const FOREIGN: usize = 6;
        let visit = |path: &str, jar: &mut Jar| -> anyhow::Result<()> {
            let response = self.get(path, &jar.header(0).unwrap_or_default())?;
            let lines = response.headers().get_all("set-cookie").iter();
            let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok().map(str::to_owned)).collect();
            jar.take(&lines);
            Ok(())
        };
        let make = |_| {
            let mut jar = Jar::default();
            visit("/fill/200", &mut jar)?;
            visit("/change", &mut jar)?;
            Ok(jar.header(FOREIGN).unwrap_or_default())
        };
        (0..count).map(make).collect()
    }

    /// Asks for a path as the clients of [`load`](crate::wrk::load) do: sessions may be bound to what a client calls itself.
    pub(crate) fn get(&self, path: &str, cookies: &str) -> anyhow::Result<Response<Body>> {
        let request = ureq::get(format!("{}{path}", self.url)).header("User-Agent", "bench");
        let request = if cookies.is_empty() { request } else { request.header("Cookie", cookies) };
        request.call().with_context(|| format!("{} answers {path}", self.name))
    }

    /// Ends it, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// Returns how long the server was on a processor.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        processor_time(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input; if it does not, it is made to.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
