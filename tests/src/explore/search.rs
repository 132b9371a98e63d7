//! The search, breadth first, so that the first story of a broken rule is a shortest one.

use core::hash::{BuildHasherDefault, Hash, Hasher};
use std::{
    collections::{BTreeMap, HashSet, VecDeque, hash_map::DefaultHasher},
    time::{Duration, Instant},
};

use cloakroom_core::{Access, CommitError, CookieChange, End, Op, Outcome, RequestInfo, Step, Version};

use super::{
    names::{Content, Drawn, FIRST_EDIT, FOUNDER, KeyNo, NOW, Names, RENEWER, Setting},
    requests::{Cookie, Kind, Places, Report, Request},
    rules::{self, Broken, Opens, View},
    world::{Answer, Ask, Lineage, Progress, Slot, Verdict, World},
};

/// What to search.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The requests.
    pub kinds: Vec<Kind>,
    /// How many operations may go wrong.
    pub faults: u8,
    /// How many entries the store may drop.
    pub evictions: u8,
    /// The engine and the store.
    pub setting: Setting,
    /// Where the search gives up.
    pub max_worlds: usize,
}

impl Plan {
    /// Plans a search with the usual setting.
    pub fn new(kinds: &[Kind], faults: u8) -> Self {
        Self { kinds: kinds.to_vec(), faults, evictions: 0, setting: Setting::default(), max_worlds: 40_000_000 }
    }
}

/// What a search came to.
#[derive(Debug)]
pub struct Exploration {
    /// Worlds that were met.
    pub worlds: usize,
    /// Ways from one to another.
    pub moves: usize,
    /// Histories of requests that were met, each replayed on the machine.
    pub histories: usize,
    /// Every world that can be reached was met.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
    /// The rules that were broken, each with a shortest story.
    pub broken: BTreeMap<&'static str, String>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    /// The store drops an entry.
    Evict(KeyNo),
    /// A write lands whose answer was lost.
    Land(Ask),
    /// A request does its next operation.
    Operate(u8, How),
    /// A request starts, with its ticket and perhaps another, and does its first operation.
    Start(u8, KeyNo, Option<KeyNo>, How),
}

/// How an operation goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// The request is dropped; what it sent may land at any time.
    Dropped,
    /// The store cannot do it, and says so.
    Failed,
    /// The answer is lost; what was sent may land at any time.
    Unanswered,
    /// As it should.
    Well,
}

/// Visits every world that a plan can reach.
pub fn explore(plan: &Plan) -> Exploration {
    let mut search = Search::new(plan.clone());
    search.run()
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    pub(super) plan: Plan,
    pub(super) names: Names,
    pub(super) places: Places,
    /// The place that the last operation led to.
    pub(super) last: Option<u32>,
}

impl Search {
    /// Builds the engine.
    pub fn new(plan: Plan) -> Self {
        Self { names: Names::new(plan.setting), plan, places: Places::default(), last: None }
    }

    fn run(&mut self) -> Exploration {
        let started = Instant::now();
        let mut broken = BTreeMap::new();
        let mut moves = 0;
        let mut seen: HashSet<u128, BuildHasherDefault<Low>> = HashSet::default();
        let mut trail: Vec<(u32, Move)> = Vec::new();
        let mut queue = VecDeque::new();
        let start = self.start();
        seen.insert(digest(&start));
        trail.push((0, Move::Land(Ask::Load { key: KeyNo(0) })));
        queue.push_back((0_u32, start));
        while let Some((at, world)) = queue.pop_front() {
            if trail.len() >= self.plan.max_worlds {
                break;
            }
            for step in self.moves(&world) {
                moves += 1;
                let mut next = world.clone();
                let mut found = self.make(&mut next, step).1;
                let is_new = found.is_empty() && seen.insert(digest(&next));
                if is_new {
                    found = self.check(&next);
                }
                for (rule, how) in &found {
                    if !broken.contains_key(rule) {
                        broken.insert(*rule, self.story(&trail, at, step, how));
                    }
                }
                if is_new {
                    trail.push((at, step));
                    if found.is_empty() {
                        queue.push_back((u32::try_from(trail.len() - 1).expect("bounded"), next));
                    }
                }
            }
        }
        let (worlds, histories) = (trail.len(), self.places.len());
        Exploration { worlds, moves, histories, complete: queue.is_empty(), took: started.elapsed(), broken }
    }

