//! The process of a server.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::demo::eventually;

/// A process that ends when this value is dropped, and also when this process ends in any other way.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// A shell that kills the server as soon as its own input ends, which this process holds.
    guard: Child,
}

impl Process {
    /// Starts a program, whose folder is removed with it when this process ends without dropping it.
    pub(super) fn start(mut command: Command, folder: &Path) -> Self {
        let output = fs::File::create(folder.join("output")).unwrap();
        command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut guard = Command::new("sh");
        guard.args(["-c", r#"trap "" INT TERM; read -r _; kill -9 "$1"; rm -rf "$2""#, "sh", &child.id().to_string()]);
        guard.arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child, guard: guard.spawn().unwrap() }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it at once, as a power cut does.
    pub(super) fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn terminate(mut self) -> ExitStatus {
        let mut status = self.child.try_wait().unwrap();
        if status.is_none() {
            self.signal(Signal::TERM);
            // One that was stopped hears it only then.
            self.signal(Signal::CONT);
            eventually("the end of a server", || {
                status = self.child.try_wait().unwrap();
                status.is_some()
            });
        }
        status.unwrap()
    }

    fn end(&mut self) {
        // The guard first: once the server is waited for, its id may be another's.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns a port that nobody listens on. It lies below those that the system hands out to clients, so that a server can
/// come back to it.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 11_000;
    const PORTS: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes of tests that run side by side begin in different places.
    let start = (std::process::id() % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST + (u32::from(start) * 37 + u32::from(next)).rem_euclid(u32::from(PORTS)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
