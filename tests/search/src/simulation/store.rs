//! The store of a schedule: the memory store behind a slow and faulty line, whose every step is witnessed.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, pending},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cloakroom_core::{Members, Op, Outcome, StoreKey, Stored, Value, Version, limits};
use cloakroom_runtime::Runtime;
use cloakroom_store::{Created, Directory, DynDirectory, Fault, MemoryStore, Removed, Store, StoreError, Written};
use futures_util::FutureExt;

use super::{
    model::No,
    node::current,
    setting::{HOUR, Setting, below},
    world::{Kind, World},
    wrong::Wrong,
};

#[derive(Clone)]
pub(super) struct Shelf(Arc<Inner>);

struct Inner {
    memory: MemoryStore,
    world: World,
    setting: Setting,
    wrong: Wrong,
    /// What each key held before, for a store that loads that.
    former: Mutex<BTreeMap<StoreKey, Stored>>,
}

/// What goes wrong with an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    /// It did not happen.
    Failed,
    /// Nobody knows whether it happened; and it does now, later, or never.
    Unknown(Landing),
    /// The same, and the answer does not come in time.
    Stalled(Landing),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Landing {
    Later(i64),
    Never,
    Now,
}

impl Shelf {
    pub(super) fn new(world: World, setting: Setting, wrong: Wrong) -> Self {
        let memory = MemoryStore::builder()
            .max_entries(setting.max_entries)
            .sweep_every(Duration::from_millis((7 * HOUR) as u64))
            .build(world.dice.clone());
        Self(Arc::new(Inner { memory, world, setting, wrong, former: Mutex::default() }))
    }

    /// The store without its line, for those who look from outside.
    pub(super) fn memory(&self) -> MemoryStore {
        self.0.memory.clone()
    }

    /// Does an operation as the weather is.
    async fn ask(&self, op: Op) -> Result<Outcome, StoreError> {
        let Inner { world, setting, .. } = &*self.0;
        let (no, trouble) = (current(), self.draw_trouble());
        self.note(no, &op, trouble);
        let Some(trouble) = trouble else {
            world.sleep(below(&world.dice, setting.latency + 1)).await;
            let outcome = self.land(no, &op, "");
            world.sleep(below(&world.dice, setting.latency + 1)).await;
            return outcome;
        };
        let is_load = matches!(op, Op::Load { .. });
        let (landing, error) = match trouble {
            _ if is_load && self.0.wrong == Wrong::AbsentOnFailure => return Ok(Outcome::Absent),
            Trouble::Failed => (Landing::Never, StoreError::failed(Fault::Unavailable)),
            Trouble::Unknown(_) if is_load => (Landing::Never, StoreError::failed(Fault::Unavailable)),
            Trouble::Unknown(landing) | Trouble::Stalled(landing) => (landing, StoreError::unknown(Fault::Unavailable)),
        };
        world.at().tell(|state| format!("    r{no}: {}: {trouble:?}", told(state, &op)));
        world.sleep(below(&world.dice, setting.latency + 1)).await;
        match landing {
            Landing::Later(late) => {
                let (this, world) = (self.clone(), world.clone());
                drop(world.dice.clone().spawn(Box::pin(async move {
                    world.sleep(late).await;
                    world.at().figures.late_landings += 1;
                    let outcome = this.land(no, &op, ", at last");
                    let wrote = matches!(outcome, Ok(Outcome::Done(_) | Outcome::Removed));
                    world.at().figures.late_landings_that_wrote += u64::from(wrote);
                })));
            }
            Landing::Never | Landing::Now => self.land_untold(no, &op, landing, &error),
        }
        if matches!(trouble, Trouble::Stalled(_)) {
            world.at().figures.stalls += 1;
            return pending().await;
        }
        if self.0.wrong == Wrong::DoneIsToldFailed { Err(StoreError::failed(Fault::Unavailable)) } else { Err(error) }
    }

