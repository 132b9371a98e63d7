//! [`Runtime::coarse_now`](crate::Runtime::coarse_now).

use super::{Bench, now::follows_the_wall_clock};

pub(super) async fn goes_on_with_the_wall_clock(bench: Bench<'_>) -> Result<(), String> {
    follows_the_wall_clock(bench, "coarse_now", |runtime| runtime.coarse_now()).await
}
