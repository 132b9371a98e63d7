//! The cases of the contract: a right runtime passes them all, and each catches a runtime made wrong on purpose.

mod common;

use std::{
    fmt,
    future::{pending, poll_fn},
    io, mem,
    net::{IpAddr, TcpStream},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, SystemTime},
};

use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task, contract};
use futures_io::{AsyncRead, AsyncWrite};

use self::common::{Threads, block_on};

type Function = Box<dyn FnOnce() + Send + 'static>;
type Opening = BoxFuture<'static, io::Result<Box<dyn Stream>>>;

#[test]
fn a_right_runtime_passes() {
    assert_eq!(block_on(contract::check(&Threads)), Ok(()));
}

#[test]
fn case_names_are_unique() {
    let mut names: Vec<_> = contract::CASES.iter().map(contract::Case::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), contract::CASES.len());
}

macro_rules! caught {
    ($($case:ident: $wrong:expr;)*) => {
        /// Every case has a wrong runtime below.
        #[test]
        fn every_case_is_seen_to_fail() {
            for case in contract::CASES {
                assert!([$(stringify!($case)),*].iter().any(|name| name.starts_with(case.name())), "{case:?}");
            }
        }

        $(#[test]
        fn $case() {
            let wrong: Wrong = $wrong;
            let case = contract::CASES.iter().find(|case| stringify!($case).starts_with(case.name())).unwrap();
            // Impatience can fail a right runtime, which none of these is.
            let checked = block_on(case.check_with_patience(&wrong, Duration::from_millis(500)));
            assert!(checked.is_err(), "{case:?} passes");
        })*
    };
}

