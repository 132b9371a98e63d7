//! The async glue of `cloakroom-store` over a slow and faulty store, for many seeds.

#![allow(clippy::unwrap_used, reason = "tests")]

mod flaky;

use std::time::Duration;

use cloakroom_core::{CommitError, End, RequestInfo};
use cloakroom_runtime::{Runtime, run};
use cloakroom_sim::{Sim, SimRuntime, Trace};
use cloakroom_store::{Fault, Finish, MemoryStore, Report, Session, SessionError, Sessions, StoreFailure};
use futures_util::future::{Either, join_all, select};

use self::flaky::{Flaky, Mood};

const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";
const DEADLINE: Duration = Duration::from_secs(2);
const SEEDS: u64 = 2000;

/// Sessions over a store whose mood the test sets, and over the same store when it is well.
struct World {
    sim: Sim,
    runtime: SimRuntime,
    store: Flaky,
    sessions: Sessions,
    well: Sessions,
}

impl World {
    fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let runtime = sim.runtime();
        let memory = MemoryStore::new(runtime.clone());
        let store = Flaky::new(memory.clone(), runtime.clone());
        let sessions = Sessions::new(RING.parse().unwrap(), store.clone(), runtime.clone());
        let well = Sessions::new(RING.parse().unwrap(), memory, runtime.clone());
        Self { sim, runtime, store, sessions, well }
    }

    /// Makes a session; returns its cookie.
    async fn sign_in(&self) -> String {
        let session = open(&self.well, "");
        session.insert("n", &0).await.unwrap();
        cookie(&commit(&session).await).unwrap()
    }

    async fn read(&self, cookie: &str) -> Option<u64> {
        open(&self.well, cookie).get("n").await.unwrap()
    }
}

