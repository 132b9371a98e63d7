//! [`Runtime::unblock`](crate::Runtime::unblock).

use std::{sync::mpsc, time::Duration};

use futures_channel::oneshot;

use super::{
    Bench, ensure, panic_quietly,
    spawn::{is_called_within, works},
};
use crate::{Interrupted, Task, run_blocking};

pub(super) async fn returns_at_once(bench: Bench<'_>) -> Result<(), String> {
    let within_call = is_called_within(|call| drop(bench.runtime.unblock(call)));
    ensure(!bench.told("a function runs", within_call).await?, "`unblock` returns before it calls the function")
}

pub(super) async fn holds_up_no_future(bench: Bench<'_>) -> Result<(), String> {
    const RULE: &str = "a function that blocks holds up no future";
    let blocked: Vec<_> = (0..8)
        .map(|_| {
            let (start, started) = oneshot::channel();
            let (release, released) = mpsc::channel();
            let ends = run_blocking(bench.runtime, move || {
                let _ = start.send(());
                released.recv_timeout(bench.patience).is_ok()
            });
            (started, release, ends)
        })
        .collect();
    // There need not be a thread for each, so only the first is known to have begun.
    for (place, (started, release, ends)) in blocked.into_iter().enumerate() {
        bench.told("a function runs", started).await?;
        works(bench, RULE).await?;
        if place == 0 {
            bench.within(RULE, bench.runtime.sleep(Duration::from_millis(5))).await?;
        }
        release.send(()).map_err(|_| RULE.to_owned())?;
        ensure(bench.within(RULE, ends).await? == Ok(true), RULE)?;
    }
    Ok(())
}

pub(super) async fn forgets_when_cancelled_or_dropped(bench: Bench<'_>) -> Result<(), String> {
    for forget in [Task::cancel, drop] {
        let (start, started) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let task = bench.runtime.unblock(Box::new(move || {
            let _ = start.send(());
            if released.recv_timeout(bench.patience).is_ok() {
                let _ = end.send(());
            }
        }));
        bench.told("a function runs", started).await?;
        forget(task);
        release.send(()).map_err(|_| "a function that is forgotten goes on".to_owned())?;
        bench.told("a function that is forgotten goes on", ended).await?;

        let (end, ended) = oneshot::channel();
        let task = bench.runtime.unblock(Box::new(move || {
            let _ = end.send(());
        }));
        forget(task);
        bench.told("a function that is forgotten before it begins runs all the same", ended).await?;
    }
    Ok(())
}

pub(super) async fn keeps_a_panic_on_its_thread(bench: Bench<'_>) -> Result<(), String> {
    const RULE: &str = "a panic in a function stays on its thread";
    // More often than a small pool has threads.
    for _ in 0..64 {
        let panicking = run_blocking(bench.runtime, panic_quietly);
        ensure(bench.within(RULE, panicking).await? == Err(Interrupted), "a function that panics has no result")?;
    }
    ensure(bench.within(RULE, run_blocking(bench.runtime, || 7)).await? == Ok(7), RULE)?;
    works(bench, RULE).await
}
