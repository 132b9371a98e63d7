//! The contract of `cloakroom_runtime::Runtime`, and what is smol's own.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    env,
    future::{Future, poll_fn},
    io::Read,
    net::TcpListener,
    panic,
    pin::{Pin, pin},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use cloakroom_runtime::{Endpoint, Runtime, contract, run};
use cloakroom_smol::Smol;
use smol::io::AsyncWrite;

#[test]
fn smol_keeps_the_contract() {
    assert_eq!(smol::block_on(contract::check(&Smol)), Ok(()));
    // From one of its own threads.
    assert_eq!(smol::block_on(smol::spawn(async { contract::check(&Smol).await })), Ok(()));
}

#[test]
fn smol_keeps_the_contract_outside_every_executor() {
    assert_eq!(park_on(contract::check(&Smol)), Ok(()));
}

#[test]
fn smol_keeps_the_contract_on_one_thread_and_on_several() {
    for threads in ["1", "4"] {
        let mut again = Command::new(env::current_exe().unwrap());
        again.args(["--exact", "smol_keeps_the_contract"]).env("SMOL_THREADS", threads);
        let output = again.output().unwrap();
        assert!(output.status.success(), "{threads} threads: {}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}

#[test]
fn futures_made_in_one_executor_may_be_polled_in_another() {
    let (sleep, connect) = smol::block_on(async {
        (Smol.sleep(Duration::from_millis(5)), Smol.connect(&Endpoint::Unix("/nonexistent/socket".into())))
    });
    park_on(sleep);
    assert!(park_on(connect).is_err());
    // Begun here, ended there.
    let mut sleep = Smol.sleep(Duration::from_millis(5));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    smol::block_on(smol::spawn(sleep));
}

#[test]
fn the_longest_sleep_does_not_overflow() {
    smol::block_on(async {
        let mut longest = Smol.sleep(Duration::MAX);
        assert!(poll_fn(|context| Poll::Ready(longest.as_mut().poll(context))).await.is_pending());
        Smol.sleep(Duration::from_millis(5)).await;
        assert!(poll_fn(|context| Poll::Ready(longest.as_mut().poll(context))).await.is_pending());
    });
}

#[test]
fn a_panic_reaches_nobody_who_cancels() {
    smol::block_on(async {
        // It may be seen before it is over.
        for _ in 0..50 {
            let panics = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&panics);
            let task = Smol.spawn(Box::pin(async move {
                let _counted = Count(counted);
                panic::resume_unwind(Box::new("on purpose"));
            }));
            while panics.load(Ordering::SeqCst) == 0 {
                Smol.sleep(Duration::from_millis(1)).await;
            }
            task.cancel();
        }
        assert_eq!(run(&Smol, async { 7 }).await, Ok(7));
    });
}

#[test]
fn closing_tells_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    smol::block_on(async {
        let mut stream = Smol.connect(&Endpoint::Tcp(address)).await.unwrap();
        poll_fn(|context| Pin::new(&mut stream).poll_close(context)).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(contract::PATIENCE)).unwrap();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        drop(stream);
    });
}

#[test]
fn debug_shows_its_name() {
    assert_eq!(format!("{Smol:?}"), "Smol");
}

/// Counts when it is dropped.
struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a future on this thread, which is in no executor.
fn park_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}
