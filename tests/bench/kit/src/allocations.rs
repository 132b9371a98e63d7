//! Counts what is allocated, by all threads, while it is asked to.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

#[global_allocator]
static COUNTING: Counting = Counting;

static IS_COUNTED: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator. What is not counted costs a look at a flag more, so that those who allocate much do not seem slower.
struct Counting;

impl Counting {
    fn count(bytes: usize) {
        if IS_COUNTED.load(Relaxed) {
            CALLS.fetch_add(1, Relaxed);
            BYTES.fetch_add(bytes as u64, Relaxed);
        }
    }
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size.saturating_sub(layout.size()));
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

/// What was allocated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Allocated {
    /// How often, growing included.
    pub calls: u64,
    /// How many bytes in all, whether or not they were given back.
    pub bytes: u64,
}

/// Counts what some work allocates, on whatever thread.
pub async fn allocated_by<T>(work: impl Future<Output = T>) -> (T, Allocated) {
    CALLS.store(0, Relaxed);
    BYTES.store(0, Relaxed);
    IS_COUNTED.store(true, Relaxed);
    let done = work.await;
    IS_COUNTED.store(false, Relaxed);
    (done, Allocated { calls: CALLS.load(Relaxed), bytes: BYTES.load(Relaxed) })
}
