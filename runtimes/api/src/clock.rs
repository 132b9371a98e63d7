//! The system's cheaper clock.

use std::time::SystemTime;

/// Returns the wall-clock time as of the system's last tick, for [`Runtime::coarse_now`](crate::Runtime::coarse_now).
///
/// On Linux that is `CLOCK_REALTIME_COARSE`, which asks no hardware and goes on every 1 to 10 ms. Elsewhere it is
/// [`SystemTime::now`].
pub fn coarse_now() -> SystemTime {
    ticked()
}

#[cfg(not(target_os = "linux"))]
fn ticked() -> SystemTime {
    SystemTime::now()
}

#[cfg(target_os = "linux")]
fn ticked() -> SystemTime {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::RealtimeCoarse);
    // A clock before the epoch counts as the epoch.
    let since_epoch = u64::try_from(time.tv_sec).map(|seconds| Duration::new(seconds, time.tv_nsec as u32));
    SystemTime::UNIX_EPOCH + since_epoch.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::coarse_now;

    #[test]
    fn it_is_behind_by_a_tick_at_most() {
        // Whoever asks may be held up between the two.
        let is_near = (0..1_000).any(|_| {
            let coarse = coarse_now();
            SystemTime::now().duration_since(coarse).is_ok_and(|behind| behind < Duration::from_millis(20))
        });
        assert!(is_near);
    }
}