    /// A session made by the machine, half of its idle time ago; once renewed, if the setting says so.
    pub(super) fn start(&mut self) -> World {
        let mut session = self.names.engine.open([], &RequestInfo::new());
        let Access::Ready(loaded) = session.access() else { panic!("there is no ticket") };
        loaded.insert(&FIRST_EDIT.to_string(), &1).expect("a new session");
        let Step::Io(io) = session.commit(NOW, &mut Drawn { author: FOUNDER, draw: 0 }) else { panic!("it creates") };
        let Op::Create { key, value, ttl } = io.op().clone() else { panic!("it creates") };
        let slot = Slot {
            value: Some(self.names.value_no(&key, &value)),
            version: 1,
            ttl: u32::try_from(ttl.as_secs() / 2).expect("short"),
        };
        let Step::Done(done) = io.resume(Outcome::Done(Version::from_u64(1)), NOW) else { panic!("it is done") };
        let CookieChange::Set(line) = done.cookie() else { panic!("it sets a ticket") };
        let ticket = self.names.learn(line);
        let mut world = World {
            slots: vec![slot],
            requests: vec![Progress::Idle; self.plan.kinds.len()],
            published: vec![(ticket, 0)],
            late: Vec::new(),
            verdicts: Vec::new(),
            ended: Vec::new(),
            faults: self.plan.faults,
            evictions: self.plan.evictions,
        };
        if self.plan.setting.starts_renewed {
            let request = Request { kind: Kind::Renew, number: RENEWER, ticket, second: None };
            let mut place = self.places.start(&mut self.names, request);
            while let Some(ask) = self.places.at(place).ask {
                let answer = world.apply(ask, self.plan.setting.store);
                place = self.places.after(&mut self.names, place, answer);
            }
            let cookie = self.places.at(place).reports.first().map(|report| report.cookie);
            let Some(Cookie::Set(renewed)) = cookie else { panic!("it sets a ticket") };
            world.publish(renewed, 0);
        }
        world
    }

    fn moves(&self, world: &World) -> Vec<Move> {
        let mut moves: Vec<Move> = world.late.iter().map(|ask| Move::Land(*ask)).collect();
        moves.dedup();
        if world.evictions > 0 {
            let held = (0..).zip(&world.slots).filter(|(_, slot)| slot.value.is_some());
            moves.extend(held.map(|(at, _)| Move::Evict(KeyNo(at))));
        }
        for (number, progress) in (0..).zip(&world.requests) {
            let kind = self.plan.kinds[usize::from(number)];
            match progress {
                Progress::Over => {}
                Progress::Idle => {
                    let is_waiting =
                        |earlier: usize| self.plan.kinds[earlier] == kind && world.requests[earlier] == Progress::Idle;
                    // Requests of one kind are the same but for their number: the first goes first.
                    if (0..usize::from(number)).any(is_waiting) {
                        continue;
                    }
                    for (at, (ticket, lineage)) in world.published.iter().enumerate() {
                        let others = world.published[at + 1..].iter().filter(|(_, other)| other == lineage);
                        let others = others.filter(|_| self.plan.setting.two_tickets).map(|(key, _)| Some(*key));
                        for second in core::iter::once(None).chain(others) {
                            moves.push(Move::Start(number, *ticket, second, How::Well));
                        }
                    }
                }
                Progress::Running(place, _) => {
                    let is_load = self.places.at(*place).ask.is_none_or(|ask| !ask.is_write());
                    moves.push(Move::Operate(number, How::Well));
                    if world.faults > 0 {
                        moves.push(Move::Operate(number, How::Failed));
                        moves.push(Move::Operate(number, How::Unanswered));
                        // What is dropped while it loads wrote nothing since: that is no other than not to go on.
                        if !is_load {
                            moves.push(Move::Operate(number, How::Dropped));
                        }
                    }
                }
            }
        }
        moves
    }

    /// Does a move. Returns the operation and its answer, if there was one, and what it broke.
    pub(super) fn make(&mut self, world: &mut World, step: Move) -> (Option<(Ask, Option<Answer>)>, Vec<Broken>) {
        let kind = self.plan.setting.store;
        let mut broken = Vec::new();
        let done = match step {
            Move::Evict(key) => {
                world.evict(key, kind);
                world.evictions -= 1;
                None
            }
            Move::Land(ask) => {
                let at = world.late.iter().position(|late| *late == ask).expect("it is late");
                world.late.remove(at);
                Some((ask, Some(world.apply(ask, kind))))
            }
            Move::Operate(number, how) => {
                let Progress::Running(place, lineage) = world.requests[usize::from(number)] else {
                    panic!("it is running")
                };
                Some(self.operate(world, number, place, lineage, how, &mut broken))
            }
            Move::Start(number, ticket, second, how) => {
                let request = Request { kind: self.plan.kinds[usize::from(number)], number, ticket, second };
                let place = self.places.start(&mut self.names, request);
                let lineage = world.published.iter().find(|(key, _)| *key == ticket).expect("it is published").1;
                Some(self.operate(world, number, place, lineage, how, &mut broken))
            }
        };
        let mut late = core::mem::take(&mut world.late);
        late.retain(|ask| world.may_land(*ask, kind));
        world.late = late;
        (done, broken)
    }

