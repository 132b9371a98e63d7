//! What the runtimes with an executor of their own show beside the contract, by the same tests.

use std::{
    env,
    future::poll_fn,
    panic,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, contract, run};

use super::park::block_on as park_on;

/// A runtime, and how to enter it.
pub(crate) struct Executor<R> {
    pub(crate) runtime: R,
    pub(crate) block_on: fn(BoxFuture<'_, ()>),
    /// Spawns by the executor's own function, and waits.
    pub(crate) on_a_thread_of_its_own: fn(BoxFuture<'static, ()>),
    /// The variable that says how many threads it has.
    pub(crate) threads: &'static str,
}

impl<R: Runtime + Copy> Executor<R> {
    pub(crate) fn keeps_the_contract(&self) {
        let runtime = self.runtime;
        (self.block_on)(Box::pin(async { assert_eq!(contract::check(&runtime).await, Ok(())) }));
        (self.on_a_thread_of_its_own)(Box::pin(async move { assert_eq!(contract::check(&runtime).await, Ok(())) }));
        // Also where the executor's only thread waits.
        (self.on_a_thread_of_its_own)(Box::pin(async move { park_on(runtime.sleep(Duration::from_millis(5))) }));
    }

    pub(crate) fn keeps_the_contract_outside_every_executor(&self) {
        assert_eq!(park_on(contract::check(&self.runtime)), Ok(()));
    }

    pub(crate) fn keeps_the_contract_on_one_thread_and_on_several(&self) {
        for threads in ["1", "4"] {
            let mut again = Command::new(env::current_exe().unwrap());
            let output = again.args(["--exact", "keeps_the_contract"]).env(self.threads, threads).output().unwrap();
            assert!(output.status.success(), "{threads} threads: {}", String::from_utf8_lossy(&output.stdout));
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        }
    }

    pub(crate) fn futures_made_in_one_executor_may_be_polled_in_another(&self) {
        let nowhere = Endpoint::Unix("/nonexistent/socket".into());
        let mut made = None;
        (self.block_on)(Box::pin(async {
            made = Some((self.runtime.sleep(Duration::from_millis(5)), self.runtime.connect(&nowhere)));
        }));
        let (sleep, connect) = made.unwrap();
        park_on(sleep);
        assert!(park_on(connect).is_err());
        // Begun here, ended there.
        let mut sleep = self.runtime.sleep(Duration::from_millis(5));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        (self.on_a_thread_of_its_own)(sleep);
    }

    pub(crate) fn the_longest_sleep_does_not_overflow(&self) {
        (self.block_on)(Box::pin(async {
            let mut longest = self.runtime.sleep(Duration::MAX);
            assert!(poll_fn(|context| Poll::Ready(longest.as_mut().poll(context))).await.is_pending());
            self.runtime.sleep(Duration::from_millis(5)).await;
            assert!(poll_fn(|context| Poll::Ready(longest.as_mut().poll(context))).await.is_pending());
        }));
    }

    pub(crate) fn a_panic_reaches_nobody_who_cancels(&self) {
        (self.block_on)(Box::pin(async {
            // It may be seen before it is over.
            for _ in 0..50 {
                let panics = Arc::new(AtomicUsize::new(0));
                let counted = Arc::clone(&panics);
                let task = self.runtime.spawn(Box::pin(async move {
                    let _counted = Count(counted);
                    panic::resume_unwind(Box::new("on purpose"));
                }));
                while panics.load(Ordering::SeqCst) == 0 {
                    self.runtime.sleep(Duration::from_millis(1)).await;
                }
                task.cancel();
            }
            assert_eq!(run(&self.runtime, async { 7 }).await, Ok(7));
        }));
    }
}

/// Counts when it is dropped.
struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Makes a test of each rule.
macro_rules! executor_tests {
    ($executor:expr) => {
        executor_tests!(
            $executor,
            keeps_the_contract,
            keeps_the_contract_outside_every_executor,
            keeps_the_contract_on_one_thread_and_on_several,
            futures_made_in_one_executor_may_be_polled_in_another,
            the_longest_sleep_does_not_overflow,
            a_panic_reaches_nobody_who_cancels,
        );
    };
    ($executor:expr, $($rule:ident),* $(,)?) => {
        $(#[test]
        fn $rule() {
            $executor.$rule();
        })*
    };
}

pub(crate) use executor_tests;
