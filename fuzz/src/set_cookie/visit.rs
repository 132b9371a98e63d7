//! A visitor, from the first page to signing out, with nothing but what the user agent keeps.

use cloakroom_core::{
    Access, CookieChange, Done, Engine, Entropy, EntropyError, Loaded, Op, Outcome, RequestInfo, StoreKey, Stored,
    UnixTime, Value, Version,
};

use super::user_agent::{Place, UserAgent};

struct Fixed;

impl Entropy for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(7);
        Ok(())
    }
}

/// The ticket that is set opens the session at the next page, and is gone from the user agent once it has ended.
pub(super) fn visit(engine: &Engine, place: Place<'_>) {
    let mut agent = UserAgent::default();
    let foreign = format!("x{}=dark", engine.cookie().name());
    agent.receive(format!("{foreign}; Path=/").as_bytes(), place).expect("a cookie of somebody else's");
    let mut stored = None;
    let done = page(engine, &agent, place, &mut stored, |loaded| {
        assert!(loaded.is_new(), "no ticket opens nothing");
        loaded.insert("n", &1).expect("a value");
    });
    match done.cookie() {
        CookieChange::Set(line) => agent.receive(line.as_bytes(), place).expect("the ticket is kept"),
        // A name that is so long that no ticket fits.
        _ => return assert!(done.result().is_err(), "a session without a ticket"),
    };
    let done = page(engine, &agent, place, &mut stored, |loaded| {
        assert_eq!(loaded.get("n"), Ok(Some(1)), "the ticket opens the session");
        loaded.destroy();
    });
    let CookieChange::Clear(line) = done.cookie() else { panic!("an end removes the ticket") };
    assert_eq!(agent.receive(line.as_bytes(), place), Ok(None), "the removal is no cookie");
    assert_eq!(agent.header(place).as_deref(), Some(foreign.as_bytes()), "the ticket is gone, and nothing else");
}

fn page(
    engine: &Engine,
    agent: &UserAgent,
    place: Place<'_>,
    stored: &mut Option<(StoreKey, Value)>,
    act: impl FnOnce(&mut Loaded),
) -> Done {
    let now = UnixTime::from_millis(place.now as u64 * 1000);
    let header = agent.header(place);
    let mut session = engine.open(header.as_deref(), &RequestInfo::new());
    let mut access = session.access();
    loop {
        match access {
            Access::Ready(loaded) => break act(loaded),
            Access::Load(load) => {
                let (key, value) = stored.as_ref().expect("nothing is loaded before it was stored");
                assert_eq!(load.key(), key, "the ticket is that of the session");
                let expires_in = Some(core::time::Duration::from_secs(60));
                let found = Stored { value: value.clone(), version: Version::from_u64(1), expires_in };
                access = load.supply(Some(found), now).expect("it decodes");
            }
        }
    }
    session.commit(now, &mut Fixed).run(
        |op| {
            if let Op::Create { key, value, .. } | Op::Replace { key, value, .. } = op {
                *stored = Some((key.clone(), value.clone()));
            }
            Outcome::Done(Version::from_u64(1))
        },
        || now,
    )
}
