//! The time that a process was on a processor.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// Returns how long a process has been on a processor: all of its threads that are there.
///
/// # Errors
///
/// Where the process is gone, or this is not Linux.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let mut sum = 0;
    let threads = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))?;
    for thread in threads {
        // A thread may end in between.
        let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        sum += schedstat.split(' ').next().context("schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}
