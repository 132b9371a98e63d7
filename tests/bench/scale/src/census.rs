//! Fills a store in steps; tells at each what a session takes beside its value, and what an operation costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bench_kit::Figure;
use cloakroom_store::{Created, DynStore, Removed, Written};
use tokio::task::{JoinSet, yield_now};

use crate::{
    filling::{Numbers, PAYLOAD, TASKS, TTL, fill, key, value},
    place::Place,
};

const SAMPLES: u64 = 2_000;
const OPERATIONS: [&str; 5] = ["load", "create", "replace", "touch", "remove"];

pub(crate) async fn census(name: &str, sizes: &[u64]) -> anyhow::Result<()> {
    let place = Place::open(name, None).await?;
    let store = place.store();
    // What a store sets up once is none of a session's.
    fill(&store, u64::MAX / 4..u64::MAX / 4 + 100, TTL).await;
    let (empty, mut filled) = (place.bytes()?, 0);
    for &sessions in sizes {
        fill(&store, filled..sessions, TTL).await;
        filled = sessions;
        let bench = format!("{sessions} sessions");
        let tell = |metric: &str, value: f64, unit: &str| Figure::new(&bench, name, metric, value, unit).print();
        let bytes = place.bytes()?.saturating_sub(empty) as f64 / sessions as f64;
        tell(&format!("bytes beside {PAYLOAD}"), bytes - PAYLOAD as f64, "B/session");
        for (operation, time) in OPERATIONS.into_iter().zip(alone(&*store, sessions).await) {
            tell(operation, time.as_nanos() as f64, "ns");
        }
        tell(&format!("loads by {TASKS} tasks"), together(&store, sessions, false).await, "1/s");
        tell(&format!("loads and replaces by {TASKS} tasks"), together(&store, sessions, true).await, "1/s");
    }
    let last = sizes.last().copied().unwrap_or_default();
    sweep(name, last.min(100_000)).await
}

/// What it costs to be rid of sessions that have expired, in processor time of this process and the server.
async fn sweep(name: &str, sessions: u64) -> anyhow::Result<()> {
    const BRIEF: Duration = Duration::from_secs(5);
    let place = Place::open(name, Some(Duration::from_millis(100))).await?;
    fill(&place.store(), 0..sessions, BRIEF).await;
    let filled_at = Instant::now();
    // What fills until they expire has swept some already.
    let left = place.entries()?;
    let before = place.processor_time()?;
    while place.entries()? > 0 && filled_at.elapsed() < BRIEF * 12 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let swept = left - place.entries()?;
    let each = (place.processor_time()? - before).as_nanos() as f64 / swept.max(1) as f64;
    Figure::new(&format!("{sessions} sessions"), name, "sweep, processor time", each, "ns/session").print();
    Ok(())
}

/// Returns the medians of load, create, replace, touch and remove by one task, one after the other.
async fn alone(store: &dyn DynStore, sessions: u64) -> [Duration; 5] {
    let mut times: [Vec<Duration>; 5] = Default::default();
    let mut random = Numbers(sessions);
    for sample in 0..SAMPLES {
        let number = random.below(sessions);
        let key = key(number);
        let began = Instant::now();
        let found = store.load(&key).await.expect("the store is there").expect("so is the session");
        times[0].push(began.elapsed());

        let (fresh, first) = (self::key(u64::MAX / 2 - sample), value(sample, 1));
        let began = Instant::now();
        let created = store.create(&fresh, &first, TTL).await.expect("the store is there");
        times[1].push(began.elapsed());
        let Created::Done(made) = created else { panic!("nothing was there") };

        let second = value(number, sample);
        let began = Instant::now();
        let written = store.replace(&key, &found.version, &second, TTL).await.expect("the store is there");
        times[2].push(began.elapsed());
        let Written::Done(version) = written else { panic!("nobody else writes") };

        let began = Instant::now();
        let touched = store.touch(&key, &version, &second, TTL).await.expect("the store is there");
        times[3].push(began.elapsed());
        assert!(matches!(touched, Written::Done(_)), "nobody else writes");

        let began = Instant::now();
        let removed = store.remove(&fresh, &made).await.expect("the store is there");
        times[4].push(began.elapsed());
        assert_eq!(removed, Removed::Done, "nobody else removes");
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

/// Returns how many loads, or loads with a replace each, all tasks do in a second.
async fn together(store: &Arc<dyn DynStore>, sessions: u64, replaces: bool) -> f64 {
    const LASTS: Duration = Duration::from_secs(1);

    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let (mut random, mut done) = (Numbers(task + 1), 0);
            while began.elapsed() < LASTS {
                let number = random.below(sessions);
                let found = store.load(&key(number)).await.expect("the store is there").expect("so is the session");
                if replaces {
                    // Another may have been there in between: that is an answer as well.
                    let more = value(number, done);
                    store.replace(&key(number), &found.version, &more, TTL).await.expect("the store is there");
                }
                done += 1;
                // What never waits would keep its thread to itself.
                yield_now().await;
            }
            done
        });
    }
    let done: u64 = tasks.join_all().await.into_iter().sum();
    done as f64 / began.elapsed().as_secs_f64()
}
