//! A schedule: episodes of requests at once, and between them the time that passes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloakroom_core::{
    Codec, EndCause, Ended, Engine, Entry, Event, Handle, JsonCodec, Nonce, RequestInfo, UnixTime, Value,
};
use cloakroom_runtime::run;
use cloakroom_sim::Sim;
use cloakroom_store::{Sessions, StoreFailure};
use futures_util::future::join_all;

use super::{
    model::{No, Reader, View},
    node::{Node, engine},
    requests::{Plan, SharedJar, lock, send},
    routes::{Told, view},
    rules::broken,
    setting::{HOUR, SECOND, Setting},
    store::Shelf,
    world::{Kind, World},
    wrong::Wrong,
};

/// What the tickets of a session open.
struct Seen {
    handles: Vec<Handle>,
    view: View,
}

pub(super) struct Schedule {
    world: World,
    setting: Setting,
    shelf: Shelf,
    engines: [Engine; 2],
    nodes: Vec<Arc<Node>>,
    /// Nodes that were replaced.
    former: Vec<Arc<Node>>,
    jars: Vec<SharedJar>,
    probe: Sessions,
}

impl Schedule {
    pub(super) fn new(world: &World, setting: &Setting, wrong: Wrong) -> Self {
        let shelf = Shelf::new(world.clone(), setting.clone(), wrong);
        let before = engine(setting, false);
        let after = if setting.rotates_ring.is_some() { engine(setting, true) } else { before.clone() };
        let probe = Sessions::builder(before.clone(), shelf.memory(), world.dice.clone()).build();
        let start = |offset: &i64| Arc::new(Node::start(before.clone(), shelf.clone(), world, setting, *offset));
        Self {
            world: world.clone(),
            setting: setting.clone(),
            nodes: setting.offsets.iter().map(start).collect(),
            former: Vec::new(),
            jars: (0..setting.browsers).map(|_| SharedJar::default()).collect(),
            engines: [before, after],
            probe,
            shelf,
        }
    }

    pub(super) async fn play(mut self) {
        let dice = self.world.dice.clone();
        let mut requests = Vec::new();
        for episode in 0..self.setting.episodes {
            self.events_of(episode);
            // The first makes what the others ask for.
            let at_once = if episode == 0 { 1 } else { 1 + dice.draw(self.setting.most_at_once) };
            for _ in 0..at_once {
                let node = Arc::clone(&self.nodes[dice.draw(self.nodes.len() as u64) as usize]);
                let jar = Arc::clone(&self.jars[dice.draw(self.jars.len() as u64) as usize]);
                let plan = Plan::draw(&self.world, &self.setting);
                requests.push(run(&dice, send(self.world.clone(), node, jar, plan)));
            }
            self.world.sleep(self.setting.pause(&dice)).await;
            if dice.draw(3) == 0 {
                self.probe_all().await;
            }
            if self.world.at().broken.is_some() {
                return;
            }
        }
        if join_all(requests).await.iter().any(Result::is_err) {
            let verdict = broken("no panics", "a request panicked");
            self.world.at().hold(verdict);
        }
        self.rest().await;
        self.count();
    }

    /// What happens to nodes, the store and browsers.
    fn events_of(&mut self, episode: u64) {
        let Self { world, setting, engines, .. } = &*self;
        let dice = world.dice.clone();
        let rotated = setting.rotates_ring.map_or(0, |from| episode.saturating_sub(from) as usize);
        let start = |index: usize| {
            let engine = engines[usize::from(index < rotated)].clone();
            Arc::new(Node::start(engine, self.shelf.clone(), world, setting, setting.offsets[index]))
        };
        let mut replaced = Vec::new();
        if rotated > 0 && rotated <= self.nodes.len() {
            world.at().figures.ring_rotations += 1;
            world.at().tell(|_| format!("node {} has the new ring", rotated - 1));
            replaced.push((rotated - 1, start(rotated - 1)));
        }
        if setting.crashes == Some(episode) {
            let index = dice.draw(self.nodes.len() as u64) as usize;
            self.nodes[index].crash();
            world.at().figures.crashes += 1;
            world.at().tell(|_| format!("node {index} dies, and comes back"));
            replaced.push((index, start(index)));
        }
        if setting.evicts && dice.draw(2) == 0 {
            self.shelf.evict();
        }
        if dice.draw(12) == 0 {
            self.sign_in_elsewhere();
        }
        for jar in &self.jars {
            if dice.draw(20) == 0 {
                lock(jar).restart();
            }
        }
        for (index, node) in replaced {
            self.former.push(std::mem::replace(&mut self.nodes[index], node));
        }
    }