    /// Does it at once, where the line is short, but for what takes its time; some go the other way all the same.
    fn ask_at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>> {
        let Inner { world, setting, wrong, .. } = &*self.0;
        // What these are told they are told there.
        let is_told_otherwise = matches!(wrong, Wrong::AbsentOnFailure | Wrong::DoneIsToldFailed);
        if is_told_otherwise || setting.latency > 0 || world.dice.draw(4) == 0 {
            return None;
        }
        let (no, trouble) = (current(), self.draw_trouble());
        let (landing, error) = match trouble {
            None => (Landing::Now, None),
            Some(Trouble::Failed) => (Landing::Never, Some(StoreError::failed(Fault::Unavailable))),
            Some(Trouble::Stalled(_) | Trouble::Unknown(Landing::Later(_))) => return None,
            Some(Trouble::Unknown(_)) if matches!(op, Op::Load { .. }) => return None,
            Some(Trouble::Unknown(landing)) => (landing, Some(StoreError::unknown(Fault::Unavailable))),
        };
        self.note(no, op, trouble);
        world.at().figures.at_once += 1;
        let Some(error) = error else { return Some(self.land(no, op, ", at once")) };
        world.at().tell(|state| format!("    r{no}: {}: {error}, at once", told(state, op)));
        self.land_untold(no, op, landing, &error);
        Some(Err(error))
    }

    /// Notes that it was asked for, and what will go wrong with it.
    fn note(&self, no: No, op: &Op, trouble: Option<Trouble>) {
        let mut state = self.0.world.at();
        let verdict = state.witness.asks(op);
        state.hold(verdict);
        state.figures.operations += 1;
        if let Some(visit) = state.model.visits.get_mut(no as usize) {
            visit.operations += 1;
            visit.loads += u32::from(matches!(op, Op::Load { .. }));
        }
        if trouble.is_some() {
            state.figures.faults += 1;
            state.model.visit(no).faults += 1;
        }
    }

    /// What becomes now of an operation that is told to have failed.
    fn land_untold(&self, no: No, op: &Op, landing: Landing, error: &StoreError) {
        if landing == Landing::Now {
            self.0.world.at().figures.unknown_and_applied += 1;
            drop(self.land(no, op, ", untold"));
        } else {
            self.0.world.at().figures.unknown_and_not_applied += u64::from(error.may_have_happened());
        }
    }

    fn draw_trouble(&self) -> Option<Trouble> {
        let Inner { world: World { dice, .. }, setting, .. } = &*self.0;
        if setting.fault_part == 0 || dice.draw(setting.fault_part) > 0 {
            return None;
        }
        let landing = match dice.draw(4) {
            0 => Landing::Never,
            1 => Landing::Now,
            _ => Landing::Later(below(dice, setting.late)),
        };
        Some(match dice.draw(6) {
            0 => Trouble::Failed,
            1 => Trouble::Stalled(landing),
            _ => Trouble::Unknown(landing),
        })
    }

    /// The atomic step itself.
    fn land(&self, no: No, op: &Op, how: &str) -> Result<Outcome, StoreError> {
        let outcome = self.step(op);
        let mut state = self.0.world.at();
        match (&outcome, op) {
            (Ok(Outcome::Done(_)), Op::Create { key, value, .. } | Op::Replace { key, value, .. }) => {
                self.witness(&mut state, key, Some(value), matches!(op, Op::Create { .. }));
            }
            (Ok(Outcome::Done(_)), Op::Touch { key, value, .. }) => {
                self.witness(&mut state, key, Some(value), false);
            }
            (Ok(Outcome::Removed), _) => self.witness(&mut state, op.key(), None, false),
            (Ok(Outcome::Conflict(_)), _) => state.figures.conflicts += 1,
            (Err(_), _) => {
                state.figures.refused_for_room += 1;
                state.model.visit(no).faults += 1;
            }
            _ => {}
        }
        state.tell(|state| format!("    r{no}: {}: {}{how}", told(state, op), Told(&outcome)));
        outcome
    }

    fn witness(&self, state: &mut super::world::State, key: &StoreKey, value: Option<&Value>, is_new: bool) {
        let now = state.now();
        let Some(held) = state.witness.wrote(key, value.map(Value::as_bytes)) else { return };
        let Some(lineage) = held.session.and_then(|who| state.model.lineages.get_mut(&who)) else { return };
        if held.kind == Kind::Record {
            lineage.written = now;
            lineage.ids += u32::from(is_new);
        }
    }

