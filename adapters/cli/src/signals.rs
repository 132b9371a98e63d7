//! The signals that stop what takes long.

use std::{io, thread};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt as _;

/// SIGTERM and SIGINT, and Ctrl-C on Windows: caught on a thread of their own, whatever the runtime.
pub(crate) struct Signals(UnboundedReceiver<()>);

impl Signals {
    /// Catches them from here on.
    pub(crate) fn catch() -> io::Result<Self> {
        let (sender, receiver) = unbounded();
        let watch = watch(sender)?;
        thread::Builder::new().name("signals".to_owned()).spawn(watch)?;
        Ok(Self(receiver))
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        self.0.next().await;
    }
}

#[cfg(unix)]
fn watch(sender: UnboundedSender<()>) -> io::Result<impl FnOnce() + Send> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        iterator,
    };
    let mut caught = iterator::Signals::new([SIGINT, SIGTERM])?;
    Ok(move || {
        for _ in caught.forever() {
            if sender.unbounded_send(()).is_err() {
                return;
            }
        }
    })
}

#[cfg(not(unix))]
fn watch(sender: UnboundedSender<()>) -> io::Result<impl FnOnce() + Send> {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use signal_hook::{consts::SIGINT, flag};
    // There is nothing to wait on.
    const INTERVAL: Duration = Duration::from_millis(50);
    let caught = Arc::new(AtomicBool::new(false));
    flag::register(SIGINT, Arc::clone(&caught))?;
    Ok(move || {
        loop {
            thread::sleep(INTERVAL);
            if caught.swap(false, Ordering::Relaxed) && sender.unbounded_send(()).is_err() {
                return;
            }
        }
    })
}
