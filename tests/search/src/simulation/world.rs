//! What everybody in a schedule writes down: the model, what the store was seen to do, the story, the figures.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use cloakroom_core::{Op, StoreKey};
use cloakroom_runtime::Runtime;
use cloakroom_sim::{Sim, SimRuntime};

use super::{
    figures::Figures,
    model::{Model, Moment, No},
    rules::{Broken, broken},
    setting::Setting,
};

#[derive(Clone)]
pub(super) struct World {
    shared: Arc<Mutex<State>>,
    pub(super) dice: SimRuntime,
}

pub(super) struct State {
    pub(super) model: Model,
    pub(super) witness: Witness,
    pub(super) figures: Figures,
    pub(super) broken: Option<Broken>,
    story: Option<Vec<String>>,
    seq: u64,
    now: i64,
}

impl World {
    pub(super) fn new(setting: Setting, dice: SimRuntime, tells: bool) -> Self {
        let state = State {
            model: Model::new(setting),
            witness: Witness::default(),
            figures: Figures::default(),
            broken: None,
            story: tells.then(Vec::new),
            seq: 0,
            now: 0,
        };
        Self { shared: Arc::new(Mutex::new(state)), dice }
    }

    /// The state, at the present moment.
    pub(super) fn at(&self) -> MutexGuard<'_, State> {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(Sim::START);
        let elapsed = self.dice.now().duration_since(start).unwrap_or_default();
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = elapsed.as_millis() as i64;
        state
    }

    pub(super) async fn sleep(&self, millis: i64) {
        if let Ok(millis) = u64::try_from(millis)
            && millis > 0
        {
            self.dice.sleep(Duration::from_millis(millis)).await;
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl State {
    /// The next moment.
    pub(super) fn moment(&mut self) -> Moment {
        self.seq += 1;
        Moment { seq: self.seq, at: self.now }
    }

    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// Adds a line to the story, where there is one.
    pub(super) fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = format!("{} {}", Clock(self.now), line(self));
            self.story.get_or_insert_default().push(line);
        }
    }

    pub(super) fn take_story(&mut self) -> Vec<String> {
        self.story.take().unwrap_or_default()
    }

    /// Keeps the first rule that was broken.
    pub(super) fn hold(&mut self, verdict: Result<(), Broken>) {
        if let Err(broken) = verdict
            && self.broken.is_none()
        {
            self.tell(|_| format!("BROKEN: {}: {}", broken.rule, broken.how));
            self.broken = Some(broken);
        }
    }
}

/// Days, hours, minutes, seconds.
struct Clock(i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(millis) = *self;
        let seconds = millis / 1000;
        let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
        write!(f, "{days}d {hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, millis % 1000)
    }
}

/// What was seen under the keys of the store.
#[derive(Debug, Default)]
pub(super) struct Witness {
    keys: BTreeMap<StoreKey, Held>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The number of the key, in order of appearance.
    pub(super) no: usize,
    pub(super) session: Option<No>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Ended,
    Moved,
    Nothing,
    Record,
}

impl Witness {
    /// I4: what the store is asked for was made by a creation, which draws an id.
    pub(super) fn asks(&mut self, op: &Op) -> Result<(), Broken> {
        if !self.keys.contains_key(op.key()) {
            if !matches!(op, Op::Create { .. }) {
                return broken("I4 minted only", format!("{} of a key that was never created", op.kind().name()));
            }
            let held = Held { no: self.keys.len() + 1, session: None, kind: Kind::Nothing };
            self.keys.insert(op.key().clone(), held);
        }
        Ok(())
    }

    pub(super) fn held(&self, key: &StoreKey) -> Option<Held> {
        self.keys.get(key).copied()
    }

    /// Keys that hold something, in order of appearance.
    pub(super) fn full(&self) -> Vec<(&StoreKey, Held)> {
        let mut keys: Vec<_> =
            self.keys.iter().filter(|(_, held)| held.kind != Kind::Nothing).map(|(key, held)| (key, *held)).collect();
        keys.sort_by_key(|(_, held)| held.no);
        keys
    }

    /// Something was written under a key, or removed. Returns what is there.
    pub(super) fn wrote(&mut self, key: &StoreKey, value: Option<&[u8]>) -> Option<Held> {
        let held = self.keys.get_mut(key)?;
        let text = value.map(|value| str::from_utf8(value).unwrap_or_default());
        held.kind = match text {
            None => Kind::Nothing,
            Some(text) if text.contains(r#""kind":"record""#) => Kind::Record,
            Some(text) if text.contains(r#""kind":"moved""#) => Kind::Moved,
            Some(_) => Kind::Ended,
        };
        if held.kind == Kind::Record {
            let who = text.and_then(|text| text.split_once(r#""who":"#)).map(|(_, rest)| rest);
            let digits = who.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
            held.session = digits.and_then(|digits| digits.parse().ok());
        }
        Some(*held)
    }
}
