//! What is ready, what is waited for, the clock, and who comes next.
//!
//! Nothing of others' is called or dropped under the lock: futures, functions, wakers and streams may come back here.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
    time::{Duration, SystemTime},
};

use crate::{
    Sim,
    network::Network,
    random::Random,
    task::{Job, Running},
    trace::Trace,
};

/// Everything in a world.
pub(crate) struct Shared(Mutex<State>);

pub(crate) struct State {
    seed: u64,
    pub(crate) random: Random,
    trace: Trace,
    pub(crate) elapsed: Duration,
    /// What the wall clock was set to, and when.
    wall: (SystemTime, Duration),
    tasks: BTreeMap<u64, Entry>,
    last_id: u64,
    /// The task of `block_on`, while that runs.
    main: Option<u64>,
    ready: Vec<u64>,
    timers: BTreeMap<Timer, Waker>,
    is_closed: bool,
    pub(crate) network: Network,
}

/// The time of a timer, counted from the clock's start, and its number.
pub(crate) type Timer = (Duration, u64);

struct Entry {
    /// Absent while it runs; that of `block_on` is never here.
    job: Option<Job>,
    waker: Waker,
    is_ready: bool,
    is_cancelled: bool,
}

/// One step.
pub(crate) enum Turn {
    Drop(Job),
    Fire(Waker),
    Poll(Running),
    PollMain,
    /// Nothing is ready, and no timer is set.
    Stuck,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(State {
            seed,
            random: Random::new(seed),
            trace: Trace::default(),
            elapsed: Duration::ZERO,
            wall: (SystemTime::UNIX_EPOCH + Duration::from_secs(Sim::START), Duration::ZERO),
            tasks: BTreeMap::new(),
            last_id: 0,
            main: None,
            ready: Vec::new(),
            timers: BTreeMap::new(),
            is_closed: false,
            network: Network::default(),
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the task of `block_on`, unless there is one.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Main<'_>> {
        let mut state = self.lock();
        if state.main.is_some() {
            return None;
        }
        let (id, waker) = state.add(self, None);
        state.main = Some(id);
        Some(Main { shared: self, id, waker })
    }

    /// Adds a task; a world that has ended drops it.
    pub(crate) fn add(self: &Arc<Self>, job: Job) -> u64 {
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            job.discard();
            return 0;
        }
        state.add(self, Some(job)).0
    }

    /// Asks for the task to be dropped, in a step of its own.
    pub(crate) fn cancel(&self, id: u64) {
        let mut state = self.lock();
        if let Some(entry) = state.tasks.get_mut(&id) {
            entry.is_cancelled = true;
            state.make_ready(id);
        }
    }

    /// Decides what comes next. The clock moves only where nothing else can.
    pub(crate) fn next_turn(&self) -> Turn {
        let mut state = self.lock();
        loop {
            let choices = (state.ready.len() + state.due()) as u64;
            if choices == 0 {
                let Some((&(next, _), _)) = state.timers.first_key_value() else { return Turn::Stuck };
                state.elapsed = next;
                continue;
            }
            let choice = state.random.below(choices) as usize;
            let now = state.elapsed.as_nanos() as u64;
            if let Some(&id) = state.ready.get(choice) {
                state.trace.record([id, choices, now]);
                state.ready.swap_remove(choice);
                if let Some(turn) = state.turn_of(id) {
                    return turn;
                }
            } else if let Some(&timer) = state.timers.keys().nth(choice - state.ready.len()) {
                state.trace.record([timer.1, choices, now]);
                if let Some(waker) = state.timers.remove(&timer) {
                    return Turn::Fire(waker);
                }
            }
        }
    }

    /// Puts a task back that is not at its end. Hands it back where the world has ended meanwhile.
    pub(crate) fn put_back(&self, id: u64, job: Job) -> Option<Job> {
        match self.lock().tasks.get_mut(&id) {
            Some(entry) => entry.job.replace(job),
            None => Some(job),
        }
    }

    /// Forgets a task that is at its end.
    pub(crate) fn remove(&self, id: u64) {
        let mut state = self.lock();
        state.ready.retain(|ready| *ready != id);
        let entry = state.tasks.remove(&id);
        drop(state);
        drop(entry);
    }

