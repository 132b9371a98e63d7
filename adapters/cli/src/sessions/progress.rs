//! How far long work is, for those who look at a terminal.

use std::{
    io::{self, IsTerminal as _, Write},
    pin::pin,
    time::{Duration, Instant},
};

use cloakroom_runtime::Runtime;
use futures_util::future::{Either, select};

/// The shortest time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// A line on standard error that is rewritten, and removed at the end. Work that is done at once shows none.
pub(super) struct Progress<W: Write = io::Stderr> {
    /// Where it goes, if anybody looks.
    out: Option<W>,
    last: Instant,
    is_shown: bool,
}

impl Progress {
    /// Shows it on a terminal, unless programs are to read what the command says.
    pub(super) fn new(json: bool) -> Self {
        let err = io::stderr();
        Self::to((!json && err.is_terminal()).then_some(err), Instant::now())
    }

    /// Says how far it is, not more often than anybody can read.
    pub(super) fn show(&mut self, words: impl FnOnce() -> String) {
        if self.out.is_some() {
            self.show_at(Instant::now(), words);
        }
    }
}

impl<W: Write> Progress<W> {
    fn to(out: Option<W>, now: Instant) -> Self {
        Self { out, last: now, is_shown: false }
    }

    /// Does what says nothing by itself, and says how far it is.
    pub(super) async fn during<T>(
        &mut self,
        runtime: &dyn Runtime,
        work: impl Future<Output = T>,
        words: impl Fn() -> String,
    ) -> T {
        let mut work = pin!(work);
        loop {
            match select(work.as_mut(), runtime.sleep(INTERVAL)).await {
                Either::Left((done, _)) => return done,
                Either::Right(_) => self.show_at(Instant::now(), &words),
            }
        }
    }

    fn show_at(&mut self, now: Instant, words: impl FnOnce() -> String) {
        let Some(out) = &mut self.out else { return };
        if now.saturating_duration_since(self.last) < INTERVAL {
            return;
        }
        // A terminal that is gone stops no work.
        let _ = write!(out, "\r{}\x1b[K", words()).and_then(|()| out.flush());
        (self.last, self.is_shown) = (now, true);
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if let Some(out) = &mut self.out
            && self.is_shown
        {
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::mpsc::channel,
        task::Poll,
        time::{Duration, Instant},
    };

    use cloakroom_tokio::Tokio;
    use tokio::runtime::Builder;

    use super::{INTERVAL, Progress};

    const MILLI: Duration = Duration::from_millis(1);

    /// What a terminal gets by the end, where the line is shown at these times.
    fn shown(times: &[Duration]) -> String {
        let (start, mut out) = (Instant::now(), Vec::new());
        let mut progress = Progress::to(Some(&mut out), start);
        for (number, time) in times.iter().enumerate() {
            progress.show_at(start + *time, || number.to_string());
        }
        drop(progress);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_line_is_rewritten_at_intervals_and_removed_at_the_end() {
        let times = [INTERVAL - MILLI, INTERVAL, INTERVAL + MILLI, 2 * INTERVAL - MILLI, 2 * INTERVAL];
        assert_eq!(shown(&times), "\r1\x1b[K\r4\x1b[K\r\x1b[K");
    }

    #[test]
    fn what_is_done_at_once_shows_nothing() {
        assert_eq!(shown(&[Duration::ZERO, INTERVAL - MILLI]), "");
    }

    #[test]
    fn what_says_nothing_by_itself_is_asked_until_it_is_done() {
        let (mut out, (shown, seen)) = (Vec::new(), channel());
        let mut progress = Progress::to(Some(&mut out), Instant::now());
        // It is done once the line was shown twice.
        let mut rest = 2;
        let work = poll_fn(|_| {
            rest -= seen.try_iter().count();
            if rest == 0 { Poll::Ready("done") } else { Poll::Pending }
        });
        let words = || {
            shown.send(()).unwrap();
            "so far".to_owned()
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(progress.during(&Tokio, work, words)), "done");
        drop(progress);
        assert_eq!(String::from_utf8(out).unwrap(), "\rso far\x1b[K\rso far\x1b[K\r\x1b[K");
    }
}
