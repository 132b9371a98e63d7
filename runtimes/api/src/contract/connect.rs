//! [`Runtime::connect`](crate::Runtime::connect).

use std::{
    env,
    future::poll_fn,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    pin::Pin,
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use futures_channel::oneshot;

use super::{Bench, ensure};
use crate::{Endpoint, Stream, run};

pub(super) async fn carries_bytes_both_ways_over_tcp(bench: Bench<'_>) -> Result<(), String> {
    let address = echo_over_tcp().map_err(|error| setup(&error))?;
    let stream = open(bench, &Endpoint::Tcp(address)).await?;
    echoes(bench, stream).await
}

pub(super) async fn looks_names_up_and_tries_every_address(bench: Bench<'_>) -> Result<(), String> {
    // It listens on IPv4 alone, and `localhost` may be an IPv6 address first.
    let address = echo_over_tcp().map_err(|error| setup(&error))?;
    for name in ["127.0.0.1", "localhost"] {
        let stream = open(bench, &Endpoint::Host(name.to_owned(), address.port())).await?;
        echoes(bench, stream).await?;
    }
    Ok(())
}

#[cfg(unix)]
pub(super) async fn carries_bytes_both_ways_over_unix_sockets(bench: Bench<'_>) -> Result<(), String> {
    let path = scratch_path();
    let listener = std::os::unix::net::UnixListener::bind(&path).map_err(|error| setup(&error))?;
    thread::spawn(move || listener.accept().and_then(|(stream, _)| echo(stream)));
    let opened = open(bench, &Endpoint::Unix(path.clone())).await;
    let _ = std::fs::remove_file(path);
    echoes(bench, opened?).await
}

#[cfg(not(unix))]
pub(super) async fn carries_bytes_both_ways_over_unix_sockets(bench: Bench<'_>) -> Result<(), String> {
    let opened = bench.within("connecting ends", bench.runtime.connect(&Endpoint::Unix("nowhere".into()))).await?;
    let kind = opened.err().map(|error| error.kind());
    ensure(kind == Some(io::ErrorKind::Unsupported), "an endpoint that the platform lacks is unsupported")
}

pub(super) async fn tells_what_went_wrong(bench: Bench<'_>) -> Result<(), String> {
    const RULE: &str = "`connect` fails where nobody listens";
    // The port is free as soon as the listener is dropped at the end of the line.
    let vacant = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).map_err(|error| setup(&error))?;
    let refused = bench.within(RULE, bench.runtime.connect(&Endpoint::Tcp(vacant))).await?;
    ensure(refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused), RULE)?;
    let host = Endpoint::Host("127.0.0.1".to_owned(), vacant.port());
    let refused = bench.within(RULE, bench.runtime.connect(&host)).await?;
    ensure(refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused), RULE)?;
    let nameless = bench.within(RULE, bench.runtime.connect(&Endpoint::Host(String::new(), 1))).await?;
    ensure(nameless.is_err(), "`connect` fails where a name stands for no address")?;
    if cfg!(unix) {
        let missing = bench.within(RULE, bench.runtime.connect(&Endpoint::Unix(scratch_path()))).await?;
        ensure(
            missing.is_err_and(|error| error.kind() == io::ErrorKind::NotFound),
            "`connect` fails on a missing path",
        )?;
    }
    Ok(())
}

pub(super) async fn closes_what_it_opened_when_that_is_dropped(bench: Bench<'_>) -> Result<(), String> {
    let (listener, address) = listen().map_err(|error| setup(&error))?;
    drop(open(bench, &Endpoint::Tcp(address)).await?);
    let closed = on_a_thread(move || accept(&listener, bench.patience).is_ok_and(|mut peer| is_at_end(&mut peer)));
    ensure(bench.told("a peer answers", closed).await?, "a stream that is dropped is closed")
}

pub(super) async fn tells_the_peer_when_it_is_closed(bench: Bench<'_>) -> Result<(), String> {
    const RULE: &str = "closing a stream tells the peer that nothing more comes";
    let (listener, address) = listen().map_err(|error| setup(&error))?;
    let mut stream = open(bench, &Endpoint::Tcp(address)).await?;
    bench.within(RULE, poll_fn(|context| Pin::new(&mut *stream).poll_close(context))).await?.map_err(|_| RULE)?;
    let told = on_a_thread(move || accept(&listener, bench.patience).is_ok_and(|mut peer| is_at_end(&mut peer)));
    let is_told = bench.told("a peer answers", told).await?;
    // It is still there, so it is not dropping it that told.
    drop(stream);
    ensure(is_told, RULE)
}

pub(super) async fn gives_up_when_dropped(bench: Bench<'_>) -> Result<(), String> {
    let (listener, address) = listen().map_err(|error| setup(&error))?;
    let mut given_up = bench.runtime.connect(&Endpoint::Tcp(address));
    let _ = poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context).is_ready())).await;
    drop(given_up);
    let mut stream = open(bench, &Endpoint::Tcp(address)).await?;
    let written = bench.within("a stream takes bytes", write_all(&mut *stream, b"!")).await?;
    written.map_err(|error| format!("a stream takes bytes: {error}"))?;
    // Whichever is not the second is the first, if that ever came so far.
    let closed = on_a_thread(move || {
        let mut peer = accept(&listener, bench.patience)?;
        match peer.read(&mut [0; 1]) {
            Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error),
        }
        accept(&listener, bench.patience).and_then(|mut peer| peer.read_exact(&mut [0; 1]))
    });
    ensure(bench.told("a peer answers", closed).await?.is_ok(), "a connection that is given up is closed")
}