fn open(sessions: &Sessions, cookie: &str) -> Session {
    sessions.open([cookie.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse)
}

async fn commit(session: &Session) -> Report {
    Session::commit(session, Finish::Keep).await
}

fn cookie(report: &Report) -> Option<String> {
    let mut lines = report.headers().filter(|(name, line)| *name == "set-cookie" && !line.contains("Max-Age=0"));
    lines.next().map(|(_, line)| line.split(';').next().unwrap_or_default().to_owned())
}

/// One request that adds; whether that was acknowledged.
async fn add(sessions: Sessions, cookie: String, amount: u64) -> Result<(), SessionError> {
    let session = open(&sessions, &cookie);
    session.update("n", move |n: Option<u64>| n.unwrap_or(0) + amount).await?;
    commit(&session).await.result()
}

/// Five requests at the same time, each with a digit of its own; what was acknowledged, and the sum.
fn adds(seed: u64) -> (Vec<bool>, u64, Trace) {
    let world = World::new(seed);
    let (acknowledged, sum) = world.sim.block_on(async {
        let ticket = world.sign_in().await;
        world.store.set_mood(Mood::Flaky);
        let requests = (0..5).map(|digit| {
            let adding = add(world.sessions.clone(), ticket.clone(), 10_u64.pow(digit));
            let arrives = world.runtime.sleep(Duration::from_millis(world.runtime.draw(40)));
            run(&world.runtime, async {
                arrives.await;
                adding.await
            })
        });
        let results = join_all(requests).await;
        // What lands late has landed.
        world.runtime.sleep(Duration::from_secs(60)).await;
        let acknowledged = results.into_iter().map(|result| result.unwrap().is_ok()).collect();
        (acknowledged, world.read(&ticket).await.unwrap())
    });
    (acknowledged, sum, world.sim.trace())
}

#[test]
fn every_acknowledged_update_counts_once() {
    let (mut kept, mut refused, mut doubted) = (0, 0, 0);
    for seed in 0..SEEDS {
        let (acknowledged, sum, _) = adds(seed);
        for (place, acknowledged) in acknowledged.into_iter().enumerate() {
            match (acknowledged, sum / 10_u64.pow(place as u32) % 10) {
                (true, 1) => kept += 1,
                (false, 0) => refused += 1,
                (false, 1) => doubted += 1,
                other => panic!("seed {seed}: {sum:05}: {other:?}"),
            }
        }
    }
    assert!(kept > SEEDS && refused > SEEDS / 5 && doubted > SEEDS / 100, "{kept} {refused} {doubted}");
}

#[test]
fn the_same_seed_gives_the_same_story() {
    for seed in 0..50 {
        assert_eq!(adds(seed), adds(seed), "seed {seed}");
    }
    assert_ne!(adds(1).2, adds(2).2);
}

#[test]
fn an_acknowledged_end_is_final() {
    let mut ended = 0;
    for seed in 0..SEEDS {
        let world = World::new(seed);
        ended += u64::from(world.sim.block_on(end_among_others(&world)));
    }
    assert!((SEEDS / 5..SEEDS).contains(&ended), "{ended}");
}

/// An end among updates and rotations; whether it was acknowledged. If so, no ticket opens anything from there on.
async fn end_among_others(world: &World) -> bool {
    let mut tickets = vec![world.sign_in().await];
    world.store.set_mood(Mood::Flaky);
    let others = (0..4).map(|number| {
        let (session, runtime) = (open(&world.sessions, &tickets[0]), world.runtime.clone());
        run(&world.runtime, async move {
            runtime.sleep(Duration::from_millis(runtime.draw(40))).await;
            let rotates = number % 2 == 1;
            match rotates {
                false => drop(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await),
                true => drop(session.rotate().await),
            }
            // What is written after the end is a session of its own.
            cookie(&commit(&session).await).filter(|_| rotates)
        })
    });
    let others = join_all(others);
    let ending = open(&world.sessions, &tickets[0]);
    let wait = world.runtime.sleep(Duration::from_millis(world.runtime.draw(40)));
    let ending = run(&world.runtime, async move {
        wait.await;
        let destroyed = ending.destroy().await;
        let report = commit(&ending).await;
        assert!(report.result().is_err() || destroyed.is_err() || report.end() == Some(End::Ended), "{report:?}");
        destroyed.is_ok() && report.result().is_ok()
    });
    let (is_ended, others) = match select(others, Box::pin(ending)).await {
        Either::Left((others, ending)) => (ending.await.unwrap(), others),
        Either::Right((is_ended, others)) => {
            let is_ended = is_ended.unwrap();
            if is_ended {
                assert_eq!(world.read(&tickets[0]).await, None);
            }
            (is_ended, others.await)
        }
    };
    tickets.extend(others.into_iter().filter_map(Result::unwrap));
    for _ in 0..4 {
        for ticket in tickets.iter().filter(|_| is_ended) {
            assert_eq!(world.read(ticket).await, None);
        }
        world.runtime.sleep(Duration::from_secs(3)).await;
    }
    is_ended
}

#[test]
fn a_store_that_never_answers_costs_the_deadline() {
    for seed in 0..20 {
        let world = World::new(seed);
        world.sim.block_on(async {
            let ticket = world.sign_in().await;
            world.store.set_mood(Mood::Silent);
            let since = world.sim.elapsed();
            let session = open(&world.sessions, &ticket);
            let error = session.get::<u64>("n").await.unwrap_err();
            assert!(matches!(&error, SessionError::Store(store) if store.fault() == Fault::TimedOut), "{error:?}");
            assert_eq!(world.sim.elapsed() - since, DEADLINE);

            // A write that may have happened is settled by looking, which takes as long each time.
            world.store.set_mood(Mood::Well);
            let session = open(&world.sessions, &ticket);
            session.insert("n", &7).await.unwrap();
            world.store.set_mood(Mood::Silent);
            let since = world.sim.elapsed();
            let report = commit(&session).await;
            assert!(matches!(report.result(), Err(SessionError::Commit(CommitError::OutcomeUnknown))), "{report:?}");
            let asked = report.ops().len() as u32 - 1;
            assert!((2..10).contains(&asked), "{asked}");
            assert_eq!(world.sim.elapsed() - since, DEADLINE * asked);
        });
    }
}

#[test]
fn a_request_that_is_dropped_commits_all_the_same() {
    for seed in 0..100 {
        let world = World::new(seed);
        world.sim.block_on(async {
            let ticket = world.sign_in().await;
            world.store.set_mood(Mood::Slow);
            let session = open(&world.sessions, &ticket);
            session.insert("n", &7).await.unwrap();
            let hang_up = world.runtime.sleep(Duration::from_millis(world.runtime.draw(50)));
            let _ = select(Session::commit(&session, Finish::Keep), hang_up).await;
            drop(session);
            world.runtime.sleep(Duration::from_secs(1)).await;
            assert_eq!(world.read(&ticket).await, Some(7), "seed {seed}");
        });
    }
}
