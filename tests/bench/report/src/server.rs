//! A system that serves over loopback.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bench_kit::{Jar, processor_time};

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
        let mut command = Command::new(&system.program);
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
            let mut request = ureq::get(format!("{}{path}", self.url));
            if let Some(cookies) = jar.header(0) {
                request = request.header("Cookie", cookies);
            }
            let response = request.call().with_context(|| format!("{} answers {path}", self.name))?;
            let lines: Vec<_> =
                response.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
            jar.take(&lines.into_iter().map(str::to_owned).collect::<Vec<_>>());
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