    fn operate(
        &mut self,
        world: &mut World,
        number: u8,
        place: u32,
        mut lineage: Lineage,
        how: How,
        broken: &mut Vec<Broken>,
    ) -> (Ask, Option<Answer>) {
        let ask = self.places.at(place).ask.expect("it asks for something");
        broken.extend(rules::minted_only(&self.names, ask).err());
        broken.extend(rules::touch_changes_nothing(world, ask).err());
        if how != How::Well {
            world.faults -= 1;
        }
        if matches!(how, How::Dropped | How::Unanswered) && ask.is_write() {
            world.late.push(ask);
            world.late.sort_unstable();
        }
        let answer = match how {
            How::Dropped => {
                world.requests[usize::from(number)] = Progress::Over;
                return (ask, None);
            }
            How::Failed => Answer::Failed,
            How::Unanswered => Answer::Unknown,
            How::Well => world.apply(ask, self.plan.setting.store),
        };
        let after = self.places.after(&mut self.names, place, answer);
        self.last = Some(after);
        for report in self.places.at(after).reports.clone() {
            lineage = self.take(world, &report, lineage);
            broken.extend(rules::honest_cookie(&self.plan, &self.names, world, &report).err());
            broken.extend(rules::honest_result(&self.plan, &self.names, world, &report).err());
        }
        let is_over = self.places.at(after).ask.is_none();
        world.requests[usize::from(number)] = if is_over { Progress::Over } else { Progress::Running(after, lineage) };
        (ask, Some(answer))
    }

    /// Takes what a commit told its request. Returns the lineage that the request is in after it.
    fn take(&self, world: &mut World, report: &Report, before: Lineage) -> Lineage {
        let is_sure = !world.may_vanish(&self.plan);
        let is_ended = match report.end {
            Some(End::Ended) => true,
            Some(End::AlreadyEnded) => is_sure,
            Some(End::NothingToEnd) => is_sure && report.result.is_ok(),
            _ => false,
        };
        if is_ended && !world.ended.contains(&before) {
            world.ended.push(before);
            world.ended.sort_unstable();
        }
        let Some(edit) = report.edit else {
            if let (Cookie::Set(key), true) = (report.cookie, report.last) {
                world.publish(key, before);
            }
            return before;
        };
        let makes = report.found.is_none() || report.destroys;
        let lineage = if makes { edit + 1 } else { before };
        match report.result {
            Ok(()) => world.verdicts.push(Verdict { edit, lineage, stored: true }),
            // It did not find what it should end, but made another; or it does not know.
            Err(CommitError::OutcomeUnknown | CommitError::Vanished) => {}
            Err(_) => world.verdicts.push(Verdict { edit, lineage, stored: false }),
        }
        world.verdicts.sort_unstable();
        let goes_on = report.result.is_ok() || matches!(report.cookie, Cookie::Set(_));
        let lineage = if makes && !goes_on { before } else { lineage };
        if let (Cookie::Set(key), true) = (report.cookie, report.last) {
            world.publish(key, lineage);
        }
        lineage
    }

    pub(super) fn check(&mut self, world: &World) -> Vec<Broken> {
        let mut opens = Vec::new();
        for (ticket, lineage) in &world.published {
            opens.push((*ticket, *lineage, self.look(world, *ticket)));
        }
        rules::check(&View { plan: &self.plan, names: &self.names, world, opens })
    }

    /// Asks the machine what a ticket is worth.
    fn look(&mut self, world: &World, ticket: KeyNo) -> Opens {
        let request = Request { kind: Kind::Look, number: 0, ticket, second: None };
        let mut place = self.places.start(&mut self.names, request);
        let mut last = ticket;
        while let Some(ask) = self.places.at(place).ask {
            last = ask.key();
            let answer = world.clone().apply(ask, self.plan.setting.store);
            place = self.places.after(&mut self.names, place, answer);
        }
        let held = world.slot(last).value;
        match (self.places.at(place).found, held.map(|value| (value, self.names.content(value)))) {
            (Some(key), Some((value, _))) => Opens::Record(key, value),
            (_, None) => Opens::Absent,
            (None, Some((_, Content::Ended(by)))) => Opens::Ended(*by),
            (None, Some((_, Content::Moved(_, true)))) => Opens::Closed,
            (None, Some(_)) => Opens::Absent,
        }
    }
}

fn digest(world: &World) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        hasher.finish()
    };
    (u128::from(half(1)) << 64) | u128::from(half(2))
}

/// The low bits of what is a hash already.
#[derive(Debug, Default)]
struct Low(u64);

impl Hasher for Low {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
