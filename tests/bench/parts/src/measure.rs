//! Time, allocations and instructions of work that takes well under a microsecond.

use std::{
    future::Future as _,
    hint::black_box,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bench_kit::{Figure, allocated_by, begin_counting, end_counting, median};

/// Calls between two looks at the clock: some hundred microseconds.
const BATCH: u32 = 512;
const UNDER_CALLGRIND: usize = 5;

/// Prints time and allocations of one call.
pub fn time(bench: &str, system: &str, patience: Duration, work: &mut dyn FnMut()) {
    for _ in 0..BATCH {
        work();
    }
    {
        let counting = std::pin::pin!(allocated_by(async { work() }));
        let context = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(((), allocated)) = counting.poll(context) {
            Figure::new(bench, system, "allocations", allocated.calls as f64, "1/request").print();
            Figure::new(bench, system, "allocated", allocated.bytes as f64, "B/request").print();
        }
    }
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < patience || times.len() < 5 {
        let batch = Instant::now();
        for _ in 0..BATCH {
            work();
        }
        times.push(batch.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    Figure::new(bench, system, "time", median(&mut times), "ns/request").print();
}

/// Counts it under callgrind.
pub fn instructions(bench: &str, work: &mut dyn FnMut()) {
    // What is looked up or set up once is none of it.
    black_box(&mut *work)();
    for _ in 0..UNDER_CALLGRIND {
        begin_counting();
        work();
        end_counting(bench, 1);
    }
}
