//! A runtime of plain threads: one for each future, function, timer and connection.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod park;

use std::{
    future::poll_fn,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant, SystemTime},
};

use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use futures_channel::oneshot;
use futures_io::{AsyncRead, AsyncWrite};

pub(crate) use self::park::block_on;
use self::park::waker_of_this_thread;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads;

impl Runtime for Threads {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut timer: Option<Timer> = None;
        Box::pin(poll_fn(move |context| timer.get_or_insert_with(|| Timer::start(duration)).poll(context)))
    }

    fn spawn(&self, mut future: BoxFuture<'static, ()>) -> Task {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let cancelled = Arc::clone(&is_cancelled);
        let thread = thread::spawn(move || {
            let waker = waker_of_this_thread();
            while !cancelled.load(Ordering::SeqCst)
                && future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            {
                thread::park();
            }
        });
        Task::new(move || {
            is_cancelled.store(true, Ordering::SeqCst);
            thread.thread().unpark();
        })
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        thread::spawn(function);
        Task::new(|| ())
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            thread::spawn(move || sender.send(connect(&endpoint)));
            receiver.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        })
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

struct Timer {
    deadline: Instant,
    waker: Arc<Mutex<Option<Waker>>>,
    _ends_the_thread: mpsc::Sender<()>,
}

impl Timer {
    fn start(duration: Duration) -> Self {
        let deadline = Instant::now() + duration;
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let (sender, receiver) = mpsc::channel();
        let wakes = Arc::clone(&waker);
        thread::spawn(move || {
            while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                if receiver.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected) {
                    return;
                }
            }
            if let Some(waker) = wakes.lock().unwrap().take() {
                waker.wake();
            }
        });
        Self { deadline, waker, _ends_the_thread: sender }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        // Under the lock, or the thread may look for the waker before it is there.
        let mut waker = self.waker.lock().unwrap();
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        *waker = Some(context.waker().clone());
        Poll::Pending
    }
}

fn connect(endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
    Ok(match endpoint {
        Endpoint::Host(name, port) => tcp(TcpStream::connect((name.as_str(), *port))?)?,
        Endpoint::Tcp(address) => tcp(TcpStream::connect(address)?)?,
        #[cfg(unix)]
        Endpoint::Unix(path) => {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            Box::new(Retried(stream, |stream| stream.shutdown(Shutdown::Write)))
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    })
}

fn tcp(stream: TcpStream) -> io::Result<Box<dyn Stream>> {
    stream.set_nonblocking(true)?;
    Ok(Box::new(Retried(stream, |stream| stream.shutdown(Shutdown::Write))))
}

/// A stream that is tried again and again; with what closes it.
struct Retried<S>(S, fn(&S) -> io::Result<()>);

fn retried<T>(context: &Context<'_>, outcome: io::Result<T>) -> Poll<io::Result<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let waker = context.waker().clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(1));
                waker.wake();
            });
            Poll::Pending
        }
        outcome => Poll::Ready(outcome),
    }
}

impl<S: Read + Unpin> AsyncRead for Retried<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        retried(context, self.0.read(bytes))
    }
}

impl<S: Write + Unpin> AsyncWrite for Retried<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        retried(context, self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        retried(context, self.0.flush())
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready((self.1)(&self.0))
    }
}
