//! [`Runtime::sleep`](crate::Runtime::sleep).

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use futures_channel::oneshot;

use super::{Bench, ensure};

pub(super) async fn never_ends_early(bench: Bench<'_>) -> Result<(), String> {
    for duration in [0, 1, 3, 20, 50].map(Duration::from_millis) {
        let begin = Instant::now();
        bench.within("a sleep ends", bench.runtime.sleep(duration)).await?;
        ensure(begin.elapsed() >= duration, "a sleep never ends early")?;
    }
    Ok(())
}

pub(super) async fn returns_at_once(bench: Bench<'_>) -> Result<(), String> {
    let begin = Instant::now();
    drop(bench.runtime.sleep(bench.long()));
    ensure(begin.elapsed() < bench.long(), "`sleep` returns at once")
}

pub(super) async fn ends_once_however_often_it_is_polled(bench: Bench<'_>) -> Result<(), String> {
    let mut sleep = bench.runtime.sleep(Duration::from_millis(30));
    bench
        .within("a sleep counts from its first poll, not from its last", async {
            while !is_ready(&mut sleep).await {
                bench.runtime.sleep(Duration::from_millis(1)).await;
            }
        })
        .await
}

pub(super) async fn holds_up_nothing_else(bench: Bench<'_>) -> Result<(), String> {
    let mut long = bench.runtime.sleep(bench.long());
    ensure(!is_ready(&mut long).await, "a sleep never ends early")?;
    bench.within("a sleep holds up no other", bench.runtime.sleep(Duration::from_millis(1))).await?;
    let (sender, receiver) = oneshot::channel();
    drop(bench.runtime.spawn(Box::pin(async move {
        let _ = sender.send(());
    })));
    bench.told("a sleep holds up no future", receiver).await
}

pub(super) async fn leaves_nothing_behind_when_dropped(bench: Bench<'_>) -> Result<(), String> {
    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    let nobody = Arc::new(Nobody);
    let waker = Waker::from(Arc::clone(&nobody));
    for _ in 0..1000 {
        let poll = bench.runtime.sleep(bench.long()).as_mut().poll(&mut Context::from_waker(&waker));
        ensure(poll.is_pending(), "a sleep never ends early")?;
    }
    drop(waker);
    bench
        .within("a sleep that is dropped lets go of its waker", async {
            while Arc::strong_count(&nobody) > 1 {
                bench.runtime.sleep(Duration::from_millis(1)).await;
            }
        })
        .await
}

async fn is_ready(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_ready())).await
}
