//! The search, breadth first, so that the first story of a broken rule is a shortest one.

use core::hash::{BuildHasherDefault, Hash, Hasher};
use std::{
    collections::{BTreeMap, HashSet, VecDeque, hash_map::DefaultHasher},
    time::{Duration, Instant},
};

use cloakroom_core::{
    Access, CommitError, CookieChange, End, Login, Op, Outcome, RequestInfo, Step, Version, limits::DEFAULT_MAX_REQUEST,
};

use super::{
    names::{At, Content, Drawn, FIRST_EDIT, FOUNDER, KeyNo, NOW, Names, RENEWER, SUM, Setting, USER, seconds},
    requests::{Cookie, Heard, Kind, Places, Report, Request},
    rules::{self, Broken, LeadsTo, Ticket, View},
    world::{Answer, Ask, Lineage, Mark, NOBODYS, Progress, Slot, Verdict, World},
};

/// What to search.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The requests.
    pub kinds: Vec<Kind>,
    /// How many things may go wrong.
    pub faults: u8,
    /// How many of them may be entries that the store drops.
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
    /// The most bytes that were in use for the worlds at a time, to a few percent.
    pub bytes: usize,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    /// The process is gone, with all its requests; what they sent may land at any time.
    Crash,
    /// The store drops an entry.
    Evict(KeyNo),
    /// A write lands whose answer was lost.
    Land(Ask),
    /// A request does its next operation.
    Operate(u8, How),
    /// Time passes. The requests of a set, by bits, go on only afterwards; what others sent is on its way meanwhile.
    Pass(u8, At, u8),
    /// A request starts, with its tickets, and does its first operation.
    Start(u8, [Option<KeyNo>; 2], How),
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
    /// What requests were told with the last move.
    pub(super) told: Vec<(u8, Report)>,
}

impl Search {
    /// Builds the engine.
    pub fn new(plan: Plan) -> Self {
        Self { names: Names::new(plan.setting), plan, places: Places::default(), told: Vec::new() }
    }

    fn run(&mut self) -> Exploration {
        let started = Instant::now();
        let mut broken = BTreeMap::new();
        let mut moves = 0;
        let mut seen: HashSet<u128, BuildHasherDefault<Low>> = HashSet::default();
        // Where a world was reached from, and by which of the moves there.
        let mut trail: Vec<(u32, u16)> = Vec::new();
        let mut queue = VecDeque::new();
        let mut bytes = 0;
        let start = self.start();
        seen.insert(digest(&start));
        trail.push((0, 0));
        queue.push_back((0_u32, start));
        while let Some((at, world)) = queue.pop_front() {
            if trail.len() >= self.plan.max_worlds {
                queue.push_front((at, world));
                break;
            }
            if at % 1024 == 0 {
                let waiting = queue.len() * (size_of::<(u32, World)>() + world.heap());
                bytes = bytes.max(waiting + seen.capacity() * 18 + trail.capacity() * size_of::<(u32, u16)>());
            }
            for (step, index) in self.moves(&world).into_iter().zip(0..) {
                moves += 1;
                let mut next = world.clone();
                let mut found = self.make(&mut next, step).1;
                let is_new = found.is_empty() && seen.insert(digest(&next));
                // What a move broke may show in the world too, and that tells the reader more.
                if is_new || !found.is_empty() {
                    found.extend(self.check(&next));
                }
                for (rule, how) in &found {
                    if !broken.contains_key(rule) {
                        broken.insert(*rule, self.story(&trail, at, index, how));
                    }
                }
                if is_new {
                    trail.push((at, index));
                    if found.is_empty() {
                        queue.push_back((u32::try_from(trail.len() - 1).expect("bounded"), next));
                    }
                }
            }
        }
        let (worlds, histories) = (trail.len(), self.places.len());
        let (complete, took) = (queue.is_empty(), started.elapsed());
        Exploration { worlds, moves, histories, complete, took, broken, bytes }
    }

