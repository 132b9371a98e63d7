//! The whole way, as it is meant.

#![deny(unused_must_use)]

use cloakroom_core::{
    Access, CommitError, Done, Engine, Entropy, Op, Outcome, RequestInfo, Session, Step, StoreKey, Stored, UnixTime,
};

fn load(_: &StoreKey) -> Option<Stored> {
    None
}

fn perform(_: &Op) -> Outcome {
    Outcome::Failed
}

fn count(session: &mut Session, now: UnixTime) {
    let mut access = session.access();
    let loaded = loop {
        match access {
            Access::Ready(loaded) => break loaded,
            Access::Load(wanted) => {
                let found = load(wanted.key());
                access = match wanted.supply(found, now) {
                    Ok(access) => access,
                    Err(_) => return,
                };
            }
        }
    };
    let _ = loaded.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1);
}

fn finish(session: Session, now: UnixTime, entropy: &mut impl Entropy) -> Done {
    let mut step = session.commit(now, entropy);
    loop {
        match step {
            Step::Done(done) => return done,
            Step::Io(io) => {
                let outcome = perform(io.op());
                step = io.resume(outcome, now);
            }
        }
    }
}

fn serve(engine: &Engine, cookies: &[u8], entropy: &mut impl Entropy) -> Result<(), CommitError> {
    let now = UnixTime::from_millis(0);
    let mut session = engine.open([cookies], &RequestInfo::new());
    count(&mut session, now);
    let done = finish(session, now, entropy);
    for (name, value) in done.headers() {
        assert!(!name.is_empty() && !value.is_empty());
    }
    done.result()
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), cloakroom_core::EntropyError> {
        bytes.fill(0);
        Ok(())
    }
}

fn main() {
    let ring = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw".parse().unwrap();
    let engine = Engine::builder(ring).build().unwrap();
    assert_eq!(serve(&engine, b"", &mut Zeros), Err(CommitError::Store));
}
