//! Two handles of one store.

use super::{
    Held,
    bench::{Bench, LONG},
    crowd::{increments_count, one_create_wins},
    handle::Lease,
};

pub(super) async fn see_each_others_writes_at_once(bench: Bench) -> Held {
    const RULE: &str = "a handle sees at once what another wrote";
    let handles = [bench.store(), bench.other_store()];
    for turn in 0..20 {
        let (here, there) = (&handles[turn % 2], &handles[(turn + 1) % 2]);
        let (key, first, second) = (bench.key(), bench.value(), bench.value());
        there.is_absent(&key, RULE).await?;
        let stale = here.put(&key, &first).await?;
        let found = there.holds(&key, &first, RULE).await?;
        let lease = Lease::start(LONG);
        let replaced = there.replaced(&key, &found.version, &second, LONG).await?;
        here.holds(&key, &second, RULE).await?;
        here.refuses(&key, &stale, &second, lease, RULE).await?;
        let touched = here.touched(&key, &replaced, &second, LONG * 2).await?;
        there.removed(&key, &touched).await?;
        here.is_absent(&key, RULE).await?;
    }
    Ok(())
}

pub(super) async fn see_each_others_members_at_once(bench: Bench) -> Held {
    const RULE: &str = "a handle lists at once whom another enrolled";
    let handles = [bench.store(), bench.other_store()];
    let index = bench.key();
    for turn in 0..20 {
        let (here, there) = (&handles[turn % 2], &handles[(turn + 1) % 2]);
        let (first, second) = (bench.key(), bench.key());
        here.enroll(&index, &first, LONG).await?;
        there.lists(&index, &[&first], RULE).await?;
        there.enroll(&index, &second, LONG).await?;
        there.unenroll(&index, &first).await?;
        here.lists(&index, &[&second], RULE).await?;
        here.unenroll(&index, &second).await?;
        there.lists(&index, &[], RULE).await?;
    }
    Ok(())
}

pub(super) async fn create_one_value_together(bench: Bench) -> Held {
    const RULE: &str = "exactly one of many creates over two handles wins, and it is its value that is there";
    for _ in 0..10 {
        one_create_wins(&bench, &[bench.store(), bench.other_store()], RULE).await?;
    }
    Ok(())
}

pub(super) async fn lose_no_increment(bench: Bench) -> Held {
    increments_count(&bench, &[bench.store(), bench.other_store()]).await
}