    /// A program that speaks the same format, and has sign-ins: it gives a session up.
    fn sign_in_elsewhere(&self) {
        let mut state = self.world.at();
        // A record that nobody was told of is not the session's.
        let lives = |key| state.witness.held(key).is_some_and(|held| held.kind == Kind::Record);
        let tickets = &state.model.tickets;
        let live: Vec<usize> = (0..tickets.len()).filter(|ticket| lives(&tickets[*ticket].key)).collect();
        if live.is_empty() {
            return;
        }
        let ticket = live[self.world.dice.draw(live.len() as u64) as usize];
        let (key, session) = (tickets[ticket].key.clone(), tickets[ticket].session);
        let now = state.now();
        let at = UnixTime::from_millis(Sim::START * 1000 + now as u64);
        let ended = Ended { by: Nonce::from_bytes([7; Nonce::LEN]), cause: EndCause::Login, at, next: None };
        let Ok(value) = JsonCodec.encode(&key, &Entry::Ended(ended)) else { return };
        // What is written from here on is after this.
        let moment = state.moment();
        drop(state);
        let ttl = Duration::from_millis((self.setting.max_request + self.setting.skew) as u64);
        if self.shelf.overwrite(&key, Value::from(value), ttl) {
            let mut state = self.world.at();
            state.figures.sign_ins_elsewhere += 1;
            state.tell(|_| format!("a sign-in elsewhere gives session r{session} up"));
            if let Some(lineage) = state.model.lineages.get_mut(&session) {
                lineage.superseded = Some((now, ticket));
                lineage.ended.get_or_insert(moment.seq);
            }
        }
    }

    /// Looks at what every ticket opens, without using it.
    async fn probe_all(&self) -> BTreeMap<No, Seen> {
        let mut sessions: BTreeMap<No, Seen> = BTreeMap::new();
        let tickets = self.world.at().model.tickets.len();
        for ticket in 0..tickets {
            let (since, line) = {
                let mut state = self.world.at();
                state.figures.probes += 1;
                (state.moment(), format!("__Host-id={}", state.model.tickets[ticket].text))
            };
            let session = self.probe.open([line.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
            let seen = session.read(view).await;
            let mut state = self.world.at();
            let verdict = match seen {
                Ok(seen) => {
                    let seen = seen.unwrap_or_default();
                    if let (Some(who), Some(handle)) = (seen.who, seen.handle) {
                        let known =
                            sessions.entry(who).or_insert_with(|| Seen { handles: Vec::new(), view: seen.clone() });
                        if !known.handles.contains(&handle) {
                            known.handles.push(handle);
                        }
                    }
                    let reader = Reader { tickets: vec![ticket], offset: 0, since, may_be_blind: false };
                    state.tell(|_| format!("t{ticket} opens {}", Told(&seen)));
                    state.model.may_see(&reader, &seen, state.now())
                }
                Err(error) => broken("honest errors", format!("t{ticket} cannot be read: {error}")),
            };
            state.hold(verdict);
        }
        sessions
    }

    /// What must be so when all is done: what was to land late has landed.
    async fn rest(&self) {
        let Self { world, setting, .. } = self;
        world.sleep(setting.late + 64 * setting.deadline + SECOND).await;
        for (who, Seen { handles, view }) in self.probe_all().await {
            let mut state = world.at();
            if handles.len() > 1 {
                let verdict = broken("I3 one record", format!("session r{who} has {} records", handles.len()));
                state.hold(verdict);
            }
            if state.figures.crashes == 0 {
                let verdict = state.model.holds_promised(&view);
                state.hold(verdict);
            }
        }
        self.has_one_record_each();
        if world.dice.draw(8) == 0 {
            world.sleep(setting.idle * setting.remember).await;
            self.probe_all().await;
            let longest = setting.absolute * setting.remember + setting.max_request.max(setting.grace);
            // The last sweep is after the last expiry.
            world.sleep(longest + 2 * setting.skew + 8 * HOUR).await;
            let left = self.shelf.memory().metrics().entries;
            if left > 0 {
                let verdict = broken("everything expires", format!("{left} entries are there for ever"));
                world.at().hold(verdict);
            }
        }
    }

    /// I3: where nothing went wrong there is not even a record that nobody can reach.
    fn has_one_record_each(&self) {
        let mut state = self.world.at();
        if state.figures.faults > 0 || state.figures.refused_for_room > 0 || state.figures.crashes > 0 {
            return;
        }
        let mut records: BTreeMap<No, u32> = BTreeMap::new();
        for (key, held) in state.witness.full().into_iter().filter(|(_, held)| held.kind == Kind::Record) {
            *records.entry(held.session.unwrap_or_default()).or_default() += u32::from(self.shelf.holds(key));
        }
        let excused = |who: &No| state.model.lineages.get(who).is_none_or(|found| found.dropped || found.was_missed);
        let twice = records.iter().find(|(who, count)| **count > 1 && !excused(who));
        let verdict = twice.map_or(Ok(()), |(who, count)| {
            broken("I3 one record", format!("session r{who} has {count} records, some out of reach"))
        });
        state.hold(verdict);
    }

    fn count(&self) {
        let mut state = self.world.at();
        state.figures.schedules = 1;
        state.figures.millis = state.now() as u64;
        state.figures.sessions = state.model.lineages.len() as u64;
        for node in self.nodes.iter().chain(&self.former) {
            for (name, count) in node.sessions.counters().events() {
                let place = Event::NAMES.iter().position(|known| *known == name);
                state.figures.events[place.unwrap_or_default()] += count;
            }
        }
    }
}
