//! [`Runtime::now`](crate::Runtime::now).

use std::time::{Duration, Instant, SystemTime};

use super::{Bench, ensure};

pub(super) async fn goes_on_with_the_wall_clock(bench: Bench<'_>) -> Result<(), String> {
    // The clock may be set meanwhile, and the machine may stand still, so the two need not agree any better.
    let (earlier, later) = (SystemTime::now() - bench.long(), SystemTime::now() + bench.long());
    let (first, begin) = (bench.runtime.now(), Instant::now());
    ensure(first > earlier && first < later, "`now` tells the wall-clock time")?;
    bench
        .within("`now` goes on", async {
            while bench.runtime.now() == first {
                bench.runtime.sleep(Duration::from_millis(1)).await;
            }
        })
        .await?;
    ensure(bench.runtime.now() < first + begin.elapsed() + bench.long(), "`now` goes as fast as time")
}
