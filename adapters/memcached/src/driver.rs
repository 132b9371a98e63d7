//! Writes questions and reads answers, over one stream, in order.

use std::{
    collections::VecDeque,
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use cloakroom_runtime::{Pulse, Runtime, Stream};
use cloakroom_store::Fault;
use futures_channel::{mpsc, oneshot};
use futures_io::{AsyncRead as _, AsyncWrite as _};
use futures_util::StreamExt as _;

use crate::{
    failure::Failure,
    wire::{Answer, Decoder},
};

/// How much is read at a time, and about how much waits to be written.
const CHUNK: usize = 16 * 1024;
/// After how many steps without a pause others have their turn.
const TURN: usize = 32;
/// More answers than these are no answer to anything.
const MAX_ANSWERS: usize = 1000;

/// Questions in one write, and who waits for the answers.
pub(crate) struct Order {
    pub(crate) bytes: Vec<u8>,
    pub(crate) waiter: Waiter,
}

/// Who waits for answers, and for which.
pub(crate) struct Waiter {
    /// Those that are still owed, the next one last.
    pub(crate) owed: Vec<Owed>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) sender: oneshot::Sender<Result<Vec<Answer>, Failure>>,
}

/// An answer that is owed.
#[derive(Clone, Copy)]
pub(crate) struct Owed {
    /// The number of the question, which the answer repeats where it repeats anything.
    pub(crate) opaque: u32,
    pub(crate) are_many: bool,
}

/// Drives a connection until it ends. Nobody's answer is ever handed to another: whatever is out of step ends it.
pub(crate) struct Driver {
    stream: Box<dyn Stream>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// What is to be written, and how much of it is.
    out: Vec<u8>,
    written: usize,
    is_flushed: bool,
    waiters: VecDeque<Waiter>,
    decoder: Decoder,
    chunk: Box<[u8]>,
    pulse: Arc<Pulse>,
    runtime: Arc<dyn Runtime>,
}