    /// Sets a timer, unless it would never fire.
    pub(crate) fn set_timer(&self, after: Duration, waker: &Waker) -> Option<Timer> {
        let waker = waker.clone();
        let mut state = self.lock();
        let at = state.elapsed.checked_add(after).filter(|at| *at <= Sim::HORIZON && !state.is_closed);
        let timer = (at?, state.next_id());
        state.timers.insert(timer, waker);
        Some(timer)
    }

    /// Tells whether a timer has fired. If not, it is this waker that it will wake.
    pub(crate) fn has_fired(&self, timer: Timer, waker: &Waker) -> bool {
        let mut waker = waker.clone();
        let mut state = self.lock();
        match state.timers.get_mut(&timer) {
            Some(there) => {
                // The former one is dropped after the lock.
                mem::swap(there, &mut waker);
                false
            }
            None => !state.is_closed,
        }
    }

    pub(crate) fn drop_timer(&self, timer: Timer) {
        let waker = self.lock().timers.remove(&timer);
        drop(waker);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.elapsed = state.elapsed.saturating_add(duration).min(Sim::HORIZON);
    }

    pub(crate) fn now(&self) -> SystemTime {
        let state = self.lock();
        let (set, when) = state.wall;
        set.checked_add(state.elapsed - when).unwrap_or(set)
    }

    pub(crate) fn set_clock(&self, time: SystemTime) {
        let mut state = self.lock();
        state.wall = (time, state.elapsed);
    }

    pub(crate) fn trace(&self) -> Trace {
        self.lock().trace
    }

    pub(crate) fn draw(&self, end: u64) -> u64 {
        self.lock().random.below(end)
    }

    /// Ends the world: every task is dropped, and nothing wakes any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.ready.clear();
        let (tasks, timers) = (mem::take(&mut state.tasks), mem::take(&mut state.timers));
        drop(state);
        drop(timers);
        for job in tasks.into_values().filter_map(|entry| entry.job) {
            job.discard();
        }
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let (all, ready) = (state.tasks.len(), state.ready.len());
        let tasks = if all == 1 { "task" } else { "tasks" };
        write!(f, "seed {}, step {}, ", state.seed, state.trace.steps())?;
        write!(f, "{:?} on the clock, {all} {tasks}, {ready} of them ready", state.elapsed)
    }
}

impl State {
    fn add(&mut self, shared: &Arc<Shared>, job: Option<Job>) -> (u64, Waker) {
        let id = self.next_id();
        let waker = Waker::from(Arc::new(Ready { shared: Arc::clone(shared), id }));
        self.tasks.insert(id, Entry { job, waker: waker.clone(), is_ready: false, is_cancelled: false });
        self.make_ready(id);
        (id, waker)
    }

    fn make_ready(&mut self, id: u64) {
        if let Some(entry) = self.tasks.get_mut(&id)
            && !mem::replace(&mut entry.is_ready, true)
        {
            self.ready.push(id);
        }
    }

    /// Takes a task that was picked, if it is still there.
    fn turn_of(&mut self, id: u64) -> Option<Turn> {
        let is_main = self.main == Some(id);
        let entry = self.tasks.get_mut(&id)?;
        entry.is_ready = false;
        match entry.job.take() {
            Some(job) if entry.is_cancelled => {
                self.tasks.remove(&id);
                Some(Turn::Drop(job))
            }
            Some(job) => Some(Turn::Poll(Running { id, job, waker: entry.waker.clone() })),
            None => is_main.then_some(Turn::PollMain),
        }
    }

    /// Counts the timers whose time has come.
    fn due(&self) -> usize {
        self.timers.range(..=(self.elapsed, u64::MAX)).count()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// The task of `block_on`, which ends with it, also by a panic.
pub(crate) struct Main<'a> {
    shared: &'a Shared,
    id: u64,
    waker: Waker,
}

impl Main<'_> {
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Drop for Main<'_> {
    fn drop(&mut self) {
        self.shared.remove(self.id);
        self.shared.lock().main = None;
    }
}

/// Makes a task ready, from any thread.
struct Ready {
    shared: Arc<Shared>,
    id: u64,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.lock().make_ready(self.id);
    }
}
