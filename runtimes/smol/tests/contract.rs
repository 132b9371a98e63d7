//! The contract of `cloakroom_runtime::Runtime`, and what else holds on smol.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../api/tests/common/executor.rs"]
mod executor;
#[path = "../../api/tests/common/park.rs"]
mod park;

use cloakroom_smol::Smol;

use self::executor::{Executor, executor_tests};

const EXECUTOR: Executor<Smol> = Executor {
    runtime: Smol,
    block_on: |future| smol::block_on(future),
    on_a_thread_of_its_own: |future| smol::block_on(smol::spawn(future)),
    threads: "SMOL_THREADS",
};

executor_tests!(EXECUTOR);

#[test]
fn debug_shows_its_name() {
    assert_eq!(format!("{Smol:?}"), "Smol");
}
