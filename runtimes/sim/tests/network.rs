//! The network in memory: what arrives, when, and how it breaks.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    cell::Cell,
    collections::BTreeSet,
    io::{self, ErrorKind},
    time::Duration,
};

use cloakroom_runtime::{Endpoint, Runtime, Stream, run};
use cloakroom_sim::{Sim, SimListener, SimRuntime, SimStream};
use futures_util::{
    AsyncReadExt, AsyncWriteExt,
    future::{Either, join, select},
};

use self::common::give_way;

const SECOND: Duration = Duration::from_secs(1);

fn host() -> Endpoint {
    Endpoint::Host("store".to_owned(), 6379)
}

/// A world with a listener.
fn world(seed: u64) -> (Sim, SimRuntime, SimListener) {
    let sim = Sim::new(seed);
    let (runtime, listener) = (sim.runtime(), sim.listen(&host()).unwrap());
    (sim, runtime, listener)
}

async fn pair(runtime: &SimRuntime, listener: &SimListener) -> (Box<dyn Stream>, SimStream) {
    let (near, far) = join(runtime.connect(&host()), listener.accept()).await;
    (near.unwrap(), far)
}

async fn kind_of(opening: impl Future<Output = io::Result<Box<dyn Stream>>>) -> Option<ErrorKind> {
    opening.await.err().map(|error| error.kind())
}

/// Awaits what must wait until something is done, and is woken by that.
async fn until_done<T>(runtime: &SimRuntime, future: impl Future<Output = T>, deed: impl FnOnce()) -> T {
    let is_done = Cell::new(false);
    let waits = async {
        let value = future.await;
        assert!(is_done.get(), "it did not wait");
        value
    };
    let does = async {
        runtime.sleep(SECOND).await;
        is_done.set(true);
        deed();
    };
    join(waits, does).await.0
}

#[test]
fn everything_arrives_once_and_in_order() {
    let sent: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
    for seed in 0..20 {
        let (sim, runtime, listener) = world(seed);
        let back = sim.block_on(async {
            let (near, far) = pair(&runtime, &listener).await;
            drop(run(&runtime, async move {
                let (mut reads, mut writes) = far.split();
                futures_util::io::copy(&mut reads, &mut writes).await.unwrap();
                writes.close().await.unwrap();
            }));
            let (mut reads, mut writes) = near.split();
            let mut back = Vec::new();
            let writing = async {
                writes.write_all(&sent).await.unwrap();
                writes.close().await.unwrap();
            };
            join(writing, reads.read_to_end(&mut back)).await.1.unwrap();
            back
        });
        assert!(back == sent, "seed {seed}");
    }
}

#[test]
fn reads_and_writes_are_cut_short_as_the_seed_decides() {
    let sizes = |seed| {
        let (sim, runtime, listener) = world(seed);
        sim.block_on(async {
            let (mut near, mut far) = pair(&runtime, &listener).await;
            let written = near.write(&[1; 8]).await.unwrap();
            runtime.sleep(SECOND).await;
            (written, far.read(&mut [0; 16]).await.unwrap())
        })
    };
    let seen: BTreeSet<_> = (0..500).map(sizes).collect();
    let all = (1..=8).flat_map(|written| (1..=written).map(move |read| (written, read)));
    assert!(seen.iter().copied().eq(all), "{seen:?}");
    assert_eq!(sizes(9), sizes(9));
}

#[test]
fn connecting_fails_where_nobody_listens() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        for nobody in [Endpoint::Host("store".to_owned(), 1), Endpoint::Tcp(([127, 0, 0, 1], 6379).into())] {
            assert_eq!(kind_of(runtime.connect(&nobody)).await, Some(ErrorKind::ConnectionRefused));
        }
        for missing in [Endpoint::Unix("/run/store".into()), Endpoint::Host(String::new(), 6379)] {
            assert_eq!(kind_of(runtime.connect(&missing)).await, Some(ErrorKind::NotFound));
        }
        assert_eq!(sim.listen(&host()).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(kind_of(runtime.connect(&host())).await, Some(ErrorKind::ConnectionRefused));
        let again = sim.listen(&host()).unwrap();
        assert_eq!(kind_of(runtime.connect(&host())).await, None);
        drop(again);
    });
}

#[test]
fn an_address_and_a_host_that_names_it_are_the_same() {
    let sim = Sim::new(1);
    let runtime = sim.runtime();
    let unix = Endpoint::Unix("/run/store".into());
    let _listeners = [sim.listen(&Endpoint::Tcp(([10, 0, 0, 1], 1).into())).unwrap(), sim.listen(&unix).unwrap()];
    sim.block_on(async {
        assert_eq!(kind_of(runtime.connect(&Endpoint::Host("10.0.0.1".to_owned(), 1))).await, None);
        assert_eq!(kind_of(runtime.connect(&unix)).await, None);
    });
}

