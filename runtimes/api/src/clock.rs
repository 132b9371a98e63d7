//! The system's cheaper clock.

use std::time::SystemTime;

/// Returns the wall-clock time as of the system's last tick, for [`Runtime::coarse_now`](crate::Runtime::coarse_now).
///
/// On Linux that is `CLOCK_REALTIME_COARSE`, which asks no hardware and goes on every 1 to 10 ms. Elsewhere it is [`SystemTime::now`].
#[cfg(target_os = "linux")]
pub fn coarse_now() -> SystemTime {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::RealtimeCoarse);
    // A clock before the epoch counts as the epoch.
    let since_epoch = u64::try_from(time.tv_sec).map(|seconds| Duration::new(seconds, time.tv_nsec as u32));
    SystemTime::UNIX_EPOCH + since_epoch.unwrap_or_default()
}

/// Returns the wall-clock time as of the system's last tick, for [`Runtime::coarse_now`](crate::Runtime::coarse_now).
///
/// On Linux that is `CLOCK_REALTIME_COARSE`, which asks no hardware and goes on every 1 to 10 ms. Elsewhere it is [`SystemTime::now`].
#[cfg(not(target_os = "linux"))]
pub fn coarse_now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::{
        thread,
        time::{Duration, SystemTime},
    };

    use super::coarse_now;

    #[test]
    fn it_is_the_wall_clock_and_goes_on() {
        // As the clock may be set meanwhile, some tries.
        for _ in 0..10 {
            let before = SystemTime::now();
            // Longer than any tick.
            thread::sleep(Duration::from_millis(50));
            let (coarse, after) = (coarse_now(), SystemTime::now());
            if before < coarse && coarse <= after {
                return;
            }
        }
        panic!("it is not between two looks at the other clock");
    }
}