impl Driver {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        orders: mpsc::UnboundedReceiver<Order>,
        max_value: usize,
        pulse: Arc<Pulse>,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        Self {
            stream,
            orders,
            out: Vec::new(),
            written: 0,
            is_flushed: true,
            waiters: VecDeque::new(),
            decoder: Decoder::new(max_value),
            chunk: vec![0; CHUNK].into(),
            pulse,
            runtime,
        }
    }

    fn step(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        for _ in 0..TURN {
            let has_written = match self.write(context) {
                Ok(has_written) => has_written,
                Err(failure) => return Poll::Ready(failure),
            };
            let has_read = match self.read(context) {
                Ok(has_read) => has_read,
                Err(failure) => return Poll::Ready(failure),
            };
            if !has_written && !has_read {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes orders and writes them; tells whether anything was written.
    fn write(&mut self, context: &mut Context<'_>) -> Result<bool, Failure> {
        while self.out.len() - self.written < CHUNK {
            match self.orders.poll_next_unpin(context) {
                // Nobody wants it any more, and nothing of it was sent.
                Poll::Ready(Some(order)) if order.waiter.sender.is_canceled() => {}
                Poll::Ready(Some(order)) => {
                    self.out.extend_from_slice(&order.bytes);
                    self.waiters.push_back(order.waiter);
                }
                Poll::Ready(None) => return Err(Failure::broken("the connection was closed")),
                Poll::Pending => break,
            }
        }
        let mut has_written = false;
        while self.written < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(lost(&io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => {
                    self.written += len;
                    has_written = true;
                    self.is_flushed = false;
                    self.pulse.asked(&*self.runtime);
                }
                Poll::Ready(Err(error)) => return Err(lost(&error)),
                Poll::Pending => {
                    // A backlog may last, and what it left behind would pile up.
                    if self.written > CHUNK.max(self.out.len() / 2) {
                        self.out.drain(..mem::take(&mut self.written));
                    }
                    break;
                }
            }
        }
        if self.written == self.out.len() {
            self.written = 0;
            self.out.clear();
            self.out.shrink_to(4 * CHUNK);
        }
        if !self.is_flushed && self.out.is_empty() {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(error)) => return Err(lost(&error)),
                Poll::Pending => {}
            }
        }
        Ok(has_written)
    }

    /// Reads answers and hands them over; tells whether anything was read.
    fn read(&mut self, context: &mut Context<'_>) -> Result<bool, Failure> {
        match Pin::new(&mut self.stream).poll_read(context, &mut self.chunk) {
            Poll::Ready(Ok(0)) => Err(Failure::broken("the server closed the connection")),
            Poll::Ready(Ok(len)) => {
                self.pulse.heard(&*self.runtime);
                self.decoder.push(&self.chunk[..len]);
                while let Some(answer) = self.decoder.next_answer().map_err(Failure::garbled)? {
                    self.hand_over(answer)?;
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(lost(&error)),
            Poll::Pending => Ok(false),
        }
    }

    fn hand_over(&mut self, answer: Answer) -> Result<(), Failure> {
        let waiter = self.waiters.front_mut().ok_or_else(Failure::unexpected)?;
        let owed = waiter.owed.last().copied().ok_or_else(Failure::unexpected)?;
        if answer.flags().and_then(|flags| flags.opaque).is_some_and(|opaque| opaque != owed.opaque) {
            return Err(Failure::unexpected());
        }
        let is_one_of_many = matches!(answer, Answer::Stat(..));
        if is_one_of_many && (!owed.are_many || waiter.answers.len() >= MAX_ANSWERS) {
            return Err(Failure::unexpected());
        }
        waiter.answers.push(answer);
        if !is_one_of_many {
            waiter.owed.pop();
        }
        if waiter.owed.is_empty()
            && let Some(waiter) = self.waiters.pop_front()
        {
            // Who gave up does not hear it, and nobody else does.
            let _ = waiter.sender.send(Ok(waiter.answers));
        }
        Ok(())
    }

    fn end(&mut self, failure: &Failure) {
        self.pulse.close();
        for waiter in self.waiters.drain(..) {
            let _ = waiter.sender.send(Err(Failure { is_broken: true, ..failure.clone() }));
        }
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            let unsent = Failure { is_broken: true, is_sent: false, ..failure.clone() };
            let _ = order.waiter.sender.send(Err(unsent));
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.step(context).map(|failure| self.end(&failure))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.pulse.close();
    }
}

/// The words of the operating system, which knows nothing of what is sent.
fn lost(error: &io::Error) -> Failure {
    let fault = if error.kind() == io::ErrorKind::TimedOut { Fault::TimedOut } else { Fault::Unavailable };
    Failure { fault, ..Failure::broken(&error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, MutexGuard},
        task::Waker,
    };

    use cloakroom_smol::Smol;
    use futures_io::{AsyncRead, AsyncWrite};

    use super::*;

    /// The server's end: it says nothing, and takes what it has room for.
    #[derive(Default)]
    struct Wire {
        taken: Vec<u8>,
        room: usize,
    }

    #[derive(Clone, Default)]
    struct End(Arc<Mutex<Wire>>);

    impl End {
        fn wire(&self) -> MutexGuard<'_, Wire> {
            self.0.lock().unwrap()
        }
    }

    impl AsyncRead for End {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for End {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let mut wire = self.wire();
            let len = wire.room.min(bytes.len());
            if len == 0 {
                return Poll::Pending;
            }
            wire.taken.extend_from_slice(&bytes[..len]);
            wire.room -= len;
            Poll::Ready(Ok(len))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_was_written_does_not_pile_up_while_a_backlog_lasts() {
        const LONGEST: usize = 30_000;
        let (end, (orders, queue)) = (End::default(), mpsc::unbounded());
        let mut driver = Driver::new(Box::new(end.clone()), queue, 1, Arc::default(), Arc::new(Smol));
        let (mut expected, mut waiting) = (Vec::new(), Vec::new());
        for (number, len) in (0..100).zip([1_000, LONGEST].into_iter().cycle()) {
            let bytes = vec![number; len];
            expected.extend_from_slice(&bytes);
            let (sender, receiver) = oneshot::channel();
            let waiter = Waiter { owed: Vec::new(), answers: Vec::new(), sender };
            orders.unbounded_send(Order { bytes, waiter }).unwrap();
            waiting.push(receiver);
        }
        while end.wire().taken.len() < expected.len() {
            end.wire().room = 900;
            assert!(Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let (len, unwritten) = (driver.out.len(), driver.out.len() - driver.written);
            assert!(len <= 2 * (CHUNK + LONGEST), "{len} are kept for {unwritten}");
        }
        assert!(end.wire().taken == expected, "nothing is lost, and nothing is written twice");
        assert!(driver.out.is_empty());
    }
}