pub(super) async fn wakes_who_reads_and_who_writes(bench: Bench<'_>) -> Result<(), String> {
    const READS: &str = "who waits to read is woken when something comes, also while another waits to write";
    const WRITES: &str = "who waits to write is woken when there is room, also while another waits to read";
    let (listener, address) = listen().map_err(|error| setup(&error))?;
    let (go_on, told) = mpsc::channel();
    thread::spawn(move || {
        let (mut peer, _) = listener.accept()?;
        let _ = told.recv();
        peer.write_all(b"!")?;
        let _ = told.recv();
        io::copy(&mut peer, &mut io::sink())
    });
    let mut stream = open(bench, &Endpoint::Tcp(address)).await?;
    let bytes = vec![0; 1 << 20];
    let mut room = fill(&mut *stream, &bytes)?;

    let mut byte = [0];
    let (waker, comes) = telling_waker();
    let is_there = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(&waker), &mut byte).is_ready();
    ensure(!is_there, "a stream brings nothing that was not sent")?;
    let _ = go_on.send(());
    let read = woken(bench, READS, comes, |context| Pin::new(&mut *stream).poll_read(context, &mut byte)).await?;
    ensure(read == 1, READS)?;

    // Who waited last must not be the only one who is woken, and that is the reader.
    for _ in 0..64 {
        let (waker, _) = telling_waker();
        let is_there = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(&waker), &mut byte).is_ready();
        ensure(!is_there, "a stream brings nothing twice")?;
        // Nobody is woken by a waker that was dropped.
        if room.try_recv().map_err(|_| WRITES)?.is_none() {
            break;
        }
        room = fill(&mut *stream, &bytes)?;
    }
    let _ = go_on.send(());
    let written = woken(bench, WRITES, room, |context| Pin::new(&mut *stream).poll_write(context, &bytes)).await?;
    ensure(written > 0, WRITES)
}

async fn open(bench: Bench<'_>, endpoint: &Endpoint) -> Result<Box<dyn Stream>, String> {
    let opened = bench.within("connecting ends", bench.runtime.connect(endpoint)).await?;
    opened.map_err(|error| format!("`connect` opens a connection to {endpoint:?}: {error}"))
}

/// Makes a waker that tells when it wakes.
fn telling_waker() -> (Waker, oneshot::Receiver<()>) {
    struct Tell(Mutex<Option<oneshot::Sender<()>>>);

    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = sender.map(|sender| sender.send(()));
        }
    }

    let (sender, receiver) = oneshot::channel();
    (Arc::new(Tell(Mutex::new(Some(sender)))).into(), receiver)
}

/// Writes until nothing more is taken; returns what tells when something is.
fn fill(stream: &mut dyn Stream, bytes: &[u8]) -> Result<oneshot::Receiver<()>, String> {
    let (waker, room) = telling_waker();
    let mut write = || Pin::new(&mut *stream).poll_write(&mut Context::from_waker(&waker), bytes);
    ensure((0..1024).any(|_| write().is_pending()), "a stream takes no more than is on its way")?;
    Ok(room)
}

/// Polls whenever it is woken, until there is something.
async fn woken<T>(
    bench: Bench<'_>,
    rule: &str,
    mut wakes: oneshot::Receiver<()>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>> + Send,
) -> Result<T, String> {
    loop {
        bench.told(rule, wakes).await?;
        let (waker, next) = telling_waker();
        if let Poll::Ready(outcome) = poll(&mut Context::from_waker(&waker)) {
            return outcome.map_err(|error| format!("{rule}: {error}"));
        }
        wakes = next;
    }
}

/// Moves the stream to a task of its own, which may be on another thread.
async fn echoes(bench: Bench<'_>, mut stream: Box<dyn Stream>) -> Result<(), String> {
    let talk = run(bench.runtime, async move {
        let mut sent = Vec::new();
        for round in 0..32_u8 {
            sent.resize(usize::from(round) * 1024 + 1, round);
            write_all(&mut *stream, &sent).await?;
            let mut received = vec![0; sent.len()];
            read_exact(&mut *stream, &mut received).await?;
            if received != sent {
                return Ok(false);
            }
        }
        io::Result::Ok(true)
    });
    match bench.within("a stream carries bytes both ways", talk).await? {
        Ok(Ok(true)) => Ok(()),
        other => Err(format!("a stream carries bytes both ways: {other:?}")),
    }
}

async fn write_all(stream: &mut dyn Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|context| Pin::new(&mut *stream).poll_write(context, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)).await
}

async fn read_exact(stream: &mut dyn Stream, bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let read = poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut bytes[filled..])).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
    }
    Ok(())
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn on_a_thread<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || sender.send(function()));
    receiver
}

fn accept(listener: &TcpListener, patience: Duration) -> io::Result<TcpStream> {
    let (peer, _) = listener.accept()?;
    peer.set_read_timeout(Some(patience))?;
    Ok(peer)
}

fn is_at_end(peer: &mut TcpStream) -> bool {
    match peer.read(&mut [0; 16]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

fn echo_over_tcp() -> io::Result<SocketAddr> {
    let (listener, address) = listen()?;
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || stream.set_nodelay(true).and_then(|()| echo(stream)));
        }
    });
    Ok(address)
}

fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}

fn scratch_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    env::temp_dir().join(format!("cloakroom-contract-{}-{number}.sock", process::id()))
}

fn setup(error: &io::Error) -> String {
    format!("the case itself could not be set up: {error}")
}
