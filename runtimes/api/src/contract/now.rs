//! [`Runtime::now`].

use std::time::{Duration, Instant, SystemTime};

use super::{Bench, ensure};
use crate::Runtime;

pub(super) async fn goes_on_with_the_wall_clock(bench: Bench<'_>) -> Result<(), String> {
    follows_the_wall_clock(bench, "now", |runtime| runtime.now()).await
}

pub(super) async fn follows_the_wall_clock(
    bench: Bench<'_>,
    method: &str,
    now: fn(&dyn Runtime) -> SystemTime,
) -> Result<(), String> {
    // The clock may be set meanwhile, and the machine may stand still, so the two need not agree any better.
    let (earlier, later) = (SystemTime::now() - bench.long(), SystemTime::now() + bench.long());
    let (first, begin) = (now(bench.runtime), Instant::now());
    ensure(first > earlier && first < later, &format!("`{method}` tells the wall-clock time"))?;
    bench
        .within(&format!("`{method}` goes on"), async {
            while now(bench.runtime) == first {
                bench.runtime.sleep(Duration::from_millis(1)).await;
            }
        })
        .await?;
    let is_as_fast = now(bench.runtime) < first + begin.elapsed() + bench.long();
    ensure(is_as_fast, &format!("`{method}` goes as fast as time"))
}
