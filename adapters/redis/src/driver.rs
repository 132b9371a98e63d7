//! Writes commands and reads answers, over one stream, in order.

use std::{
    collections::VecDeque,
    future::Future,
    io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use cloakroom_runtime::{Pulse, Runtime};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::task::AtomicWaker;
use redis::Value as Answer;

use crate::{
    failure::Failure,
    queue::{Queue, Waiter},
    resp::Decoder,
};

/// After how many steps without a pause others have their turn.
const TURN: usize = 32;
/// How much room for what is to be written is kept, in bytes; with as much unwritten, nothing more is taken.
const KEPT: usize = 64 * 1024;

/// Drives a connection until it ends. Nobody's answer is ever handed to another: whatever is out of step ends it.
pub(crate) struct Driver<S> {
    stream: S,
    queue: Arc<Queue>,
    /// What is to be written, and how much of it is.
    out: Vec<u8>,
    written: usize,
    is_flushed: bool,
    waiters: VecDeque<Waiter>,
    decoder: Decoder,
    /// It let others go first, so that what they ask goes along.
    has_waited: bool,
    incoming: Arc<Incoming>,
    /// Tells `incoming`.
    reader: Waker,
    pulse: Arc<Pulse>,
    runtime: Arc<dyn Runtime>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(crate) fn new(stream: S, queue: Arc<Queue>, pulse: Arc<Pulse>, runtime: Arc<dyn Runtime>) -> Self {
        let incoming = Arc::<Incoming>::default();
        Self {
            stream,
            queue,
            out: Vec::new(),
            written: 0,
            is_flushed: true,
            waiters: VecDeque::new(),
            decoder: Decoder::default(),
            has_waited: false,
            reader: Arc::clone(&incoming).into(),
            incoming,
            pulse,
            runtime,
        }
    }

    fn step(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        self.incoming.driver.register(context.waker());
        // Whoever is about to ask as well does so before the write: one for many costs both sides much less.
        self.has_waited = !self.has_waited && !self.waiters.is_empty() && self.queue.has_some();
        if self.has_waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        for _ in 0..TURN {
            // What the server takes more slowly than it is asked waits where it can be forgotten.
            let is_full = self.is_full();
            let has_more = !is_full && self.queue.take(&mut self.out, &mut self.waiters, context);
            let has_read = match self.write(context).and_then(|()| self.read()) {
                Ok(has_read) => has_read,
                Err(failure) => return Poll::Ready(failure),
            };
            if !has_more && !has_read && is_full == self.is_full() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_full(&self) -> bool {
        self.out.len() - self.written >= KEPT
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        while self.written < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(Failure::lost(&io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => {
                    self.written += len;
                    self.is_flushed = false;
                    self.pulse.asked(&*self.runtime);
                }
                Poll::Ready(Err(error)) => return Err(Failure::lost(&error)),
                Poll::Pending => {
                    if self.written > KEPT.max(self.out.len() / 2) {
                        self.out.drain(..mem::take(&mut self.written));
                    }
                    return Ok(());
                }
            }
        }
        self.written = 0;
        self.out.clear();
        self.out.shrink_to(KEPT);
        if !self.is_flushed {
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(error)) => return Err(Failure::lost(&error)),
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    /// Reads answers and hands them over; tells whether anything was read.
    fn read(&mut self) -> Result<bool, Failure> {
        if !self.incoming.is_likely.swap(false, Ordering::Acquire) {
            return Ok(false);
        }
        let mut context = Context::from_waker(&self.reader);
        match Pin::new(&mut self.stream).poll_read(&mut context, self.decoder.room()) {
            Poll::Ready(Ok(0)) => Err(Failure::lost(&io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Ok(len)) => {
                self.incoming.is_likely.store(true, Ordering::Relaxed);
                self.pulse.heard(&*self.runtime);
                self.decoder.filled(len);
                while let Some(answer) = self.decoder.next_answer().map_err(|_| Failure::garbled())? {
                    self.hand_over(answer)?;
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(Failure::lost(&error)),
            Poll::Pending => Ok(false),
        }
    }

    fn hand_over(&mut self, answer: Answer) -> Result<(), Failure> {
        let waiter = self.waiters.front_mut().ok_or_else(Failure::garbled)?;
        waiter.answers.push(answer);
        if waiter.answers.len() == waiter.count
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
            let _ = waiter.sender.send(Err(failure.clone()));
        }
        for waiter in self.queue.close() {
            let _ = waiter.sender.send(Err(failure.clone().before_it_was_sent()));
        }
    }
}

/// Whether it is worth while to read: a stream that tries before it waits costs a system call each time in vain, and most
/// polls are for what is to be written.
struct Incoming {
    is_likely: AtomicBool,
    driver: AtomicWaker,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { is_likely: AtomicBool::new(true), driver: AtomicWaker::new() }
    }
}

impl Wake for Incoming {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_likely.store(true, Ordering::Release);
        self.driver.wake();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.step(context).map(|failure| self.end(&failure))
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.pulse.close();
        // Whoever waits for an answer hears that the connection was closed.
        for waiter in self.queue.close() {
            let _ = waiter.sender.send(Err(Failure::closed().before_it_was_sent()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard};

    use cloakroom_smol::Smol;
    use futures_channel::oneshot;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{queue::Answers, resp::Commands};

    /// The server's end: what is still to be read, and what was written, write by write.
    #[derive(Default)]
    struct Wire {
        unread: VecDeque<u8>,
        writes: Vec<Vec<u8>>,
        /// How many bytes it takes before somebody must wait.
        room: Option<usize>,
        flushes: usize,
        reads: usize,
        is_at_end: bool,
        reader: Option<Waker>,
    }

    #[derive(Clone, Default)]
    struct End(Arc<Mutex<Wire>>);

    impl End {
        fn wire(&self) -> MutexGuard<'_, Wire> {
            self.0.lock().unwrap()
        }

        fn says(&self, bytes: &[u8]) {
            let reader = {
                let mut wire = self.wire();
                wire.unread.extend(bytes);
                wire.reader.take()
            };
            reader.into_iter().for_each(Waker::wake);
        }

        fn ends(&self) {
            self.wire().is_at_end = true;
            self.says(b"");
        }
    }

    impl AsyncRead for End {
        fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            let mut wire = self.wire();
            wire.reads += 1;
            if wire.unread.is_empty() && !wire.is_at_end {
                wire.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            let len = buffer.len().min(wire.unread.len());
            buffer.iter_mut().zip(wire.unread.drain(..len)).for_each(|(to, from)| *to = from);
            Poll::Ready(Ok(len))
        }
    }

    impl AsyncWrite for End {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let mut wire = self.wire();
            let len = wire.room.unwrap_or(bytes.len()).min(bytes.len());
            if len == 0 {
                return Poll::Pending;
            }
            wire.writes.push(bytes[..len].to_vec());
            wire.room = wire.room.map(|room| room - len);
            Poll::Ready(Ok(len))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.wire().flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    struct Talk {
        end: End,
        queue: Arc<Queue>,
        pulse: Arc<Pulse>,
        driver: Driver<End>,
        woken: Arc<Woken>,
    }

    impl Talk {
        fn new() -> Self {
            let (end, queue, pulse) = (End::default(), Arc::<Queue>::default(), Arc::<Pulse>::default());
            let driver = Driver::new(end.clone(), queue.clone(), pulse.clone(), Arc::new(Smol));
            Self { end, queue, pulse, driver, woken: Arc::default() }
        }

        fn ask(&self, words: &[&str]) -> oneshot::Receiver<Answers> {
            self.queue.push(&Commands::of(words).ask()).unwrap()
        }

        /// Polls the driver once; tells whether it wants to be polled again.
        fn poll(&mut self) -> bool {
            let _ = Pin::new(&mut self.driver).poll(&mut Context::from_waker(&self.woken.clone().into()));
            self.is_woken()
        }

        /// Tells whether it was woken since it was asked for the last time.
        fn is_woken(&self) -> bool {
            self.woken.0.swap(false, Ordering::Relaxed)
        }

        fn writes(&self) -> Vec<String> {
            let texts = self.end.wire().writes.clone();
            texts.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
        }
    }

    fn heard(receiver: &mut oneshot::Receiver<Answers>) -> Option<Vec<Answer>> {
        receiver.now_or_never().map(|answers| answers.unwrap().unwrap())
    }

    const A: &str = "*1\r\n$1\r\nA\r\n";
    const B: &str = "*1\r\n$1\r\nB\r\n";
    const C: &str = "*1\r\n$1\r\nC\r\n";

    #[test]
    fn what_is_asked_while_an_answer_is_owed_goes_along() {
        let mut talk = Talk::new();
        let _first = talk.ask(&["A"]);
        assert!(!talk.poll(), "where nothing is owed, nobody is waited for");
        assert_eq!(talk.writes(), [A]);
        let _second = talk.ask(&["B"]);
        assert!(talk.poll(), "others go first, once");
        assert_eq!(talk.writes(), [A]);
        let _third = talk.ask(&["C"]);
        assert!(!talk.poll());
        assert_eq!(talk.writes(), [A.to_owned(), [B, C].concat()]);
        assert!(!talk.poll(), "there is nothing more to do");
        assert_eq!(talk.end.wire().flushes, 2, "once for each write: TLS keeps bytes back");
    }

    #[test]
    fn it_is_woken_by_a_question() {
        let mut talk = Talk::new();
        assert!(!talk.poll());
        let _asked = talk.ask(&["A"]);
        assert!(talk.is_woken());
        let _more = talk.ask(&["B"]);
        assert!(!talk.is_woken(), "once is enough");
    }

    #[test]
    fn it_reads_where_something_may_be_there() {
        let mut talk = Talk::new();
        let _first = talk.ask(&["A"]);
        assert!(!talk.poll());
        assert_eq!(talk.end.wire().reads, 1);
        let mut second = talk.ask(&["B"]);
        assert!(talk.is_woken() && talk.poll() && !talk.poll());
        assert_eq!(talk.writes().len(), 2);
        assert_eq!(talk.end.wire().reads, 1, "it was not told of anything");
        talk.end.says(b"+1\r\n+2\r\n");
        assert!(talk.is_woken() && !talk.poll());
        assert_eq!(talk.end.wire().reads, 3, "until there is nothing more");
        assert_eq!(heard(&mut second), Some(vec![Answer::SimpleString("2".to_owned())]));
    }

    #[test]
    fn each_gets_its_own_answers_in_whatever_pieces_they_come() {
        let stream = b"+1\r\n$1\r\nx\r\n-ERR 2\r\n:3\r\n";
        for at in 0..=stream.len() {
            let mut talk = Talk::new();
            let both = |commands: &mut Commands| ["A", "B"].iter().for_each(|name| commands.push([(*name).into()]));
            let mut first = talk.queue.push(&both).unwrap();
            let gone = talk.ask(&["B"]);
            let mut last = talk.ask(&["C"]);
            talk.poll();
            drop(gone);
            for part in [&stream[..at], &stream[at..]] {
                talk.end.says(part);
                talk.poll();
            }
            let one = vec![Answer::SimpleString("1".to_owned()), Answer::BulkString(b"x".to_vec())];
            assert_eq!((heard(&mut first), heard(&mut last)), (Some(one), Some(vec![Answer::Int(3)])), "{at}");
        }
    }

    #[test]
    fn whatever_is_out_of_step_ends_it_for_all() {
        for said in ["+1\r\n+2\r\n+3\r\n", "+1\r\n+2\r\n?", "+1\r\nhello\r\n"] {
            let mut talk = Talk::new();
            let mut first = talk.ask(&["A"]);
            let mut second = talk.ask(&["B"]);
            talk.end.says(said.as_bytes());
            talk.end.ends();
            talk.poll();
            assert_eq!(heard(&mut first), Some(vec![Answer::SimpleString("1".to_owned())]));
            let second = second.try_recv().unwrap();
            assert_eq!(second.is_some_and(|answers| answers.is_err()), !said.contains('2'), "{said:?}");
            assert!(talk.pulse.is_closed());
            assert!(talk.queue.push(&Commands::of(&["C"]).ask()).is_none(), "nobody would write it");
        }
    }

    #[test]
    fn an_end_tells_what_was_sent_from_what_was_not() {
        let mut talk = Talk::new();
        let mut sent = talk.ask(&["A"]);
        talk.poll();
        talk.end.ends();
        let mut unsent = talk.ask(&["B"]);
        // It lets others go first, so that the end is seen with the question still in the queue.
        talk.driver.has_waited = true;
        talk.driver.read().map_err(|failure| talk.driver.end(&failure)).unwrap_err();
        let failure = |receiver: &mut oneshot::Receiver<Answers>| receiver.try_recv().unwrap().unwrap().unwrap_err();
        let (sent, unsent) = (failure(&mut sent), failure(&mut unsent));
        assert!(sent.is_sent && sent.is_broken);
        assert!(!unsent.is_sent && unsent.is_broken);
    }

    #[test]
    fn who_waits_hears_when_it_is_dropped() {
        let mut talk = Talk::new();
        let mut sent = talk.ask(&["A"]);
        talk.poll();
        let mut unsent = talk.ask(&["B"]);
        let Talk { queue, pulse, driver, .. } = talk;
        drop(driver);
        assert!(sent.try_recv().is_err() && pulse.is_closed());
        assert!(!unsent.try_recv().unwrap().unwrap().unwrap_err().is_sent);
        assert!(queue.push(&Commands::of(&["B"]).ask()).is_none());
    }

    #[test]
    fn what_was_written_does_not_pile_up() {
        let mut talk = Talk::new();
        let value = "x".repeat(20_000);
        let (mut expected, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            talk.end.wire().room = Some(19_000);
            asked.push(talk.ask(&[&value]));
            expected.extend_from_slice(format!("*1\r\n$20000\r\n{value}\r\n").as_bytes());
            while talk.poll() {}
            let unwritten = talk.driver.out.len() - talk.driver.written;
            assert!(talk.driver.out.len() <= 2 * unwritten + KEPT + 19_000, "{} of {unwritten}", talk.driver.out.len());
        }
        talk.end.wire().room = None;
        while talk.poll() {}
        assert!(talk.end.wire().writes.concat() == expected);
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_written() {
        let mut talk = Talk::new();
        talk.end.wire().room = Some(0);
        let value = "x".repeat(2 * KEPT);
        let mut first = talk.ask(&[&value]);
        while talk.poll() {}
        let gone: Vec<_> = (0..100).map(|_| talk.ask(&[&value])).collect();
        let mut last = talk.ask(&["B"]);
        while talk.poll() {}
        assert!(talk.driver.out.len() < 3 * KEPT, "the rest waits in the queue");
        drop(gone);
        talk.end.wire().room = None;
        while talk.poll() {}
        assert!(talk.writes().concat() == format!("*1\r\n${}\r\n{value}\r\n{B}", value.len()));
        talk.end.says(b":1\r\n:2\r\n");
        while talk.poll() {}
        assert_eq!((heard(&mut first), heard(&mut last)), (Some(vec![Answer::Int(1)]), Some(vec![Answer::Int(2)])));
    }
}
