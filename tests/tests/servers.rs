//! The servers that tests start: what other tests take for granted.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use cloakroom_tests::{
    demo::eventually,
    servers::{
        Cluster, ClusterOptions, Connection, Options, Redis, Reply, Require, Sentinel, SentinelOptions, slot_of,
    },
};
use libtest_mimic::{Arguments, Completion};

fn main() -> ExitCode {
    // As the child of `no_server_outlives_the_process_of_its_test`.
    if env::var_os("CLOAKROOM_HOLDS_A_SERVER").is_some() {
        let server = Redis::start(Options::new());
        println!("{} {}", server.pid().unwrap(), server.socket().display());
        loop {
            std::thread::park();
        }
    }
    let redis = Require::check("redis");
    let tests: [(&str, fn()); 8] = [
        ("a_kill_loses_what_was_not_written", a_kill_loses_what_was_not_written),
        ("a_durable_server_survives_a_kill", a_durable_server_survives_a_kill),
        ("a_paused_server_answers_when_it_goes_on", a_paused_server_answers_when_it_goes_on),
        ("users_have_the_rights_they_are_given", users_have_the_rights_they_are_given),
        ("a_replica_takes_over_from_a_killed_master", a_replica_takes_over_from_a_killed_master),
        ("slots_move_with_their_keys", slots_move_with_their_keys),
        ("a_cluster_survives_a_killed_master", a_cluster_survives_a_killed_master),
        ("no_server_outlives_the_process_of_its_test", no_server_outlives_the_process_of_its_test),
    ];
    let trials = tests.map(|(name, test)| {
        redis.trial(name, move || {
            test();
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn text(reply: &str) -> Reply {
    Reply::Text(reply.as_bytes().to_vec())
}

fn a_kill_loses_what_was_not_written() {
    let mut server = Redis::start(Options::new());
    let (port, pid) = (server.port(), server.pid());
    assert_eq!(server.command(&["SET", "key", "value"]), text("OK"));
    assert_eq!(server.command(&["GET", "key"]), text("value"));
    assert_eq!(server.calls()["get"], 1);
    server.kill();
    assert!(Connection::tcp(server.address()).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.command(&["GET", "key"]), Reply::Nil);
    server.stop();
    assert!(Connection::tcp(server.address()).is_err());
}

fn a_durable_server_survives_a_kill() {
    let mut server = Redis::start(Options::new().durable());
    for round in 0..3 {
        server.ask(&["SET", &format!("key {round}"), "value"]);
        server.restart();
    }
    assert_eq!(server.ask(&["DBSIZE"]), Reply::Integer(3));
}

fn a_paused_server_answers_when_it_goes_on() {
    const PAUSE: Duration = Duration::from_millis(200);
    let server = Redis::start(Options::new());
    let mut connection = server.connect().unwrap();
    server.pause();
    let since = Instant::now();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| connection.command(&["INCR", "key"]).unwrap());
        std::thread::sleep(PAUSE);
        assert!(!answer.is_finished());
        server.resume();
        assert_eq!(answer.join().unwrap(), Reply::Integer(1));
    });
    assert!(since.elapsed() >= PAUSE);
    // One that is paused can be ended.
    server.pause();
}

fn users_have_the_rights_they_are_given() {
    let options = Options::new().password("d's").user("web", "on >secret ~app:* +get +set");
    let server = Redis::start(options);
    assert_eq!(server.url(), format!("redis://:%64%27%73@127.0.0.1:{}", server.port()));
    let mut connection = Connection::tcp(server.address()).unwrap();
    let mut ask = |words: &[&str]| connection.command(words).unwrap();
    assert!(ask(&["GET", "key"]).error().unwrap().starts_with("NOAUTH"));
    assert_eq!(ask(&["AUTH", "d's"]), text("OK"));
    assert_eq!(ask(&["AUTH", "web", "secret"]), text("OK"));
    assert_eq!(ask(&["SET", "app:key", "value"]), text("OK"));
    assert!(ask(&["GET", "key"]).error().unwrap().starts_with("NOPERM"));
    assert!(ask(&["DEL", "app:key"]).error().unwrap().starts_with("NOPERM"));
}

fn a_replica_takes_over_from_a_killed_master() {
    let mut all = Sentinel::start(SentinelOptions::new().replicas(2).down_after(Duration::from_millis(500)));
    assert_eq!(all.urls().len(), 3);
    assert_eq!(all.master_number(), 0);
    all.nodes()[0].ask(&["SET", "key", "value"]);
    assert_eq!(all.nodes()[0].ask(&["WAIT", "2", "5000"]), Reply::Integer(2));
    let (former, promoted) = all.fail_over();
    assert_eq!(former, 0);
    assert_eq!(all.master_number(), promoted);
    assert_eq!(all.master_node().ask(&["GET", "key"]), text("value"));
    all.rejoin(former);
    assert!(all.nodes()[former].command(&["SET", "key", "other"]).error().unwrap().starts_with("READONLY"));
}

fn slots_move_with_their_keys() {
    let mut cluster = Cluster::start(ClusterOptions::new());
    let slot = slot_of("key");
    let from = cluster.master_of_key("key");
    let to = (from + 1) % 3;
    cluster.nodes()[from].ask(&["SET", "key", "value"]);
    let words = |reply: &Reply| reply.error().unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(words(&cluster.nodes()[to].command(&["GET", "key"])), "MOVED");

    cluster.begin_move(slot, from, to);
    assert_eq!(cluster.nodes()[from].command(&["GET", "key"]), text("value"));
    assert_eq!(words(&cluster.nodes()[from].command(&["GET", "{key}other"])), "ASK");
    assert_eq!(cluster.move_keys(slot, from, to, 10), 1);
    assert_eq!(words(&cluster.nodes()[from].command(&["GET", "key"])), "ASK");
    cluster.end_move(slot, to);
    assert_eq!(words(&cluster.nodes()[from].command(&["GET", "key"])), "MOVED");
    assert_eq!(cluster.nodes()[to].command(&["GET", "key"]), text("value"));
    assert_eq!(cluster.master_of(slot), to);

    cluster.move_slot(slot, from);
    assert_eq!(cluster.nodes()[from].command(&["GET", "key"]), text("value"));
}

fn a_cluster_survives_a_killed_master() {
    let mut cluster = Cluster::start(ClusterOptions::new().replicas());
    assert_eq!(cluster.nodes().len(), 6);
    let slot = slot_of("key");
    let killed = cluster.master_of(slot);
    cluster.nodes()[killed].ask(&["SET", "key", "value"]);
    assert_eq!(cluster.nodes()[killed].ask(&["WAIT", "1", "5000"]), Reply::Integer(1));
    cluster.kill(killed);
    let promoted = cluster.promoted(slot, killed);
    assert_eq!(promoted, killed + 3);
    assert_eq!(cluster.nodes()[promoted].ask(&["GET", "key"]), text("value"));
    cluster.nodes()[killed].restart();
    cluster.is_well();
    assert_eq!(cluster.master_of(slot), promoted);
}

fn no_server_outlives_the_process_of_its_test() {
    let mut holder = Command::new(env::current_exe().unwrap());
    holder.env("CLOAKROOM_HOLDS_A_SERVER", "").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (pid, socket) = line.trim().split_once(' ').unwrap();
    assert!(Connection::unix(Path::new(socket)).is_ok());
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the end of the server and its folder", || {
        !Path::new("/proc").join(pid).exists() && !Path::new(socket).parent().unwrap().exists()
    });
}