#[test]
fn bytes_take_as_long_as_they_are_told_to() {
    let (sim, runtime, listener) = world(1);
    sim.set_delays(SECOND..SECOND * 2);
    sim.block_on(async {
        let (mut near, mut far) = pair(&runtime, &listener).await;
        let opened = sim.elapsed();
        assert!((SECOND..SECOND * 2).contains(&opened), "{opened:?}");
        near.write_all(b"!").await.unwrap();
        assert_eq!(sim.elapsed(), opened);
        far.read_exact(&mut [0; 1]).await.unwrap();
        let took = sim.elapsed() - opened;
        assert!((SECOND..SECOND * 2).contains(&took), "{took:?}");
    });
}

#[test]
fn dropping_an_end_ends_the_other() {
    for seed in 0..20 {
        let (sim, runtime, listener) = world(seed);
        sim.block_on(async {
            let (mut near, mut far) = pair(&runtime, &listener).await;
            near.write_all(b"last words").await.unwrap();
            drop(near);
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"last words");
            assert_eq!(far.write(b"?").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(sim.links().len(), 1);
            drop(far);
            assert_eq!(sim.links().len(), 0);
        });
    }
}

#[test]
fn closing_leaves_the_other_direction_open() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        let (mut near, mut far) = pair(&runtime, &listener).await;
        near.close().await.unwrap();
        assert_eq!(near.write(b"?").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        far.write_all(b"!").await.unwrap();
        near.read_exact(&mut [0; 1]).await.unwrap();
    });
}

#[test]
fn a_writer_waits_for_the_reader() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        let (mut near, mut far) = pair(&runtime, &listener).await;
        let sent = vec![7; SimStream::CAPACITY + 1];
        // One that waits is told that nobody will read any more.
        let written = until_done(&runtime, near.write_all(&sent), || drop(far)).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);

        (near, far) = pair(&runtime, &listener).await;
        let has_read = Cell::new(false);
        let reads = async {
            runtime.sleep(SECOND).await;
            has_read.set(true);
            far.read_exact(&mut [0; 1]).await.unwrap();
        };
        let writes = async {
            near.write_all(&sent).await.unwrap();
            assert!(has_read.get(), "it did not wait");
        };
        join(writes, reads).await;
    });
}

#[test]
fn a_cut_resets_both_ends() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        let (mut near, mut far) = pair(&runtime, &listener).await;
        far.write_all(b"lost on the way").await.unwrap();
        let waits = run(&runtime, async move { near.read_exact(&mut [0; 64]).await.map_err(|error| error.kind()) });
        runtime.sleep(SECOND).await;
        far.link().cut();
        assert_eq!(waits.await, Ok(Err(ErrorKind::ConnectionReset)));
        assert_eq!(far.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(far.write(b"?").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stall_holds_everything_up_and_tells_nobody() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        let (mut near, mut far) = pair(&runtime, &listener).await;
        let (_other, mut disturbed) = pair(&runtime, &listener).await;
        let [first, second] = sim.links().try_into().unwrap();
        first.stall();
        second.cut();
        assert_eq!(disturbed.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        near.write_all(b"!").await.unwrap();
        until_done(&runtime, far.read_exact(&mut [0; 1]), || first.resume()).await.unwrap();
    });
}

#[test]
fn a_listener_that_stalls_lets_connections_wait() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        listener.stall();
        let near = until_done(&runtime, runtime.connect(&host()), || listener.resume()).await;
        assert!(near.is_ok());
        let _accepted = listener.accept().await;
        listener.stall();
        let refused = until_done(&runtime, kind_of(runtime.connect(&host())), || drop(listener)).await;
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
    });
}

#[test]
fn accepting_waits_for_a_connection() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        let opening = runtime.connect(&host());
        let (task, accepted) = (runtime.clone(), listener.accept());
        let far = until_done(&runtime, accepted, || drop(task.spawn(Box::pin(async { drop(opening.await) })))).await;
        drop(far);
        assert_eq!(sim.links().len(), 0);
    });
}

#[test]
fn connections_that_nobody_accepted_end_with_the_listener() {
    let (sim, runtime, listener) = world(1);
    sim.block_on(async {
        let mut near = runtime.connect(&host()).await.unwrap();
        // One that is given up leaves nothing.
        let mut opening = runtime.connect(&host());
        assert!(matches!(select(&mut opening, Box::pin(give_way(&runtime))).await, Either::Right(_)));
        drop(opening);
        runtime.sleep(SECOND).await;
        assert_eq!(sim.links().len(), 1);
        drop(listener);
        assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
    });
}
