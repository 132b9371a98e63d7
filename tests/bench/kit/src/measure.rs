//! Runs the scenarios of a system in process.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use crate::{
    allocations::allocated_by,
    app::App,
    figure::Figure,
    jar::Jar,
    scenario::{SCENARIOS, Scenario, Visit},
};

/// Calls before anything is measured.
const WARM_UP: usize = 50;
/// Calls whose allocations are counted; and those whose instructions are, which costs fifty times as much.
const COUNTED: usize = 64;
const UNDER_CALLGRIND: usize = 16;
const WARM_UP_UNDER_CALLGRIND: usize = 8;
/// The calls between two looks at the clock.
const BATCH: usize = 64;

/// Measures time and allocations of each scenario, and prints them. Times are the median of batches, for so long each.
///
/// # Panics
///
/// Where the system answers anything but 200: what is fast because it fails is not fast.
pub async fn measure_in_process<A: App>(system: &str, app: &A, patience: Duration) {
    for scenario in SCENARIOS.into_iter().filter(|scenario| app.can(scenario.visit)) {
        let mut client = Client::new(app, scenario).await;
        client.visit(WARM_UP).await;
        let bench = scenario.name();
        let mut calls = Vec::with_capacity(COUNTED);
        let mut bytes = Vec::with_capacity(COUNTED);
        for _ in 0..COUNTED {
            let request = client.request();
            let (response, allocated) = allocated_by(async { black_box(app.call(request).await) }).await;
            calls.push(allocated.calls as f64);
            bytes.push(allocated.bytes as f64);
            client.take(response);
        }
        Figure::new(&bench, system, "allocations", median(&mut calls), "1/request").print();
        Figure::new(&bench, system, "allocated", median(&mut bytes), "B/request").print();
        let (began, mut times) = (Instant::now(), Vec::new());
        while began.elapsed() < patience || times.len() < 5 {
            times.push(client.time(BATCH).await.as_nanos() as f64 / BATCH as f64);
        }
        Figure::new(&bench, system, "time", median(&mut times), "ns/request").print();
    }
}

/// Counts each scenario under callgrind.
///
/// # Panics
///
/// As [`measure_in_process`].
pub async fn count_instructions<A: App>(app: &A) {
    for scenario in SCENARIOS.into_iter().filter(|scenario| app.can(scenario.visit)) {
        let mut client = Client::new(app, scenario).await;
        client.visit(WARM_UP_UNDER_CALLGRIND).await;
        // A rotation has to look at each response before the next request.
        let (times, calls) = if scenario.visit == Visit::Rotate { (UNDER_CALLGRIND, 1) } else { (1, UNDER_CALLGRIND) };
        for _ in 0..times {
            let requests: Vec<_> = (0..calls).map(|_| client.request()).collect();
            let mut responses = Vec::with_capacity(calls);
            begin_counting();
            for request in requests {
                responses.push(black_box(app.call(request).await));
            }
            end_counting(&scenario.name(), calls);
            responses.into_iter().for_each(|response| client.take(response));
        }
    }
}

/// Is called where callgrind is to dump what it has counted: `--dump-before=bench_kit::measure::mark`.
#[inline(never)]
fn mark() {
    black_box(());
}

/// Begins to count instructions, under callgrind.
pub fn begin_counting() {
    // Told before the mark: what telling costs is none of what follows.
    tell_dump("-", 0);
    mark();
}

/// Ends what was begun, and tells what it was, and how often it was done.
pub fn end_counting(label: &str, times: usize) {
    mark();
    tell_dump(label, times);
}

/// Says what the dump before a [`mark`] is of; `-` for what is not counted.
fn tell_dump(label: &str, times: usize) {
    println!("{label}\t{times}");
}

/// Returns the value in the middle, or between the two there; not a number where there is none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.get(half.saturating_sub(1)..=half) {
        Some(&[below, above]) if values.len().is_multiple_of(2) => (below + above) / 2.0,
        Some(&[.., middle]) => middle,
        _ => f64::NAN,
    }
}

/// One who does one thing over and over.
struct Client<'a, A: App> {
    app: &'a A,
    scenario: Scenario,
    jar: Jar,
    cookie: Option<String>,
}

impl<'a, A: App> Client<'a, A> {
    /// Prepares the session that the scenario needs.
    async fn new(app: &'a A, scenario: Scenario) -> Self {
        let mut client = Self { app, scenario, jar: Jar::default(), cookie: None };
        if !matches!(scenario.visit, Visit::New | Visit::NoCookie) {
            for path in [format!("/fill/{}", scenario.shape), "/change".to_owned()] {
                let cookie = client.jar.header(0);
                let response = app.call(app.request(&path, cookie.as_deref())).await;
                let (status, cookies) = A::answer(&response);
                assert_eq!(status, 200, "{path} answers");
                client.jar.take(&cookies);
            }
        }
        if matches!(scenario.visit, Visit::Forged | Visit::ForgedRead) && client.jar.header(0).is_some() {
            client.jar = client.jar.forged();
        }
        client.cookie = client.jar.header(scenario.foreign);
        client
    }

    fn request(&self) -> A::Request {
        self.app.request(self.scenario.visit.path(), self.cookie.as_deref())
    }

    /// Looks at a response; the client goes on with a session whose id is another.
    fn take(&mut self, response: A::Response) {
        let (status, cookies) = A::answer(&response);
        assert_eq!(status, 200, "{} answers", self.scenario.name());
        if self.scenario.visit == Visit::Rotate {
            self.jar.take(&cookies);
            self.cookie = self.jar.header(self.scenario.foreign);
        }
    }

    async fn visit(&mut self, times: usize) {
        for _ in 0..times {
            let response = self.app.call(self.request()).await;
            self.take(response);
        }
    }

    /// Returns how long so many calls take. Making requests and looking at responses is no part of it; a rotation has to look
    /// at each response before the next request.
    async fn time(&mut self, calls: usize) -> Duration {
        if self.scenario.visit == Visit::Rotate {
            let mut sum = Duration::ZERO;
            for _ in 0..calls {
                let request = self.request();
                let began = Instant::now();
                let response = black_box(self.app.call(request).await);
                sum += began.elapsed();
                self.take(response);
            }
            return sum;
        }
        let requests: Vec<_> = (0..calls).map(|_| self.request()).collect();
        let mut responses = Vec::with_capacity(calls);
        let began = Instant::now();
        for request in requests {
            responses.push(black_box(self.app.call(request).await));
        }
        let time = began.elapsed();
        responses.into_iter().for_each(|response| self.take(response));
        time
    }
}
