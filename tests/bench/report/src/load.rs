//! Over loopback with real Redis: each system in turn, in rounds.

use anyhow::Context as _;
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
pub(crate) const VISITS: [&str; 2] = ["read", "change"];
/// How many connections load a server at a time.
pub(crate) const CONNECTIONS: [usize; 3] = [1, 16, 128];

pub(crate) fn measure(
    programs: &Programs,
    order: &mut Order,
    quick: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let connections: &[usize] = if quick { &[16] } else { &CONNECTIONS };
    let (rounds, seconds) = if quick { (3, 1) } else { (7, 3) };
    let (with_redis, bare) = (programs.with_redis(), programs.bare());
    let running = Running::start(with_redis.iter().chain(&bare))?;
    // Without sessions all visits are alike.
    let visited = [(&with_redis, &VISITS[..]), (&bare, &VISITS[..1])];
    let mut turns = Vec::new();
    for (systems, visits) in visited {
        for system in systems {
            turns.extend(visits.iter().flat_map(|&visit| connections.iter().map(move |&many| (system, visit, many))));
        }
    }
    let mut all = Figures::default();
    for round in 1..=rounds {
        eprintln!("over loopback, round {round} of {rounds}");
        order.shuffle(&mut turns);
        for &(system, visit, connections) in &turns {
            running.load(&system.name, visit, connections, seconds, &mut all)?;
        }
    }
    figures.add_medians(all);
    Ok(())
}

/// Servers beside one Redis, and the cookies of each one's clients.
pub(crate) struct Running {
    redis: Redis,
    servers: Vec<(Server, Vec<String>)>,
}

impl Running {
    pub(crate) fn start<'a>(systems: impl IntoIterator<Item = &'a System>) -> anyhow::Result<Self> {
        let redis = Redis::start(Options::new());
        let start = |system| -> anyhow::Result<_> {
            let server = Server::start(system, &redis.url())?;
            let cookies = server.sessions(SESSIONS)?;
            Ok((server, cookies))
        };
        let servers = systems.into_iter().map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { redis, servers })
    }

    /// Loads one of them by so many connections, for so many seconds.
    pub(crate) fn load(
        &self,
        name: &str,
        visit: &str,
        connections: usize,
        seconds: u64,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let (server, cookies) =
            self.servers.iter().find(|(server, _)| server.name == name).with_context(|| format!("{name} serves"))?;
        let bench = bench(visit, connections);
        eprintln!("{bench}: {name}");
        let pid = self.redis.pid().unwrap_or_default();
        let before = (server.processor_time()?, processor_time(pid)?, commands(&self.redis)?);
        let seen = load(server, &format!("/{visit}"), cookies, connections, seconds)?;
        let after = (server.processor_time()?, processor_time(pid)?, commands(&self.redis)?);
        anyhow::ensure!(seen.refused == 0, "{name} refused {} of {} requests", seen.refused, seen.requests);

        let each = |sum: f64| sum / seen.requests as f64;
        let (served, stored) = (after.0 - before.0, after.1 - before.1);
        let mut add = |metric, value, unit| figures.add(&bench, name, metric, value, unit);
        add("requests", seen.per_second(), "1/s");
        add("broken", seen.broken as f64, "connections");
        add("latency p50", seen.p50, "us");
        add("latency p90", seen.p90, "us");
        add("latency p99", seen.p99, "us");
        add("server processor time", each(served.as_nanos() as f64 / 1e3), "us/request");
        add("Redis processor time", each(stored.as_nanos() as f64 / 1e3), "us/request");
        add("processor time", each((served + stored).as_nanos() as f64 / 1e3), "us/request");
        add("Redis commands", each((after.2 - before.2) as f64), "1/request");
        Ok(())
    }
}

/// Returns what a visit by so many connections is called.
pub(crate) fn bench(visit: &str, connections: usize) -> String {
    format!("{visit} over loopback, {connections} connections")
}

/// Returns how many commands the server did, those that scripts call among them.
pub(crate) fn commands(redis: &Redis) -> anyhow::Result<u64> {
    let info = redis.info("stats");
    Ok(info["total_commands_processed"].parse()?)
}