    /// A session made by the machine, half of its idle time ago; once renewed, if the setting says so.
    pub(super) fn start(&mut self) -> World {
        let mut session = self.names.engine.open([], &RequestInfo::new());
        let Access::Ready(loaded) = session.access() else { panic!("there is no ticket") };
        if self.plan.setting.signed_in {
            loaded.login(USER, Login::new()).expect("a user");
        }
        loaded.insert(&FIRST_EDIT.to_string(), &1).expect("a new session");
        loaded.insert(SUM, &1).expect("a new session");
        let Step::Io(io) = session.commit(NOW, &mut Drawn { author: FOUNDER, draw: 0 }) else { panic!("it creates") };
        let Op::Create { key, value, ttl } = io.op().clone() else { panic!("it creates") };
        let slot = Slot {
            value: Some(self.names.value_no(&key, &value)),
            version: 1,
            expires: seconds(&ttl) / 2,
            lapsed: None,
        };
        let mut index = Vec::new();
        let done = match io.resume(Outcome::Done(Version::from_u64(1)), NOW) {
            Step::Done(done) => done,
            Step::Io(io) => {
                let Op::Enroll { member, ttl, .. } = io.op() else { panic!("it enrolls") };
                index.push((self.names.key_no(member), seconds(ttl)));
                let Step::Done(done) = io.resume(Outcome::Indexed, NOW) else { panic!("it is done") };
                done
            }
        };
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
            now: 0,
            presented: 0,
            index,
            given_up: 0,
            marks: Vec::new(),
            carried: Vec::new(),
        };
        if self.plan.setting.starts_renewed {
            let request = Request { kind: Kind::Renew, number: RENEWER, tickets: [Some(ticket), None] };
            let mut place = self.places.start(&mut self.names, request);
            while let Some(ask) = self.places.at(place).ask {
                let answer = world.apply(ask, self.plan.setting.store);
                place = self.places.after(&mut self.names, place, Heard { answer, at: 0, heard: 0 });
            }
            let cookie = self.places.at(place).reports.first().map(|report| report.cookie);
            let Some(Cookie::Set(renewed)) = cookie else { panic!("it sets a ticket") };
            world.publish(renewed, 0);
            world.presented |= 1 << ticket.0;
        }
        world
    }

    /// What can happen in a world, in an order that is always the same.
    pub(super) fn moves(&self, world: &World) -> Vec<Move> {
        let mut moves: Vec<Move> = world.late.iter().map(|ask| Move::Land(*ask)).collect();
        moves.dedup();
        if world.faults > 0 && world.evictions > 0 {
            let held = (0..).zip(&world.slots).filter(|(_, slot)| slot.value.is_some());
            moves.extend(held.map(|(at, _)| Move::Evict(KeyNo(at))));
        }
        // One that writes and is gone is dropped, and one that loads just does not go on.
        if world.faults > 0 && self.running(world).filter(|(_, place)| self.writes(*place)).count() > 1 {
            moves.push(Move::Crash);
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
                    match kind {
                        Kind::Expire => self.passes(world, number, &mut moves),
                        Kind::Begin | Kind::EndAll => {
                            let hows = [How::Well, How::Failed, How::Unanswered, How::Dropped];
                            let hows = hows.into_iter().take(if world.faults > 0 { 4 } else { 1 });
                            moves.extend(hows.map(|how| Move::Start(number, [None; 2], how)));
                        }
                        _ => {}
                    }
                    if matches!(kind, Kind::Begin | Kind::EndAll | Kind::Expire) {
                        continue;
                    }
                    for (at, (ticket, lineage)) in world.published.iter().enumerate() {
                        let others = world.published[at + 1..].iter().filter(|(_, other)| other == lineage);
                        let others = others.filter(|_| self.plan.setting.two_tickets).map(|(key, _)| Some(*key));
                        for second in core::iter::once(None).chain(others) {
                            moves.push(Move::Start(number, [Some(*ticket), second], How::Well));
                        }
                    }
                }
                Progress::Running(place, _) => {
                    moves.push(Move::Operate(number, How::Well));
                    if world.faults > 0 {
                        moves.push(Move::Operate(number, How::Failed));
                        moves.push(Move::Operate(number, How::Unanswered));
                        // What is dropped while it loads wrote nothing since: that is no other than not to go on.
                        if self.writes(*place) {
                            moves.push(Move::Operate(number, How::Dropped));
                        }
                    }
                }
            }
        }
        moves
    }

    /// The requests that are under way, and where.
    fn running(&self, world: &World) -> impl Iterator<Item = (u8, u32)> {
        (0..).zip(&world.requests).filter_map(|(number, progress)| match progress {
            Progress::Running(place, _) => Some((number, *place)),
            Progress::Idle | Progress::Over => None,
        })
    }

    fn writes(&self, place: u32) -> bool {
        self.places.at(place).ask.is_some_and(Ask::is_write)
    }

    /// The moments at which something changes: an entry runs out, a pointer closes, a request has become too old.
    fn passes(&self, world: &World, number: u8, moves: &mut Vec<Move>) {
        let too_late = |since: At| since + seconds(&DEFAULT_MAX_REQUEST) + 1;
        let mut moments: Vec<At> =
            self.running(world).filter_map(|(_, place)| self.places.at(place).since.map(too_late)).collect();
        for slot in &world.slots {
            let Some(value) = slot.value else { continue };
            moments.push(slot.expires);
            if let Content::Moved(_, Some(closes_at)) = self.names.content(value) {
                moments.push(*closes_at);
            }
        }
        moments.retain(|at| *at > world.now);
        moments.sort_unstable();
        moments.dedup();
        let running = self.running(world).fold(0_u8, |set, (number, _)| set | 1 << number);
        for at in moments {
            moves.extend((0..=running).filter(|set| set & !running == 0).map(|set| Move::Pass(number, at, set)));
        }
    }

    /// Does a move. Returns the operation and its answer, if there was one, and what it broke.
    pub(super) fn make(&mut self, world: &mut World, step: Move) -> (Option<(Ask, Option<Answer>)>, Vec<Broken>) {
        let kind = self.plan.setting.store;
        let mut broken = Vec::new();
        self.told.clear();
        let done = match step {
            Move::Crash => {
                world.faults -= 1;
                for (number, place) in self.running(world).collect::<Vec<_>>() {
                    world.late.extend(self.places.at(place).ask.filter(|ask| ask.is_write()));
                    world.requests[usize::from(number)] = Progress::Over;
                }
                world.late.sort_unstable();
                None
            }
            Move::Evict(key) => {
                world.evict(key, kind);
                world.faults -= 1;
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
            Move::Pass(number, to, behind) => {
                world.pass(to, kind);
                world.requests[usize::from(number)] = Progress::Over;
                for number in (0..8).filter(|number| behind & (1 << number) != 0) {
                    let Progress::Running(place, lineage) = world.requests[usize::from(number)] else {
                        panic!("it is running")
                    };
                    let later = self.places.later(&mut self.names, place, to);
                    let told = self.places.at(place).reports.len();
                    self.told(world, number, later, told, lineage, &mut broken);
                }
                None
            }
            Move::Start(number, tickets, how) => {
                let request = Request { kind: self.plan.kinds[usize::from(number)], number, tickets };
                let place = self.places.start(&mut self.names, request);
                for ticket in tickets.iter().flatten() {
                    world.presented |= 1 << ticket.0;
                }
                let known = world.published.iter().find(|(key, _)| Some(*key) == tickets[0]);
                let lineage = known.map_or(NOBODYS, |(_, lineage)| *lineage);
                if request.kind.ends_many() {
                    let published = world.published.iter().fold(0, |bits, (key, _)| bits | 1 << key.0);
                    world.marks.push(Mark { number, own: lineage, published });
                    world.marks.sort_unstable_by_key(|mark| mark.number);
                }
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
        lineage: Lineage,
        how: How,
        broken: &mut Vec<Broken>,
    ) -> (Ask, Option<Answer>) {
        let ask = self.places.at(place).ask.expect("it asks for something");
        let kind = self.plan.kinds[usize::from(number)];
        broken.extend(rules::minted_only(&self.names, ask).err());
        broken.extend(rules::touch_changes_nothing(world, ask).err());
        broken.extend(rules::lives_long_enough(&self.names, world, ask).err());
        broken.extend(rules::closes_once(&self.plan, &self.names, world, ask).err());
        broken.extend(rules::renews_what_was_presented(&self.names, world, kind, ask).err());
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
        let heard = Heard { answer, at: world.now, heard: world.now };
        let after = self.places.after(&mut self.names, place, heard);
        self.told(world, number, after, 0, lineage, broken);
        (ask, Some(answer))
    }

    /// A request is at a place, and told what its commits came to on the way there.
    fn told(
        &mut self,
        world: &mut World,
        number: u8,
        place: u32,
        known: usize,
        mut lineage: Lineage,
        broken: &mut Vec<Broken>,
    ) {
        for report in self.places.at(place).reports.iter().skip(known).cloned().collect::<Vec<_>>() {
            if self.plan.kinds.get(usize::from(number)).is_some_and(|kind| kind.ends_many()) {
                self.take_ends(world, number, &report);
            } else {
                lineage = self.take(world, place, &report, lineage);
            }
            broken.extend(rules::honest_cookie(&self.plan, &self.names, world, number, &report).err());
            broken.extend(rules::honest_result(&self.plan, &self.names, world, &report).err());
            broken.extend(rules::keeps_its_ticket(&self.names, world, self.places.at(place).request, &report).err());
            self.told.push((number, report));
        }
        let is_over = self.places.at(place).ask.is_none();
        world.requests[usize::from(number)] = if is_over { Progress::Over } else { Progress::Running(place, lineage) };
    }

    /// Takes what a request was told that ends many sessions: those are over that were out when it started.
    fn take_ends(&self, world: &mut World, number: u8, report: &Report) {
        if report.result.is_err() || world.may_vanish(&self.plan) {
            return;
        }
        let Some(mark) = world.marks.iter().find(|mark| mark.number == number).copied() else { return };
        let spared = (self.plan.kinds[usize::from(number)] == Kind::EndOthers).then_some(mark.own);
        for (key, lineage) in world.published.clone() {
            let was_out = mark.published & (1 << key.0) != 0;
            if was_out && self.is_users(lineage) && Some(lineage) != spared && !world.ended.contains(&lineage) {
                world.ended.push(lineage);
            }
        }
        world.ended.sort_unstable();
    }

    /// Tells whether the sessions of a lineage are the user's.
    fn is_users(&self, lineage: Lineage) -> bool {
        match lineage {
            0 => self.plan.setting.signed_in,
            NOBODYS => false,
            made => self.plan.kinds.get(usize::from(made - 1) / 2).is_some_and(|kind| kind.signs_in()),
        }
    }

    /// Takes what a commit told its request. Returns the lineage that the request is in after it.
    fn take(&self, world: &mut World, place: u32, report: &Report, before: Lineage) -> Lineage {
        let is_sure = !world.may_vanish(&self.plan);
        let is_ended = match report.end {
            Some(End::Ended) => true,
            Some(End::AlreadyEnded) => is_sure,
            Some(End::NothingToEnd) => is_sure && !world.has_lapsed() && report.result.is_ok(),
            _ => false,
        };
        if is_ended && !world.ended.contains(&before) {
            world.ended.push(before);
            world.ended.sort_unstable();
        }
        if report.elevates && report.result.is_ok() {
            let old = world.published.iter().filter(|(_, lineage)| *lineage == before);
            world.given_up |= old.fold(0, |bits, (key, _)| bits | 1 << key.0);
        }
        if report.signs_in && report.result.is_ok() && report.found.is_some() && before != NOBODYS {
            if is_sure && !world.ended.contains(&before) {
                world.ended.push(before);
                world.ended.sort_unstable();
            }
            let carries = self.places.at(place).request.kind == Kind::LoginCarry;
            if let (true, Some(edit)) = (carries, report.edit) {
                world.carried.push((before, edit + 1));
                world.carried.sort_unstable();
            }
        }
        let Some(edit) = report.edit else {
            if let (Cookie::Set(key), true) = (report.cookie, report.last) {
                world.publish(key, before);
            }
            return before;
        };
        if report.dropped {
            world.verdicts.push(Verdict { edit, lineage: before, stored: false });
            world.verdicts.sort_unstable();
            return before;
        }
        let makes = report.found.is_none() || report.destroys || report.signs_in;
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
        let tickets: Vec<Ticket> = world.published.iter().map(|known| self.look(world, *known)).collect();
        rules::check(&View { plan: &self.plan, names: &self.names, world, tickets })
    }

    /// Sees where a ticket leads to, and asks the machine what it opens.
    fn look(&mut self, world: &World, (key, lineage): (KeyNo, Lineage)) -> Ticket {
        let request = Request { kind: Kind::Look, number: 0, tickets: [Some(key), None] };
        let mut place = self.places.start(&mut self.names, request);
        while let Some(ask) = self.places.at(place).ask {
            let answer = world.clone().apply(ask, self.plan.setting.store);
            place = self.places.after(&mut self.names, place, Heard { answer, at: world.now, heard: world.now });
        }
        Ticket { key, lineage, leads_to: LeadsTo::of(key, &self.names, world), found: self.places.at(place).found }
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