    fn step(&self, op: &Op) -> Result<Outcome, StoreError> {
        let Inner { memory, setting, wrong, world, .. } = &*self.0;
        let there = at_once(memory.load(op.key()))?;
        // A version that is the bytes stands for what is there, if the bytes are there.
        let compared = |version: &Version| match &there {
            Some(there) if setting.byte_versions && version.as_bytes() == Some(there.value.as_bytes()) => {
                there.version.clone()
            }
            _ => version.clone(),
        };
        let found = |stored: Stored| match setting.byte_versions {
            true => Stored { version: Version::from_bytes(stored.value.clone()), ..stored },
            false => stored,
        };
        let brought = |stored: Option<Stored>| stored.filter(|_| !setting.silent_conflicts).map(found);
        let done = |value: &Value, version: Version| match setting.byte_versions {
            true => Outcome::Done(Version::from_bytes(value.clone())),
            false => Outcome::Done(version),
        };
        let forced = |version: &Version, is_wrong: bool| match &there {
            Some(there) if is_wrong => there.version.clone(),
            _ => compared(version),
        };
        if *wrong == Wrong::AcknowledgesWithoutStoring
            && let Op::Replace { value, version, .. } = op
            && there.as_ref().is_some_and(|there| there.version == compared(version))
            && world.dice.draw(8) == 0
        {
            return Ok(done(value, Version::from_u64(u64::MAX)));
        }
        Ok(match op {
            Op::Load { key } => {
                let mut former = self.0.former.lock().unwrap_or_else(PoisonError::into_inner);
                let there = match wrong {
                    Wrong::LoadsWhatWasThere if world.dice.draw(4) == 0 => former.get(key).cloned().or(there),
                    Wrong::KeepsForTooLong => there.or_else(|| former.get(key).cloned()),
                    _ => there,
                };
                if let (Some(there), Wrong::KeepsForTooLong) = (&there, *wrong) {
                    former.insert(key.clone(), there.clone());
                }
                there.map_or(Outcome::Absent, |stored| Outcome::Found(found(stored)))
            }
            Op::Create { key, value, ttl } => match at_once(memory.create(key, value, *ttl))? {
                Created::Exists => Outcome::Exists,
                Created::Done(version) => done(value, version),
            },
            Op::Enroll { index, member, ttl } => {
                at_once(Directory::enroll(memory, index, member, *ttl)).map(|()| Outcome::Indexed)?
            }
            Op::List { index } => Outcome::Listed(at_once(Directory::list(memory, index, limits::MAX_LISTED))?),
            Op::Unenroll { index, member } => {
                at_once(Directory::unenroll(memory, index, member)).map(|()| Outcome::Indexed)?
            }
            Op::Replace { key, version, value, ttl } => {
                let version = forced(version, *wrong == Wrong::IgnoresVersions);
                let written = at_once(memory.replace(key, &version, value, *ttl))?;
                if let (Written::Done(_), Some(there), Wrong::LoadsWhatWasThere) = (&written, there, *wrong) {
                    self.0.former.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), there);
                }
                match written {
                    Written::Absent => Outcome::Absent,
                    Written::Conflict(stored) => Outcome::Conflict(brought(stored)),
                    Written::Done(version) => done(value, version),
                }
            }
            Op::Touch { key, version, value, ttl } => {
                let ttl = if *wrong == Wrong::TouchShortens { Duration::from_millis(1) } else { *ttl };
                let written = match *wrong == Wrong::TouchOverwrites && there.is_some() {
                    true => at_once(memory.replace(key, &forced(version, true), value, ttl))?,
                    false => at_once(memory.touch(key, &compared(version), value, ttl))?,
                };
                match written {
                    Written::Absent => Outcome::Absent,
                    Written::Conflict(stored) => Outcome::Conflict(brought(stored)),
                    Written::Done(version) => done(value, version),
                }
            }
            Op::Remove { key, version } => match at_once(memory.remove(key, &compared(version)))? {
                Removed::Absent => Outcome::Absent,
                Removed::Conflict(stored) => Outcome::Conflict(brought(stored)),
                Removed::Done => Outcome::Removed,
            },
        })
    }

    /// Drops an entry, as a store does that is short of memory.
    pub(super) fn evict(&self) {
        let Inner { memory, world, .. } = &*self.0;
        let mut state = world.at();
        let full = state.witness.full();
        if full.is_empty() {
            return;
        }
        let (key, held) = full[world.dice.draw(full.len() as u64) as usize];
        let key = key.clone();
        if let Ok(Some(stored)) = at_once(memory.load(&key)) {
            drop(at_once(memory.remove(&key, &stored.version)));
            state.figures.evictions += 1;
            self.witness(&mut state, &key, None, false);
            if let Some(lineage) = held.session.and_then(|who| state.model.lineages.get_mut(&who)) {
                lineage.dropped = true;
            }
            state.tell(|_| format!("the store drops k{}", held.no));
        }
    }

    /// Tells whether something is under the key that has not expired.
    pub(super) fn holds(&self, key: &StoreKey) -> bool {
        matches!(at_once(self.0.memory.load(key)), Ok(Some(_)))
    }

    /// Puts something over what is there, as another program would that keeps to the rules. Tells whether it could.
    pub(super) fn overwrite(&self, key: &StoreKey, value: Value, ttl: Duration) -> bool {
        let Ok(Some(stored)) = at_once(self.0.memory.load(key)) else { return false };
        let written = at_once(self.0.memory.replace(key, &stored.version, &value, ttl));
        self.witness(&mut self.0.world.at(), key, Some(&value), false);
        matches!(written, Ok(Written::Done(_)))
    }
}

