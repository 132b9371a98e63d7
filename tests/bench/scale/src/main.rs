//! What sessions cost by how many there are: bytes, time for each operation, a sweep, the end of all of a user's.
//!
//! ```sh
//! bench-scale census STORE SESSIONS..   # memory, redb, redis, redis-durable; sizes that grow, such as 1000 1000000
//! bench-scale ends STORE SESSIONS..     # how long it takes to end all sessions of a user who has so many
//! bench-scale instructions SESSIONS     # of operations in memory, under callgrind
//! ```

mod census;
mod ends;
mod filling;
mod instructions;
mod place;

use std::env;

use anyhow::{Context as _, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let sizes = |texts: &[&str]| -> anyhow::Result<Vec<u64>> {
        texts.iter().map(|text| text.parse().with_context(|| format!("a number of sessions, not {text:?}"))).collect()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments[..] {
        ["census", store, ref rest @ ..] => runtime.block_on(census::census(store, &sizes(rest)?)),
        ["ends", store, ref rest @ ..] => runtime.block_on(ends::ends(store, &sizes(rest)?)),
        ["instructions", sessions] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(instructions::instructions(sizes(&[sessions])?[0]))
        }
        _ => bail!("census STORE SESSIONS.. | ends STORE SESSIONS.. | instructions SESSIONS"),
    }
}
