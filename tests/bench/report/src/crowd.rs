//! Many clients that change one session at the same time: what is told as done, what is there afterwards, what it costs.

use anyhow::Context as _;
use cloakroom_tests::servers::{Options, Redis};

use crate::{figures::Figures, load::commands, order::Order, programs::Programs, server::Server, wrk::load};

pub(crate) fn measure(
    programs: &Programs,
    order: &mut Order,
    quick: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let (rounds, seconds) = if quick { (1, 1) } else { (5, 3) };
    let redis = Redis::start(Options::new());
    let mut systems = programs.with_redis();
    // What is by hand counts nothing.
    systems.retain(|system| !system.name.ends_with("by-hand"));
    let mut all = Figures::default();
    for round in 1..=rounds {
        order.shuffle(&mut systems);
        for system in &systems {
            let server = Server::start(system, &redis.url())?;
            for (clients, sessions) in [(16, 1), (64, 1), (64, 64)] {
                let bench = format!("change by {clients} clients, {sessions} sessions");
                eprintln!("{bench}, round {round} of {rounds}: {}", system.name);
                let cookies = server.sessions(sessions)?;
                let before = counted(&server, &cookies)?;
                let asked = commands(&redis)?;
                let tried = scripts(&redis);
                let seen = load(&server, "/change", &cookies, clients, seconds)?;
                let (asked, tried) = (commands(&redis)? - asked, scripts(&redis) - tried);
                // wrk stops counting before the last requests are answered: at most one a connection is not told.
                let kept = (counted(&server, &cookies)? - before) as f64 - sessions as f64;
                let told = (seen.requests - seen.refused) as f64;
                let mut add = |metric, value, unit| all.add(&bench, &system.name, metric, value, unit);
                let seconds = seen.micros as f64 / 1e6;
                add("told as done", told / seconds, "1/s");
                add("kept", kept.min(told) / seconds, "1/s");
                add("lost", 100.0 * ((told - kept) / told).max(0.0), "%");
                add("refused", 100.0 * seen.refused as f64 / seen.requests as f64, "%");
                add("broken", seen.broken as f64, "connections");
                add("Redis commands", asked as f64 / told, "1/request");
                // Those who compare do so in a script; the others try once.
                if tried > 0 {
                    add("tries", tried as f64 / told, "1/request");
                }
                add("latency p99", seen.p99, "us");
            }
        }
    }
    figures.add_medians(all);
    Ok(())
}

/// Returns how many scripts the server ran.
fn scripts(redis: &Redis) -> u64 {
    redis.calls().get("evalsha").copied().unwrap_or(0)
}

/// Adds one to each session's count, and returns their sum.
fn counted(server: &Server, cookies: &[String]) -> anyhow::Result<u64> {
    let count = |cookies: &String| -> anyhow::Result<u64> {
        let mut response = server.get("/change", cookies)?;
        response.body_mut().read_to_string()?.trim().parse().context("/change answers a number")
    };
    cookies.iter().map(count).sum()
}