impl Store for Shelf {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        Ok(match self.ask(Op::Load { key: key.clone() }).await? {
            Outcome::Found(stored) => Some(stored),
            _ => None,
        })
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        let op = Op::Create { key: key.clone(), value: value.clone(), ttl };
        Ok(match self.ask(op).await? {
            Outcome::Done(version) => Created::Done(version),
            _ => Created::Exists,
        })
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let op = Op::Replace { key: key.clone(), version: at.clone(), value: value.clone(), ttl };
        self.ask(op).await.map(written)
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        let op = Op::Touch { key: key.clone(), version: at.clone(), value: value.clone(), ttl };
        self.ask(op).await.map(written)
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        Ok(match self.ask(Op::Remove { key: key.clone(), version: at.clone() }).await? {
            Outcome::Conflict(stored) => Removed::Conflict(stored),
            Outcome::Removed => Removed::Done,
            _ => Removed::Absent,
        })
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Some(self)
    }

    fn at_once(&self, op: &Op) -> Option<Result<Outcome, StoreError>> {
        self.ask_at_once(op)
    }
}

impl Directory for Shelf {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        self.ask(Op::Enroll { index: index.clone(), member: member.clone(), ttl }).await.map(drop)
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        self.ask(Op::Unenroll { index: index.clone(), member: member.clone() }).await.map(drop)
    }

    async fn list(&self, index: &StoreKey, _: usize) -> Result<Members, StoreError> {
        match self.ask(Op::List { index: index.clone() }).await? {
            Outcome::Listed(members) => Ok(members),
            _ => Err(StoreError::failed(Fault::Internal)),
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

fn written(outcome: Outcome) -> Written {
    match outcome {
        Outcome::Conflict(stored) => Written::Conflict(stored),
        Outcome::Done(version) => Written::Done(version),
        _ => Written::Absent,
    }
}

#[allow(clippy::expect_used, reason = "the memory store waits for nothing")]
fn at_once<T>(operation: impl Future<Output = T>) -> T {
    operation.now_or_never().expect("the memory store answers at once")
}

/// An operation in the story.
fn told(state: &super::world::State, op: &Op) -> String {
    let key = state.witness.held(op.key()).map_or(0, |held| held.no);
    let value = match op {
        Op::Create { value, .. } | Op::Replace { value, .. } => {
            // What is the same in every run: ids and nonces are drawn from elsewhere.
            let text = String::from_utf8_lossy(value.as_bytes());
            let kind = text.split(r#""kind":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let data = text.split(r#""data":"#).nth(1).unwrap_or_default().trim_end_matches('}');
            format!(" {kind} {data}")
        }
        _ => String::new(),
    };
    format!("{} k{key}{value}", op.kind().name())
}

struct Told<'a>(&'a Result<Outcome, StoreError>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(Outcome::Absent) => f.write_str("absent"),
            Ok(Outcome::Conflict(_)) => f.write_str("conflict"),
            Ok(Outcome::Done(_)) => f.write_str("done"),
            Ok(Outcome::Exists) => f.write_str("exists"),
            Ok(Outcome::Found(stored)) => {
                write!(f, "found, {} ms left", stored.expires_in.unwrap_or_default().as_millis())
            }
            Ok(Outcome::Removed) => f.write_str("removed"),
            Ok(_) => f.write_str("in doubt"),
            Err(error) => write!(f, "{error}"),
        }
    }
}
