//! What a read and a change of a session come to in the core alone: the machine is driven by hand over one record, without a store, a
//! handle, a runtime or a framework.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bench_kit::{COUNT_KEY, READ_KEY};
use cloakroom_core::{
    Access, CookieChange, Engine, Loaded, Op, Outcome, RequestInfo, Session, Step, Stored, UnixTime, Value, Version,
};

use crate::Fixed;

/// An engine, and the one record that is stored.
pub struct Machine {
    engine: Engine,
    value: Value,
    version: u64,
    now: UnixTime,
}

impl Machine {
    /// Takes the record that the straight code begins with.
    pub fn new(engine: Engine, value: Value, now: UnixTime) -> Self {
        Self { engine, value, version: 1, now }
    }

    /// Reads one value, and settles the session.
    pub fn read(&self, line: &str) -> anyhow::Result<String> {
        let mut session = self.engine.open([line.as_bytes()], &RequestInfo::new());
        let text = self.load(&mut session)?.get(READ_KEY)?.context("no value")?;
        anyhow::ensure!(session.settled(self.now).is_some(), "a read is at rest");
        Ok(text)
    }

    /// Adds one to a number, and commits.
    pub fn change(&mut self, line: &str) -> anyhow::Result<u64> {
        let mut session = self.engine.open([line.as_bytes()], &RequestInfo::new());
        let count = self.load(&mut session)?.update(COUNT_KEY, |count: Option<u64>| count.unwrap_or(0) + 1)?;
        let Step::Io(io) = session.commit(self.now, &mut Fixed) else { bail!("nothing to do") };
        let Op::Replace { value, .. } = io.op() else { bail!("no change") };
        self.value = value.clone();
        self.version += 1;
        let Step::Done(done) = io.resume(Outcome::Done(Version::from_u64(self.version)), self.now) else {
            bail!("more to do")
        };
        done.result()?;
        anyhow::ensure!(done.cookie() == CookieChange::Keep, "the cookie stays");
        Ok(count)
    }

    fn load<'s>(&self, session: &'s mut Session) -> anyhow::Result<&'s mut Loaded> {
        let Access::Load(load) = session.access() else { bail!("nothing to load") };
        let stored = Stored {
            value: self.value.clone(),
            version: Version::from_u64(self.version),
            expires_in: Some(Duration::from_secs(30 * 60)),
        };
        match load.supply(Some(stored), self.now)? {
            Access::Ready(loaded) => Ok(loaded),
            Access::Load(_) => bail!("more to load"),
        }
    }
}
