//! What the tests of the simulation share.

#![allow(dead_code, clippy::unwrap_used, reason = "every test file uses a part of it")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use cloakroom_runtime::Runtime;
use cloakroom_sim::SimRuntime;

/// Lets others go first, as the seed decides.
pub(crate) async fn give_way(runtime: &SimRuntime) {
    runtime.sleep(Duration::ZERO).await;
}

/// The words of a panic that must come.
pub(crate) fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else { return "no panic".to_owned() };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| String::new(), |text| (*text).to_owned()),
    }
}