// The name of each begins with that of the case that must fail.
caught! {
    coarse_now_goes_on_with_the_wall_clock_frozen: {
        let then = SystemTime::now();
        Wrong { coarse_now: Box::new(move || then), ..Wrong::default() }
    };
    coarse_now_goes_on_with_the_wall_clock_at_the_epoch:
        Wrong { coarse_now: Box::new(|| SystemTime::UNIX_EPOCH), ..Wrong::default() };

    connect_carries_bytes_both_ways_over_tcp_nothing_opens:
        Wrong::connect(|_| Box::pin(async { Err(io::ErrorKind::TimedOut.into()) }));
    connect_carries_bytes_both_ways_over_tcp_streams_are_at_their_end:
        Wrong::connect(|_| Box::pin(async { Ok(Box::new(Empty) as Box<dyn Stream>) }));
    connect_carries_bytes_both_ways_over_unix_sockets_unsupported:
        Wrong::connect(|endpoint| match endpoint {
            Endpoint::Unix(_) => Box::pin(async { Err(io::ErrorKind::Unsupported.into()) }),
            endpoint => Threads.connect(endpoint),
        });
    connect_closes_what_it_opened_when_that_is_dropped_leaks: Wrong::connect(connect_and_leak);
    connect_gives_up_when_dropped_leaks: Wrong::connect(connect_and_leak);
    connect_looks_names_up_and_tries_every_address_addresses_only:
        Wrong::connect(|endpoint| match endpoint {
            Endpoint::Host(name, port) => match name.parse::<IpAddr>() {
                Ok(ip) => Threads.connect(&Endpoint::Tcp((ip, *port).into())),
                Err(_) => Box::pin(async { Err(io::ErrorKind::NotFound.into()) }),
            },
            endpoint => Threads.connect(endpoint),
        });
    connect_tells_the_peer_when_it_is_closed_only_flushes:
        Wrong::connect(|endpoint| {
            let opening = Threads.connect(endpoint);
            Box::pin(async { Ok(Box::new(Silent(opening.await?)) as Box<dyn Stream>) })
        });
    connect_tells_what_went_wrong_opens_nothing:
        Wrong::connect(|_| Box::pin(async { Ok(Box::new(Empty) as Box<dyn Stream>) }));
    connect_tells_what_went_wrong_in_other_words:
        Wrong::connect(|endpoint| {
            let opening = Threads.connect(endpoint);
            Box::pin(async { opening.await.map_err(|_| io::ErrorKind::Other.into()) })
        });
    connect_wakes_who_reads_and_who_writes_only_readers: Wrong::connect(|endpoint| connect_half_deaf(endpoint, Way::Out));
    connect_wakes_who_reads_and_who_writes_only_writers: Wrong::connect(|endpoint| connect_half_deaf(endpoint, Way::In));
    connect_wakes_who_reads_and_who_writes_only_the_last:
        Wrong::connect(|endpoint| {
            let opening = Threads.connect(endpoint);
            Box::pin(async { Ok(Box::new(OneSlot(opening.await?, Arc::default())) as Box<dyn Stream>) })
        });

    now_goes_on_with_the_wall_clock_frozen: {
        let then = SystemTime::now();
        Wrong { now: Box::new(move || then), ..Wrong::default() }
    };
    now_goes_on_with_the_wall_clock_at_the_epoch:
        Wrong { now: Box::new(|| SystemTime::UNIX_EPOCH), ..Wrong::default() };

    sleep_ends_once_however_often_it_is_polled_starts_anew:
        Wrong::sleep(|duration| {
            let mut sleep = Threads.sleep(duration);
            Box::pin(poll_fn(move |context| {
                let poll = sleep.as_mut().poll(context);
                if duration > Duration::from_millis(20) {
                    sleep = Threads.sleep(duration);
                }
                poll
            }))
        });
    sleep_holds_up_nothing_else_blocks_in_poll:
        Wrong::sleep(|duration| Box::pin(async move { thread::sleep(duration) }));
    sleep_leaves_nothing_behind_when_dropped_keeps_wakers:
        Wrong::sleep(|duration| {
            let mut sleep = Threads.sleep(duration);
            Box::pin(poll_fn(move |context| {
                mem::forget(context.waker().clone());
                sleep.as_mut().poll(context)
            }))
        });
    sleep_never_ends_early_half_the_time: Wrong::sleep(|duration| Threads.sleep(duration / 2));
    sleep_never_ends_early_never_ends: Wrong::sleep(|_| Box::pin(pending()));
    sleep_returns_at_once_sleeps: Wrong::sleep(|duration| {
        thread::sleep(duration);
        Box::pin(async {})
    });

    spawn_cancelling_drops_the_future_ignored: Wrong::spawn(|future| {
        drop(Threads.spawn(future));
        Task::new(|| ())
    });
    spawn_cancelling_what_has_ended_does_nothing_breaks: {
        let is_broken = Arc::new(AtomicBool::new(false));
        Wrong::spawn(move |future| {
            if is_broken.load(Ordering::SeqCst) {
                mem::forget(future);
                return Task::new(|| ());
            }
            let is_broken = Arc::clone(&is_broken);
            let task = Threads.spawn(future);
            Task::new(move || {
                is_broken.store(true, Ordering::SeqCst);
                task.cancel();
            })
        })
    };
    spawn_dropping_the_task_detaches_cancels: Wrong::spawn(|future| {
        let mut guard = CancelOnDrop(Some(Threads.spawn(future)));
        Task::new(move || guard.0.take().unwrap().cancel())
    });
    spawn_keeps_a_panic_from_all_others_rest_dies: {
        let is_broken = Arc::new(AtomicBool::new(false));
        Wrong::spawn(move |mut future| {
            if is_broken.load(Ordering::SeqCst) {
                mem::forget(future);
                return Task::new(|| ());
            }
            let is_broken = Arc::clone(&is_broken);
            Threads.spawn(Box::pin(poll_fn(move |context| {
                panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))).unwrap_or_else(|panic| {
                    is_broken.store(true, Ordering::SeqCst);
                    panic::resume_unwind(panic)
                })
            })))
        })
    };
    spawn_lets_futures_wait_for_each_other_one_by_one: {
        let turn = Arc::new(Mutex::new(()));
        Wrong::spawn(move |future| {
            let turn = Arc::clone(&turn);
            Threads.unblock(Box::new(move || {
                let _turn = turn.lock();
                block_on(future);
            }))
        })
    };
    spawn_returns_before_it_polls_inline: Wrong::spawn(|mut future| {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return Task::new(|| ());
        }
        Threads.spawn(future)
    });
    spawn_starts_without_being_awaited_lazy: Wrong::spawn(|future| {
        Task::new(|| drop(Threads.spawn(future)))
    });

    unblock_forgets_when_cancelled_or_dropped_cancels: Wrong::unblock(|function| {
        let function = Arc::new(Mutex::new(Some(function)));
        let cancelled = Arc::clone(&function);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            let function = function.lock().unwrap().take();
            function.map(|function| function())
        });
        Task::new(move || *cancelled.lock().unwrap() = None)
    });
    unblock_holds_up_no_future_blocks_them: {
        let turn = Arc::new(Mutex::new(()));
        let turns = Arc::clone(&turn);
        Wrong {
            unblock: Box::new(move |function| {
                let turn = Arc::clone(&turn);
                Threads.unblock(Box::new(move || {
                    let _turn = turn.lock();
                    function();
                }))
            }),
            ..Wrong::spawn(move |mut future| {
                let turns = Arc::clone(&turns);
                Threads.spawn(Box::pin(poll_fn(move |context| {
                    drop(turns.lock());
                    future.as_mut().poll(context)
                })))
            })
        }
    };
    unblock_keeps_a_panic_on_its_thread_is_the_only_one: {
        let (sender, receiver) = mpsc::channel::<Function>();
        thread::spawn(move || receiver.iter().for_each(|function| function()));
        let sender = Mutex::new(sender);
        Wrong::unblock(move |function| {
            let _ = sender.lock().unwrap().send(function);
            Task::new(|| ())
        })
    };
    unblock_returns_at_once_runs_first: Wrong::unblock(|function| {
        function();
        Task::new(|| ())
    });
}

