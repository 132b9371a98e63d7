//! What waits to be done, and the functions on blocking threads that do it, all that waits at a time.

use std::{
    collections::VecDeque,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use crate::store::{Inner, lock};

/// How many can wait in a lane.
const MAX_WAITING: usize = 16 * 1024;

/// How much all that waits in a lane can weigh.
const MAX_WAITING_WEIGHT: usize = 256 * 1024 * 1024;

/// What can wait in a lane.
pub(crate) trait Work: Send + Sized + 'static {
    /// How much of it is done at a time: so many, or as many as weigh so much.
    const BATCH: usize;
    const BATCH_WEIGHT: usize = usize::MAX;

    fn lane(inner: &Inner) -> &Lane<Self>;

    fn weight(&self) -> usize {
        0
    }

    /// Does a batch, which is not empty, and answers all of it.
    fn run(inner: &Inner, batch: Vec<Self>);

    /// Tells whether nobody waits for its answer any more.
    fn is_abandoned(&self) -> bool;

    /// Answers that it will not be done, and why.
    fn refuse(self, why: &'static str);
}

pub(crate) struct Lane<W> {
    queue: Mutex<Queue<W>>,
    max_workers: usize,
}

struct Queue<W> {
    waiting: VecDeque<W>,
    /// Of all that wait.
    weight: usize,
    workers: usize,
}

impl<W: Work> Queue<W> {
    fn has_room(&self, weight: usize) -> bool {
        self.waiting.len() < MAX_WAITING && self.weight.saturating_add(weight) <= MAX_WAITING_WEIGHT
    }

    fn drop_abandoned(&mut self) {
        self.waiting.retain(|work| !work.is_abandoned());
        self.weight = self.waiting.iter().map(Work::weight).sum();
    }
}

impl<W: Work> Lane<W> {
    pub(crate) fn new(max_workers: usize) -> Self {
        Self { queue: Mutex::new(Queue { waiting: VecDeque::new(), weight: 0, workers: 0 }), max_workers }
    }

    /// Has it done soon, by who works already or by another; or refuses it, if too much waits.
    pub(crate) fn submit(inner: &Arc<Inner>, work: W) {
        let lane = W::lane(inner);
        let mut queue = lock(&lane.queue);
        let weight = work.weight();
        if !queue.has_room(weight) {
            // While the file stalls, who gave up would keep out who still waits.
            queue.drop_abandoned();
            if !queue.has_room(weight) {
                drop(queue);
                return work.refuse("too much waits for the file");
            }
        }
        queue.weight += weight;
        queue.waiting.push_back(work);
        if queue.workers < lane.max_workers {
            queue.workers += 1;
            drop(queue);
            let worker = Worker { inner: Arc::clone(inner), has_left: false, work: PhantomData::<W> };
            drop(inner.runtime.unblock(Box::new(move || worker.work())));
        }
    }

    /// Takes a batch; where there is none, the worker has left.
    fn take(&self) -> Vec<W> {
        let mut queue = lock(&self.queue);
        let (mut batch, mut weight) = (Vec::new(), 0_usize);
        while batch.len() < W::BATCH && weight < W::BATCH_WEIGHT {
            let Some(work) = queue.waiting.pop_front() else { break };
            weight = weight.saturating_add(work.weight());
            batch.push(work);
        }
        queue.weight -= weight;
        if batch.is_empty() {
            queue.workers -= 1;
        }
        batch
    }

    /// Leaves without a look at what waits, which is returned if nobody else will do it.
    fn leave(&self) -> VecDeque<W> {
        let mut queue = lock(&self.queue);
        queue.workers -= 1;
        if queue.workers > 0 {
            return VecDeque::new();
        }
        queue.weight = 0;
        std::mem::take(&mut queue.waiting)
    }
}

struct Worker<W: Work> {
    inner: Arc<Inner>,
    has_left: bool,
    work: PhantomData<W>,
}

impl<W: Work> Worker<W> {
    fn work(mut self) {
        loop {
            let batch = W::lane(&self.inner).take();
            if batch.is_empty() {
                self.has_left = true;
                return;
            }
            // Who waits for this batch sees that there is no answer; the others are not concerned.
            if catch_unwind(AssertUnwindSafe(|| W::run(&self.inner, batch))).is_err() {
                self.inner.file.distrust();
            }
        }
    }
}

/// A runtime that shuts down drops a worker that has not begun.
impl<W: Work> Drop for Worker<W> {
    fn drop(&mut self) {
        if !self.has_left {
            W::lane(&self.inner).leave().into_iter().for_each(|work| work.refuse("the runtime shut down"));
        }
    }
}
