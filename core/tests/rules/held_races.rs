//! Sessions that are held in the cookie, under every order in which a few requests can take their steps, with any cookie
//! that a client was ever given, and with an operation that goes wrong anywhere.

use cloakroom_core::{CookieChange, CookieHeld, Done, End, Login, RosterStep, Session, Step, Which};

use crate::common::{Fault, World, add, ticket};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Change,
    Destroy,
    Elevate,
    EndAll,
    EndOthers,
    Login,
}

use Kind::{Change, Destroy, Elevate, EndAll, EndOthers};

const ALL: [Kind; 6] = [Change, Destroy, Elevate, EndAll, EndOthers, Kind::Login];

/// A cookie that a client was given.
#[derive(Clone)]
struct Given {
    cookie: String,
    /// The session at the start is 0; a login begins another.
    lineage: usize,
    /// Elevations before it.
    level: usize,
    /// Somebody is signed in.
    is_users: bool,
}

enum Progress {
    Idle,
    Loaded(Session),
    Committing(Step),
    Ending(RosterStep<u64>),
    Over,
}

struct Request {
    kind: Kind,
    progress: Progress,
    /// The cookie that it came with.
    from: usize,
    /// It came with a cookie that opened nothing.
    is_new: bool,
    /// How many cookies had been given when it started.
    known: usize,
}

/// Picks the way at each fork; all ways are gone one after the other.
#[derive(Default)]
struct Ways {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Ways {
    fn pick(&mut self, among: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, among));
        }
        let (choice, known) = self.taken[self.at];
        assert_eq!(known, among, "a run is a function of its choices");
        self.at += 1;
        choice
    }

    /// Goes on to the next way, if there is one.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, among)) = self.taken.pop() {
            if choice + 1 < among {
                self.taken.push((choice + 1, among));
                return true;
            }
        }
        false
    }
}

struct Run<'w> {
    w: World,
    ways: &'w mut Ways,
    given: Vec<Given>,
    requests: Vec<Request>,
    /// Lineages whose end was acknowledged.
    ended: Vec<usize>,
    /// Cookies that acknowledged ends of many, logins and elevations gave up.
    dead: Vec<usize>,
    faults: usize,
    lineages: usize,
    /// What happened, for who reads a failure.
    story: Vec<String>,
}

