//! The contract of `cloakroom_runtime::Runtime`, and what else holds on async-std.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../api/tests/common/executor.rs"]
mod executor;
#[path = "../../api/tests/common/park.rs"]
mod park;

use cloakroom_async_std::AsyncStd;

use self::executor::{Executor, executor_tests};

const EXECUTOR: Executor<AsyncStd> = Executor {
    runtime: AsyncStd,
    block_on: |future| async_std::task::block_on(future),
    on_a_thread_of_its_own: |future| async_std::task::block_on(async_std::task::spawn(future)),
    threads: "ASYNC_STD_THREAD_COUNT",
};

executor_tests!(EXECUTOR);

#[test]
fn debug_shows_its_name() {
    assert_eq!(format!("{AsyncStd:?}"), "AsyncStd");
}