/// Plain threads, with some of the methods made wrong.
struct Wrong {
    sleep: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    spawn: Box<dyn Fn(BoxFuture<'static, ()>) -> Task + Send + Sync>,
    unblock: Box<dyn Fn(Function) -> Task + Send + Sync>,
    connect: Box<dyn Fn(&Endpoint) -> Opening + Send + Sync>,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    coarse_now: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Wrong {
    fn sleep(sleep: impl Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self { sleep: Box::new(sleep), ..Self::default() }
    }

    fn spawn(spawn: impl Fn(BoxFuture<'static, ()>) -> Task + Send + Sync + 'static) -> Self {
        Self { spawn: Box::new(spawn), ..Self::default() }
    }

    fn unblock(unblock: impl Fn(Function) -> Task + Send + Sync + 'static) -> Self {
        Self { unblock: Box::new(unblock), ..Self::default() }
    }

    fn connect(connect: impl Fn(&Endpoint) -> Opening + Send + Sync + 'static) -> Self {
        Self { connect: Box::new(connect), ..Self::default() }
    }
}

impl Default for Wrong {
    fn default() -> Self {
        Self {
            sleep: Box::new(|duration| Threads.sleep(duration)),
            spawn: Box::new(|future| Threads.spawn(future)),
            unblock: Box::new(|function| Threads.unblock(function)),
            connect: Box::new(|endpoint| Threads.connect(endpoint)),
            now: Box::new(|| Threads.now()),
            coarse_now: Box::new(|| Threads.coarse_now()),
        }
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrong")
    }
}

impl Runtime for Wrong {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (self.sleep)(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        (self.spawn)(future)
    }

    fn unblock(&self, function: Function) -> Task {
        (self.unblock)(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> Opening {
        (self.connect)(endpoint)
    }

    fn now(&self) -> SystemTime {
        (self.now)()
    }

    fn coarse_now(&self) -> SystemTime {
        (self.coarse_now)()
    }
}

/// A further connection stands for what leaks of the right one.
fn connect_and_leak(endpoint: &Endpoint) -> Opening {
    let opening = Threads.connect(endpoint);
    let endpoint = endpoint.clone();
    Box::pin(async move {
        if let Endpoint::Tcp(address) = endpoint {
            mem::forget(TcpStream::connect(address)?);
        }
        opening.await
    })
}

/// Who waits for one of the two ways is not woken.
fn connect_half_deaf(endpoint: &Endpoint, deaf: Way) -> Opening {
    let opening = Threads.connect(endpoint);
    Box::pin(async move { Ok(Box::new(HalfDeaf(opening.await?, deaf)) as Box<dyn Stream>) })
}

struct CancelOnDrop(Option<Task>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.cancel();
        }
    }
}

/// A stream that takes everything and gives nothing.
struct Empty;

impl AsyncRead for Empty {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }
}

impl AsyncWrite for Empty {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A stream that keeps to itself that it is closed.
struct Silent(Box<dyn Stream>);

impl AsyncRead for Silent {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(context, bytes)
    }
}

impl AsyncWrite for Silent {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

#[derive(PartialEq)]
enum Way {
    In,
    Out,
}

/// A stream that forgets the wakers of one way.
struct HalfDeaf(Box<dyn Stream>, Way);

impl AsyncRead for HalfDeaf {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let waker = if self.1 == Way::In { Waker::noop() } else { context.waker() };
        Pin::new(&mut self.0).poll_read(&mut Context::from_waker(waker), bytes)
    }
}

impl AsyncWrite for HalfDeaf {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let waker = if self.1 == Way::Out { Waker::noop() } else { context.waker() };
        Pin::new(&mut self.0).poll_write(&mut Context::from_waker(waker), bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

/// Wakes whoever was noted last.
#[derive(Default)]
struct Last(Mutex<Option<Waker>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A stream with one place for the wakers of both ways.
struct OneSlot(Box<dyn Stream>, Arc<Last>);

impl OneSlot {
    fn poll<T>(&mut self, context: &Context<'_>, poll: impl FnOnce(Pin<&mut dyn Stream>, &mut Context<'_>) -> T) -> T {
        *self.1.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        poll(Pin::new(&mut *self.0), &mut Context::from_waker(&Arc::clone(&self.1).into()))
    }
}

impl AsyncRead for OneSlot {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll(context, |stream, context| stream.poll_read(context, bytes))
    }
}

impl AsyncWrite for OneSlot {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |stream, context| stream.poll_close(context))
    }
}
