//! [`Runtime::spawn`](crate::Runtime::spawn).

use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    mem,
    task::Poll,
    time::Duration,
};

use futures_channel::oneshot;

use super::{Bench, ensure, panic_quietly};
use crate::{Interrupted, run};

pub(super) async fn starts_without_being_awaited(bench: Bench<'_>) -> Result<(), String> {
    let (sender, receiver) = oneshot::channel();
    let task = bench.runtime.spawn(Box::pin(async move {
        let _ = sender.send(());
    }));
    bench.told("a future runs in the background until it ends", receiver).await?;
    drop(task);
    Ok(())
}

pub(super) async fn returns_before_it_polls(bench: Bench<'_>) -> Result<(), String> {
    let within_call = is_called_within(|call| {
        drop(bench.runtime.spawn(Box::pin(async move { call() })));
    });
    ensure(!bench.told("a future runs", within_call).await?, "`spawn` returns before it polls")
}

pub(super) async fn dropping_the_task_detaches(bench: Bench<'_>) -> Result<(), String> {
    const RULE: &str = "dropping a task detaches: the future goes on";
    let (start, started) = oneshot::channel();
    let (open, gate) = oneshot::channel::<()>();
    let (end, ended) = oneshot::channel();
    let task = bench.runtime.spawn(Box::pin(async move {
        let _ = start.send(());
        if gate.await.is_ok() {
            let _ = end.send(());
        }
    }));
    bench.told("a future runs in the background", started).await?;
    drop(task);
    // Time for a runtime that cancels on drop to do so.
    bench.within("a sleep ends", bench.runtime.sleep(Duration::from_millis(20))).await?;
    open.send(()).map_err(|()| RULE.to_owned())?;
    bench.told(RULE, ended).await?;

    let (end, ended) = oneshot::channel();
    drop(bench.runtime.spawn(Box::pin(async move {
        let _ = end.send(());
    })));
    bench.told("a future whose task is dropped before it begins runs all the same", ended).await
}

pub(super) async fn cancelling_drops_the_future(bench: Bench<'_>) -> Result<(), String> {
    for _ in 0..20 {
        let (start, started) = oneshot::channel();
        let (held, is_dropped) = oneshot::channel::<()>();
        let task = bench.runtime.spawn(Box::pin(async move {
            let _held = held;
            let _ = start.send(());
            pending::<()>().await;
        }));
        bench.told("a future runs in the background", started).await?;
        task.cancel();
        bench.dropped("cancelling a task drops its future", is_dropped).await?;

        let (held, is_dropped) = oneshot::channel::<()>();
        bench
            .runtime
            .spawn(Box::pin(async move {
                let _held = held;
                pending::<()>().await;
            }))
            .cancel();
        bench.dropped("cancelling a task that has not begun drops its future", is_dropped).await?;
    }

    // A future that is always ready to go on never waits, so only its awaits can stop it.
    let (held, is_dropped) = oneshot::channel::<()>();
    let task = bench.runtime.spawn(Box::pin(async move {
        let _held = held;
        loop {
            give_way().await;
        }
    }));
    task.cancel();
    bench.dropped("a cancelled future is dropped at its next await", is_dropped).await
}

pub(super) async fn cancelling_what_has_ended_does_nothing(bench: Bench<'_>) -> Result<(), String> {
    let (end, ended) = oneshot::channel();
    let task = bench.runtime.spawn(Box::pin(async move {
        let _ = end.send(());
    }));
    bench.told("a future runs in the background", ended).await?;
    task.cancel();
    works(bench, "cancelling what has ended does nothing").await
}

pub(super) async fn keeps_a_panic_from_all_others(bench: Bench<'_>) -> Result<(), String> {
    const RULE: &str = "a panic in a future ends that future alone";
    let (open, gate) = oneshot::channel::<()>();
    let bystander = run(bench.runtime, gate);
    // More often than a pool has threads.
    for _ in 0..64 {
        let panicking = run(bench.runtime, async {
            give_way().await;
            panic_quietly();
        });
        ensure(bench.within(RULE, panicking).await? == Err(Interrupted), "a future that panics has no result")?;
    }
    open.send(()).map_err(|()| RULE.to_owned())?;
    ensure(bench.within(RULE, bystander).await? == Ok(Ok(())), RULE)?;
    works(bench, RULE).await
}

pub(super) async fn lets_futures_wait_for_each_other(bench: Bench<'_>) -> Result<(), String> {
    let (ask, asked) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let waits = run(bench.runtime, async move {
        let _ = ask.send(());
        answered.await.is_ok()
    });
    drop(bench.runtime.spawn(Box::pin(async move {
        if asked.await.is_ok() {
            let _ = answer.send(());
        }
    })));
    ensure(bench.within("futures run side by side", waits).await? == Ok(true), "futures run side by side")
}

/// Hands out a function that tells whether it is called on this thread before `start` has returned.
pub(super) fn is_called_within(start: impl FnOnce(Box<dyn FnOnce() + Send>)) -> oneshot::Receiver<bool> {
    thread_local! {
        static STARTING: Cell<bool> = const { Cell::new(false) };
    }

    let (sender, receiver) = oneshot::channel();
    STARTING.set(true);
    start(Box::new(move || {
        let _ = sender.send(STARTING.get());
    }));
    STARTING.set(false);
    receiver
}

pub(super) async fn works(bench: Bench<'_>, rule: &str) -> Result<(), String> {
    ensure(bench.within(rule, run(bench.runtime, async { 7 })).await? == Ok(7), rule)
}

fn give_way() -> impl Future<Output = ()> {
    let mut gave_way = false;
    poll_fn(move |context| {
        if mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
