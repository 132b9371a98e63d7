//! What is to be written to a server, and who waits for the answers.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use futures_channel::oneshot;
use redis::Value as Answer;

use crate::{
    failure::Failure,
    resp::{Ask, Commands},
};

/// From how many bytes on the queue is searched for what nobody waits for any more.
const SEARCHED: usize = 1024 * 1024;

pub(crate) type Answers = Result<Vec<Answer>, Failure>;

/// What is to be written to a server, and who waits for the answers.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Queued>);

#[derive(Default)]
struct Queued {
    commands: Commands,
    waiters: Vec<Waiter>,
    /// The bytes from which on it is searched again: twice those that were left the last time.
    searched_at: usize,
    /// The driver, where it waits for more.
    driver: Option<Waker>,
    is_closed: bool,
}

/// Who waits for answers.
pub(crate) struct Waiter {
    /// How many commands there are, and how many bytes they take in the queue.
    pub(crate) count: usize,
    len: usize,
    pub(crate) answers: Vec<Answer>,
    pub(crate) sender: oneshot::Sender<Answers>,
}

impl Queue {
    /// Has commands written; returns what brings their answers. `None` where nobody writes any more.
    pub(crate) fn push(&self, ask: &Ask<'_>) -> Option<oneshot::Receiver<Answers>> {
        let (sender, receiver) = oneshot::channel();
        let mut forgotten = Vec::new();
        let mut queued = self.lock();
        if queued.is_closed {
            return None;
        }
        let (count, len) = (queued.commands.count(), queued.commands.len());
        ask(&mut queued.commands);
        let (count, len) = (queued.commands.count() - count, queued.commands.len() - len);
        queued.waiters.push(Waiter { count, len, answers: Vec::with_capacity(count), sender });
        if queued.commands.len() > queued.searched_at.max(SEARCHED) {
            forgotten = queued.forget();
            queued.searched_at = 2 * queued.commands.len();
        }
        let driver = queued.driver.take();
        drop(queued);
        drop(forgotten);
        if let Some(driver) = driver {
            driver.wake();
        }
        Some(receiver)
    }

    /// Moves what is queued behind what the driver has; leaves its waker where that is nothing. Tells whether it was.
    pub(crate) fn take(&self, bytes: &mut Vec<u8>, waiters: &mut VecDeque<Waiter>, context: &Context<'_>) -> bool {
        let mut queued = self.lock();
        if queued.waiters.is_empty() {
            match &mut queued.driver {
                Some(driver) => driver.clone_from(context.waker()),
                driver => *driver = Some(context.waker().clone()),
            }
            return false;
        }
        let forgotten = queued.forget();
        queued.searched_at = 0;
        queued.commands.move_to(bytes);
        waiters.extend(queued.waiters.drain(..));
        drop(queued);
        drop(forgotten);
        true
    }

    pub(crate) fn has_some(&self) -> bool {
        !self.lock().waiters.is_empty()
    }

    /// Takes nothing any more; returns who waits for what was not written.
    pub(crate) fn close(&self) -> Vec<Waiter> {
        let mut queued = self.lock();
        queued.is_closed = true;
        queued.driver = None;
        mem::take(&mut queued.waiters)
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queued {
    /// Leaves out what nobody waits for any more: nothing of it was sent. What is returned is dropped when nothing is locked.
    fn forget(&mut self) -> Vec<Waiter> {
        if self.waiters.iter().all(|waiter| !waiter.sender.is_canceled()) {
            return Vec::new();
        }
        let lens = self.waiters.iter().map(|waiter| (waiter.len, !waiter.sender.is_canceled()));
        let kept: Vec<(usize, bool)> = lens.collect();
        self.commands.keep(&kept);
        let mut kept = kept.into_iter();
        self.waiters.extract_if(.., |_| !kept.next().is_some_and(|(_, is_kept)| is_kept)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_grow_with_what_nobody_waits_for() {
        let queue = Queue::default();
        let value = "x".repeat(SEARCHED / 16);
        let commands = Commands::of(&[&value]);
        let mut kept: Vec<_> = (0..10).map(|_| queue.push(&commands.ask()).unwrap()).collect();
        for _ in 0..1_000 {
            drop(queue.push(&commands.ask()).unwrap());
        }
        let queued = queue.lock().commands.len();
        assert!((10 * value.len()..3 * SEARCHED).contains(&queued), "{queued}");
        let (mut bytes, mut waiters) = (Vec::new(), VecDeque::new());
        assert!(queue.take(&mut bytes, &mut waiters, &Context::from_waker(Waker::noop())));
        assert!(bytes == format!("*1\r\n${}\r\n{value}\r\n", value.len()).repeat(10).as_bytes());
        for waiter in waiters {
            waiter.sender.send(Ok(vec![Answer::Int(1)])).unwrap();
        }
        for receiver in &mut kept {
            assert_eq!(receiver.try_recv().unwrap().unwrap().unwrap(), [Answer::Int(1)]);
        }
    }
}
