//! All runtimes in one process, at the same time; and one alone, which starts no other's threads.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    env, fs,
    process::Command,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use cloakroom_async_std::AsyncStd;
use cloakroom_runtime::{Runtime, contract, run, run_blocking};
use cloakroom_smol::Smol;
use cloakroom_tokio::{Tokio, TokioHandle};

#[test]
fn every_runtime_keeps_the_contract_while_the_others_run() {
    let all_begin = Barrier::new(3);
    let checked = |check: &dyn Fn() -> Result<(), String>| -> Result<(), String> {
        // One that fails does not leave the others waiting.
        let rounds: Vec<_> = (0..5)
            .map(|_| {
                all_begin.wait();
                check()
            })
            .collect();
        rounds.into_iter().collect()
    };
    thread::scope(|scope| {
        let all = [
            scope.spawn(|| checked(&|| tokio().block_on(contract::check(&Tokio)))),
            scope.spawn(|| checked(&|| async_std::task::block_on(contract::check(&AsyncStd)))),
            scope.spawn(|| checked(&|| smol::block_on(contract::check(&Smol)))),
        ];
        assert_eq!(all.map(|thread| thread.join().unwrap()), [Ok(()), Ok(()), Ok(())]);
    });
}

#[test]
fn what_one_runtime_runs_may_be_awaited_in_another() {
    let tokio = tokio();
    let handle = TokioHandle::new(tokio.handle().clone());
    let all: [&dyn Runtime; 3] = [&handle, &AsyncStd, &Smol];
    let uses_all = async || {
        for runtime in all {
            let begin = Instant::now();
            runtime.sleep(Duration::from_millis(5)).await;
            assert!(begin.elapsed() >= Duration::from_millis(5));
            assert_eq!(run(runtime, async { 6 * 7 }).await, Ok(42));
            assert_eq!(run_blocking(runtime, || 6 * 7).await, Ok(42));
        }
    };
    tokio.block_on(uses_all());
    async_std::task::block_on(uses_all());
    smol::block_on(uses_all());
}

/// Where it is set, this process is an application on that runtime.
const APPLICATION: &str = "CLOAKROOM_TEST_APPLICATION";

#[test]
fn an_application_starts_no_other_runtimes_threads() {
    if let Ok(runtime) = env::var(APPLICATION) {
        return use_alone(&runtime);
    }
    // `async-io` and `blocking` are what smol and async-std are both made of.
    let expected: [(&str, &[&str]); 3] = [
        ("async-std", &["async-io", "async-std", "blocking"]),
        ("smol", &["async-io", "blocking", "smol"]),
        ("tokio", &["tokio"]),
    ];
    for (runtime, kinds) in expected {
        let mut application = Command::new(env::current_exe().unwrap());
        application.args(["--exact", "--nocapture", "an_application_starts_no_other_runtimes_threads"]);
        let output = application.env(APPLICATION, runtime).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let threads = said.lines().find_map(|line| line.strip_prefix("threads: ")).unwrap();
        println!("{runtime}: {threads}");
        let seen: BTreeSet<_> = threads.split(", ").map(|name| kind_of(name).unwrap_or(name)).collect();
        assert!(seen.iter().copied().eq(kinds.iter().copied()), "{runtime}: {threads}");
    }
}

/// Whose threads are called so.
fn kind_of(name: &str) -> Option<&'static str> {
    ["async-io", "async-std", "blocking", "smol", "tokio"].into_iter().find(|kind| name.starts_with(kind))
}

/// Uses everything that a runtime has, then tells which threads there are beside this one and those like it.
fn use_alone(runtime: &str) {
    // What the contract starts of its own has this thread's name.
    let own = [format!("/proc/{}/comm", std::process::id()), "/proc/thread-self/comm".to_owned()]
        .map(|path| fs::read_to_string(path).unwrap());
    let runtime_of_tokio = (runtime == "tokio").then(tokio);
    let checked = match runtime {
        "async-std" => async_std::task::block_on(contract::check(&AsyncStd)),
        "smol" => smol::block_on(contract::check(&Smol)),
        _ => runtime_of_tokio.as_ref().unwrap().block_on(contract::check(&Tokio)),
    };
    assert_eq!(checked, Ok(()));
    let mut names = Vec::new();
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        // It may have ended meanwhile.
        if let Ok(name) = fs::read_to_string(thread.unwrap().path().join("comm"))
            && !own.contains(&name)
        {
            names.push(name.trim().to_owned());
        }
    }
    names.sort();
    println!("\nthreads: {}", names.join(", "));
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
