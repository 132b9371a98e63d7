//! Over loopback with real Redis: each system in turn, in rounds.

use bench_kit::processor_time;
use cloakroom_tests::servers::{Options, Redis};

use crate::{
    figures::Figures,
    order::Order,
    programs::{Programs, System},
    server::Server,
    wrk::load,
};

/// Sessions that the clients have.
const SESSIONS: usize = 500;
const VISITS: [&str; 2] = ["read", "change"];

pub(crate) fn measure(
    programs: &Programs,
    order: &mut Order,
    quick: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let connections: &[usize] = if quick { &[16] } else { &[1, 16, 128] };
    let seconds = if quick { 1 } else { 3 };
    let cells = |visits: &[&'static str]| -> Vec<_> {
        connections.iter().flat_map(|&connections| visits.iter().map(move |&visit| (visit, connections))).collect()
    };
    // Without sessions all visits are alike.
    let systems = [(programs.with_redis(), cells(&VISITS)), (programs.bare(), cells(&VISITS[..1]))];
    rounds(&systems, if quick { 3 } else { 7 }, seconds, order, figures)
}

/// Systems, and how they are loaded: a visit, and the number of connections.
type Load<'a> = (Vec<System>, Vec<(&'a str, usize)>);

/// Loads each system in each of its ways, so often, for so many seconds.
pub(crate) fn rounds(
    systems: &[Load<'_>],
    rounds: usize,
    seconds: u64,
    order: &mut Order,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let redis = Redis::start(Options::new());
    let (mut servers, mut turns) = (Vec::new(), Vec::new());
    for (system, cells) in systems.iter().flat_map(|(systems, cells)| systems.iter().map(move |system| (system, cells)))
    {
        turns.extend(cells.iter().map(|cell| (servers.len(), *cell)));
        let server = Server::start(system, &redis.url())?;
        let cookies = server.sessions(SESSIONS)?;
        servers.push((server, cookies));
    }
    let mut all = Figures::default();
    for round in 1..=rounds {
        order.shuffle(&mut turns);
        for &(server, (visit, connections)) in &turns {
            let (server, cookies) = &servers[server];
            eprintln!("{visit} by {connections} connections, round {round} of {rounds}: {}", server.name);
            measure_one(server, cookies, &redis, visit, connections, seconds, &mut all)?;
        }
    }
    figures.add_medians(all);
    Ok(())
}

fn measure_one(
    server: &Server,
    cookies: &[String],
    redis: &Redis,
    visit: &str,
    connections: usize,
    seconds: u64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let pid = redis.pid().unwrap_or_default();
    let before = (server.processor_time()?, processor_time(pid)?, commands(redis)?);
    let seen = load(&server.url, &format!("/{visit}"), cookies, connections, seconds)?;
    let after = (server.processor_time()?, processor_time(pid)?, commands(redis)?);
    anyhow::ensure!(seen.refused == 0, "{} refused {} of {} requests", server.name, seen.refused, seen.requests);

    let each = |sum: f64| sum / seen.requests as f64;
    let (served, stored) = (after.0 - before.0, after.1 - before.1);
    let bench = format!("{visit} over loopback, {connections} connections");
    let mut add = |metric, value, unit| figures.add(&bench, &server.name, metric, value, unit);
    add("requests", seen.per_second(), "1/s");
    add("latency p50", seen.p50, "us");
    add("latency p90", seen.p90, "us");
    add("latency p99", seen.p99, "us");
    add("server processor time", each(served.as_nanos() as f64 / 1e3), "us/request");
    add("Redis processor time", each(stored.as_nanos() as f64 / 1e3), "us/request");
    add("processor time", each((served + stored).as_nanos() as f64 / 1e3), "us/request");
    add("Redis commands", each((after.2 - before.2) as f64), "1/request");
    Ok(())
}

/// Returns how many commands the server did, those that scripts call among them.
pub(crate) fn commands(redis: &Redis) -> anyhow::Result<u64> {
    let info = redis.info("stats");
    Ok(info["total_commands_processed"].parse()?)
}