impl Run<'_> {
    /// Lets one request take one step.
    fn step(&mut self) -> bool {
        let ready: Vec<usize> =
            (0..self.requests.len()).filter(|&at| !matches!(self.requests[at].progress, Progress::Over)).collect();
        if ready.is_empty() {
            return false;
        }
        let at = ready[self.ways.pick(ready.len())];
        let progress = std::mem::replace(&mut self.requests[at].progress, Progress::Over);
        let kind = self.requests[at].kind;
        self.story.push(match &progress {
            Progress::Committing(Step::Io(io)) => format!("{at} {kind:?} does {:?}", io.op().kind()),
            Progress::Ending(RosterStep::Io(io)) => format!("{at} {kind:?} does {:?}", io.op().kind()),
            Progress::Loaded(_) => format!("{at} {kind:?} commits"),
            _ => format!("{at} {kind:?} starts"),
        });
        let next = match progress {
            Progress::Idle => self.start(at),
            Progress::Loaded(session) => {
                let step = self.w.start(session);
                self.settle(at, step)
            }
            Progress::Committing(step) => {
                self.go_wrong();
                let step = self.w.resume(step);
                self.settle(at, step)
            }
            Progress::Ending(step) => {
                self.go_wrong();
                let step = self.w.advance(step);
                self.settle_many(at, step)
            }
            Progress::Over => unreachable!("it is not ready"),
        };
        self.requests[at].progress = next;
        true
    }

    fn go_wrong(&mut self) {
        if self.faults > 0 {
            let choice = self.ways.pick(1 + Fault::ALL.len());
            if choice > 0 {
                self.faults -= 1;
                self.w.store.fault(0, Fault::ALL[choice - 1]);
                self.story.push(format!("{:?}", Fault::ALL[choice - 1]));
            }
        }
    }

    fn start(&mut self, at: usize) -> Progress {
        // The first cookie that was given, or the last; of more requests, the first.
        let last = if self.requests.len() > 2 { 0 } else { self.given.len() - 1 };
        let from = if last > 0 { self.ways.pick(2) * last } else { 0 };
        let (kind, cookie) = (self.requests[at].kind, self.given[from].cookie.clone());
        self.story.push(format!("with cookie {from}"));
        self.requests[at].from = from;
        self.requests[at].known = self.given.len();
        if matches!(kind, EndAll | EndOthers) {
            let which = if kind == EndAll { Which::All } else { Which::Others };
            let step = self.w.ending("alice", which, &cookie);
            return self.settle_many(at, step);
        }
        let is_new = &mut self.requests[at].is_new;
        Progress::Loaded(self.w.slow(&cookie, |loaded| {
            *is_new = loaded.is_new();
            match kind {
                Change => add(1)(loaded),
                Destroy => loaded.destroy(),
                // Nobody is signed in behind what ended.
                Elevate => drop(loaded.elevate()),
                _ => loaded.login("alice", Login::new()).unwrap(),
            }
        }))
    }

    fn settle(&mut self, at: usize, step: Step) -> Progress {
        match step {
            Step::Io(_) => return Progress::Committing(step),
            Step::Done(done) => self.answered(at, &done),
        }
        Progress::Over
    }

    fn answered(&mut self, at: usize, done: &Done) {
        let Request { kind, from, is_new, .. } = self.requests[at];
        let Given { lineage, level, is_users, .. } = self.given[from];
        if done.end() == Some(End::Ended) {
            self.ended.push(lineage);
        }
        assert!(!matches!(done.cookie(), CookieChange::Clear(_)) || done.end() == Some(End::Ended), "a removal");
        self.story.push(format!("{at} is told {:?}, {:?}, {}", done.result(), done.end(), done.cookie().name()));
        let Some(cookie) = ticket(done) else { return };
        assert_eq!(done.result(), Ok(()), "a cookie of a commit that failed");
        let given = match kind {
            Kind::Login => {
                self.lineages += 1;
                // The session that it came from ended.
                self.ended.push(lineage);
                Given { cookie, lineage: self.lineages, level: 0, is_users: true }
            }
            Elevate => {
                let is_old = |given: &Given| given.lineage == lineage && given.level <= level;
                self.dead.extend((0..self.given.len()).filter(|&at| is_old(&self.given[at])));
                Given { cookie, lineage, level: level + 1, is_users }
            }
            _ if is_new => {
                self.lineages += 1;
                Given { cookie, lineage: self.lineages, level: 0, is_users: false }
            }
            _ => Given { cookie, lineage, level, is_users },
        };
        self.given.push(given);
    }

    fn settle_many(&mut self, at: usize, step: RosterStep<u64>) -> Progress {
        match step {
            RosterStep::Io(_) => return Progress::Ending(step),
            RosterStep::Done(Err(error)) => self.story.push(format!("{at} is told {error}")),
            RosterStep::Done(Ok(_)) => {
                let Request { kind, from, known, .. } = self.requests[at];
                let own = self.given[from].lineage;
                let ends = |given: &Given| given.is_users && (kind == EndAll || given.lineage != own);
                self.dead.extend((0..known).filter(|&at| ends(&self.given[at])));
            }
        }
        Progress::Over
    }

    /// Nothing that was acknowledged to be over opens.
    fn check(&mut self) {
        self.w.store.heal();
        self.w.store.land();
        for (at, given) in self.given.iter().enumerate() {
            if self.ended.contains(&given.lineage) || self.dead.contains(&at) {
                assert!(!self.w.opens(&given.cookie), "cookie {at} opens:\n{}", self.story.join("\n"));
            }
        }
    }
}

/// Goes all ways of the requests, and tells how many there were.
fn all_ways(kinds: &[Kind], faults: usize) -> usize {
    let mut first = World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted()));
    let start = ticket(&first.log_in("", "alice")).unwrap();
    let mut ways = Ways::default();
    let mut count = 0;
    loop {
        let given = vec![Given { cookie: start.clone(), lineage: 0, level: 0, is_users: true }];
        let request = |&kind: &Kind| Request { kind, progress: Progress::Idle, from: 0, is_new: false, known: 0 };
        let requests = kinds.iter().map(request).collect();
        let (ended, dead) = (Vec::new(), Vec::new());
        let mut run = Run {
            w: first.clone(),
            ways: &mut ways,
            given,
            requests,
            ended,
            dead,
            faults,
            lineages: 0,
            story: Vec::new(),
        };
        while run.step() {}
        run.check();
        count += 1;
        if !ways.next() {
            return count;
        }
    }
}

fn pairs() -> impl Iterator<Item = [Kind; 2]> {
    ALL.iter().flat_map(|&a| ALL.iter().filter(move |b| a <= **b).map(move |&b| [a, b]))
}

#[test]
fn any_two_requests_and_a_fault_bring_nothing_back() {
    let count: usize = pairs().map(|kinds| all_ways(&kinds, 1)).sum();
    println!("{count} ways");
    assert!(count > 1_000, "{count}");
}

#[test]
fn three_requests_bring_nothing_back() {
    let kinds = [[Destroy, Elevate, EndAll], [Elevate, EndOthers, Kind::Login]];
    let count: usize = kinds.iter().map(|kinds| all_ways(kinds, 0)).sum();
    println!("{count} ways");
    assert!(count > 1_000, "{count}");
}
