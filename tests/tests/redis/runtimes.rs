//! Every runtime, alone and beside the others.

use std::{
    collections::BTreeSet,
    env, fs,
    process::{Command, Stdio},
    sync::{Arc, Barrier},
    thread,
    time::Instant,
};

use cloakroom_async_std::AsyncStd;
use cloakroom_runtime::{Runtime, run};
use cloakroom_smol::Smol;
use cloakroom_tests::{
    servers::{Options, Redis},
    witness::{Site, Witness},
};
use cloakroom_tokio::Tokio;
use futures_util::future::join_all;
use tokio::task::block_in_place;

use crate::common::{RECOVERY, config, on_tokio};

tests! {
    all_runtimes_serve_side_by_side,
    every_runtime_finds_its_server_again,
    an_application_on_smol_starts_no_tokio,
    an_application_on_tokio_starts_nothing_else,
}

const RUNTIME: &str = "CLOAKROOM_RUNS_ON";
const URL: &str = "CLOAKROOM_REDIS";

fn all_runtimes_serve_side_by_side() {
    const TASKS: u64 = 4;
    const ADDS: u64 = 25;
    let server = Redis::start(Options::new());
    let ticket = on_tokio(async { Site::new(config(&server.url()).lazy(Tokio), Tokio).sign_in(0).await.unwrap() });
    let begin = Arc::new(Barrier::new(3));
    let on = |runtime: fn(&str, &str)| {
        let (url, ticket, begin) = (server.url(), ticket.clone(), begin.clone());
        thread::spawn(move || {
            begin.wait();
            runtime(&url, &ticket);
        })
    };
    async fn work(url: &str, ticket: &str, runtime: impl Runtime + Clone) {
        let store = config(url).connect(runtime.clone()).await.unwrap();
        let site = Site::new(store, runtime.clone());
        let witness = Witness::begin(&site, 2).await;
        let add = |_| {
            let (site, ticket) = (site.clone(), ticket.to_owned());
            run(&runtime, async move {
                for _ in 0..ADDS {
                    // Others change it as well, again and again.
                    while site.add(&ticket).await.is_err() {}
                }
            })
        };
        for end in join_all((0..TASKS).map(add)).await {
            end.unwrap();
        }
        while witness.added() < 20 {
            runtime.sleep(std::time::Duration::from_millis(5)).await;
        }
        let summary = witness.check().await;
        assert_eq!((summary.failed, summary.doubtful), (0, 0), "{summary:?}");
    }
    let threads = [
        on(|url, ticket| on_tokio(work(url, ticket, Tokio))),
        on(|url, ticket| smol::block_on(work(url, ticket, Smol))),
        on(|url, ticket| async_std::task::block_on(work(url, ticket, AsyncStd))),
    ];
    for thread in threads {
        thread.join().unwrap();
    }
    on_tokio(async {
        let site = Site::new(config(&server.url()).lazy(Tokio), Tokio);
        assert_eq!(site.read(&ticket).await.unwrap(), Some(3 * TASKS * ADDS));
    });
}

fn every_runtime_finds_its_server_again() {
    async fn work(runtime: impl Runtime + Clone, name: &str) {
        let mut server = Redis::start(Options::new().durable());
        let site = Site::new(config(&server.url()).lazy(runtime.clone()), runtime.clone());
        let ticket = site.sign_in(1).await.unwrap();
        let witness = Witness::begin(&site, 3).await;
        while witness.added() < 20 {
            runtime.sleep(std::time::Duration::from_millis(5)).await;
        }
        server.restart();
        let took = site.recovers(&ticket, Instant::now()).await;
        println!("the first success on {name}: {took:?}");
        assert!(took < RECOVERY, "{took:?}");
        server.pause();
        runtime.sleep(std::time::Duration::from_millis(2500)).await;
        server.resume();
        let took = site.recovers(&ticket, Instant::now()).await;
        assert!(took < RECOVERY, "{took:?}");
        witness.check().await;
    }
    thread::scope(|scope| {
        scope.spawn(|| smol::block_on(work(Smol, "smol")));
        scope.spawn(|| async_std::task::block_on(work(AsyncStd, "async-std")));
    });
}

/// In a process of its own: what an application does, and the names of its threads.
pub(crate) fn is_application() -> bool {
    let Ok(name) = env::var(RUNTIME) else { return false };
    let url = env::var(URL).unwrap();
    async fn work(url: &str, runtime: impl Runtime + Clone, is_tokio: bool) {
        // With the look at the server, whose task is spawned.
        let store = cloakroom_redis::RedisStore::connect(url, runtime.clone()).await.unwrap();
        let site = Site::new(store, runtime.clone());
        let ticket = site.sign_in(1).await.unwrap();
        site.add(&ticket).await.unwrap();
        let inside = run(&runtime, async move {
            let is_there = tokio::runtime::Handle::try_current().is_ok();
            assert_eq!(is_there, is_tokio, "a tokio runtime");
            site.end(&ticket).await.1.result().unwrap();
        });
        inside.await.unwrap();
    }
    match name.as_str() {
        "smol" => smol::block_on(work(&url, Smol, false)),
        _ => on_tokio(async {
            work(&url, Tokio, true).await;
            block_in_place(list_threads);
        }),
    }
    if name == "smol" {
        list_threads();
    }
    true
}

fn list_threads() {
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        println!("thread: {}", fs::read_to_string(thread.unwrap().path().join("comm")).unwrap().trim());
    }
}

/// Returns the names of an application's threads, without their numbers.
fn threads_on(runtime: &str) -> BTreeSet<String> {
    let server = Redis::start(Options::new());
    let mut application = Command::new(env::current_exe().unwrap());
    application.env(RUNTIME, runtime).env(URL, server.url()).stdin(Stdio::null());
    let output = application.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let names = told.lines().filter_map(|line| line.strip_prefix("thread: "));
    names.map(|name| name.trim_end_matches(|char: char| char.is_ascii_digit()).to_owned()).collect()
}

fn an_application_on_smol_starts_no_tokio() {
    let threads = threads_on("smol");
    println!("threads on smol: {threads:?}");
    assert!(threads.iter().any(|name| name.starts_with("smol")), "{threads:?}");
    assert!(!threads.iter().any(|name| name.contains("tokio") || name.contains("async-std")), "{threads:?}");
}

fn an_application_on_tokio_starts_nothing_else() {
    let threads = threads_on("tokio");
    println!("threads on tokio: {threads:?}");
    assert!(threads.iter().any(|name| name.starts_with("tokio")), "{threads:?}");
    for other in ["smol", "async-io", "async-std", "blocking"] {
        assert!(!threads.iter().any(|name| name.starts_with(other)), "{threads:?}");
    }
}
