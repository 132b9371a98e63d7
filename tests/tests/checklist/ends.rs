//! Ends, deadlines and rotations.

use std::time::Duration;

use cloakroom_core::{
    CommitError, CookieHeld, EditError, End, Engine, Event, Lifetime, Loaded, Login, Op, OpKind, Session, Step,
    limits::{DEFAULT_ABSOLUTE, DEFAULT_CLOCK_SKEW, DEFAULT_IDLE},
};
use cloakroom_redb::RedbStore;
use cloakroom_redis::RedisStore;
use cloakroom_store::{MemoryStore, Store};
use cloakroom_tests::servers::{Options, Redis};
use cloakroom_tokio::Tokio;

use crate::{
    web::{self, SECRET, Site},
    world::{HOUR, MINUTE, SECOND, Seeded, Trouble, World, has, ring, ticket, token},
};

/// A request that is under way: before its commit, in the middle of it, or done.
enum Under {
    Done(String),
    Opened(Session),
    Step(Step),
}

/// A request to be moved one operation at a time.
struct Moving {
    under: Option<Under>,
    /// The end, if it was acknowledged.
    end: Option<End>,
}

impl Moving {
    fn new(world: &mut World, jar: &str, edit: fn(&mut Loaded)) -> Self {
        Self { under: Some(Under::Opened(world.slow(jar, edit))), end: None }
    }

    /// Begins the commit, or does what it asks for.
    fn advance(&mut self, world: &mut World, trouble: Option<Trouble>) {
        let step = match self.under.take().unwrap() {
            Under::Opened(session) => session.commit(world.now(), &mut world.entropy),
            Under::Step(Step::Io(io)) => {
                world.store.trouble = trouble;
                let outcome = world.store.perform(io.op(), world.now);
                io.resume(outcome, world.now())
            }
            Under::Done(_) | Under::Step(Step::Done(_)) => panic!("it is over"),
        };
        self.under = Some(match step {
            Step::Done(done) => {
                self.end = done.end().filter(|_| done.result().is_ok());
                Under::Done(ticket(&done).unwrap_or_default())
            }
            io => Under::Step(io),
        });
    }

    fn is_over(&self) -> bool {
        matches!(self.under, Some(Under::Done(_)))
    }

    fn ticket(&self) -> Option<&str> {
        match &self.under {
            Some(Under::Done(ticket)) if !ticket.is_empty() => Some(ticket),
            _ => None,
        }
    }
}

/// Two requests of one session, one of which ends it, under every interleaving of their operations, with every fault at
/// every operation, and with what was sent landing only when all is over: after an acknowledged end nothing opens.
pub(crate) fn an_ended_session_is_never_revived() {
    const SLOW: [fn(&mut Loaded); 6] = [
        |loaded| loaded.insert("n", &1).unwrap(),
        |loaded| loaded.update("n", |n: Option<i64>| n.unwrap_or(0) + 1).map(drop).unwrap(),
        Loaded::rotate,
        |loaded| {
            loaded.rotate();
            loaded.insert("n", &2).unwrap();
        },
        |_| (),
        Loaded::destroy,
    ];
    let (mut ended, mut histories) = (0, 0);
    for slow in SLOW {
        for is_renewed in [false, true] {
            let mut longest = 0;
            let mut try_with = |at: usize, trouble: Option<Trouble>| {
                every_schedule(|choose| {
                    let (moves, is_acknowledged) = interleave(slow, is_renewed, (at, trouble), choose);
                    longest = longest.max(moves);
                    ended += u32::from(is_acknowledged);
                    histories += 1;
                });
                longest
            };
            let longest = try_with(0, None);
            for trouble in Trouble::ALL {
                for at in 0..longest {
                    try_with(at, Some(trouble));
                }
            }
        }
    }
    println!("interleavings: {histories} of two requests, {ended} with an acknowledged end");
    assert!(histories > 5_000 && ended > histories / 2, "{ended} ends in {histories} histories");
}

/// Runs something once for every sequence of choices that it can make.
fn every_schedule(mut run: impl FnMut(&mut dyn FnMut() -> bool)) {
    let mut path: Vec<bool> = Vec::new();
    loop {
        let mut made = 0;
        run(&mut || {
            made += 1;
            if made > path.len() {
                path.push(false);
            }
            path[made - 1]
        });
        while path.pop_if(|choice| *choice).is_some() {}
        match path.last_mut() {
            Some(choice) => *choice = true,
            None => return,
        }
    }
}

/// Returns how many moves there were, and whether an end was acknowledged.
fn interleave(
    slow: fn(&mut Loaded),
    is_renewed: bool,
    (at, trouble): (usize, Option<Trouble>),
    choose: &mut dyn FnMut() -> bool,
) -> (usize, bool) {
    let mut world = World::new();
    let mut jars = vec![world.sign_in()];
    if is_renewed {
        let renewed = ticket(&world.request(&jars[0], Loaded::rotate)).unwrap();
        jars.push(renewed);
    }
    // Late enough for a touch.
    world.pass(7 * MINUTE);
    let last = jars.last().unwrap().clone();
    let mut slow = Moving::new(&mut world, &last, slow);
    let mut end = Moving::new(&mut world, &jars[0], Loaded::destroy);
    let mut moves = 0;
    while !(slow.is_over() && end.is_over()) {
        let is_slow = end.is_over() || (!slow.is_over() && choose());
        let moving = if is_slow { &mut slow } else { &mut end };
        moving.advance(&mut world, trouble.filter(|_| moves == at));
        moves += 1;
        assert!(moves < 200, "it never ends");
    }
    let now = world.now;
    world.store.land(now);
    jars.extend(slow.ticket().map(str::to_owned));
    let ends = [slow.end, end.end];
    let is_acknowledged = ends.iter().any(|end| matches!(end, Some(End::Ended | End::AlreadyEnded)));
    if is_acknowledged {
        for jar in &jars {
            assert!(!world.opens(jar), "{trouble:?} at {at}: a ticket opens after the end");
            assert!(!jar_writes(&mut world, jar), "{trouble:?} at {at}: a write goes through the ended ticket");
        }
    }
    (moves, is_acknowledged)
}

/// Tells whether a write with a ticket changes a session that the ticket opens.
fn jar_writes(world: &mut World, jar: &str) -> bool {
    let done = world.request(jar, |loaded| loaded.insert("n", &9).unwrap());
    // What it makes is another session.
    assert_ne!(ticket(&done).as_deref(), Some(jar));
    world.opens(jar)
}

pub(crate) fn a_replay_after_the_deadline_opens_nothing_though_the_store_has_the_record() {
    let far = Duration::from_secs(1 << 40);
    // Each store forgets to expire in a way of its own: what it says is left to live.
    let ways: [(&str, Option<Duration>); 4] = [
        ("no time to live", None),
        ("a long one", Some(far)),
        ("the idle time", Some(DEFAULT_IDLE)),
        ("a second", Some(SECOND)),
    ];
    for (way, left) in ways {
        let mut world = World::new();
        let jar = world.sign_in();
        let key = world.key(&jar);
        let value = world.store.look(&key, world.now).unwrap().value;
        world.pass(DEFAULT_ABSOLUTE - SECOND);
        let now = world.now;
        world.store.put(&key, value.clone(), now, left.filter(|left| *left <= DEFAULT_IDLE));
        let opens_before = left.is_some_and(|left| left <= DEFAULT_IDLE);
        assert_eq!(world.opens(&jar), opens_before, "before the deadline, {way}");
        world.pass(SECOND);
        let now = world.now;
        world.store.put(&key, value, now, left);
        let before = world.store.log.len();
        let done = world.request(&jar, |loaded| assert!(loaded.is_new(), "{way}"));
        assert!(has(&done, Event::Expired), "{way}: {:?}", done.events());
        assert_eq!(world.store.ops_from(before), "load", "expiry by clock never writes");
        let done = world.request(&jar, |loaded| loaded.insert("n", &1).unwrap());
        assert_ne!(ticket(&done).unwrap(), jar, "a write makes another session");
        assert!(!world.opens(&jar), "{way}");
    }
}

/// What a thief has is a copy of the cookie, and so of the session.
pub(crate) fn a_replay_of_a_cookie_that_holds_the_session_opens_nothing_after_the_deadline_or_the_end() {
    let held = || World::with(|builder| builder.hold_in_cookie(CookieHeld::encrypted()));
    let mut world = held();
    let jar = world.sign_in();
    let (mut later, began) = (jar, world.now());
    // Its absolute deadline comes, however often it is used.
    while world.opens(&later) {
        assert!(world.now().since(began) < DEFAULT_ABSOLUTE + SECOND);
        world.pass(DEFAULT_IDLE / 2);
        if let Some(cookie) = ticket(&world.request(&later, |_| ())) {
            later = cookie;
        }
    }
    let mut world = held();
    let jar = world.sign_in();
    world.pass(DEFAULT_IDLE);
    assert!(!world.opens(&jar), "its idle time is over");
    let mut world = held();
    let jar = world.sign_in();
    let copy = ticket(&world.request(&jar, |loaded| loaded.insert("m", &1).unwrap())).unwrap();
    assert_eq!(world.request(&jar, |loaded| loaded.destroy()).end(), Some(End::Ended));
    assert!(!world.opens(&jar) && !world.opens(&copy));
}

pub(crate) fn an_idle_session_opens_nothing_though_the_store_has_the_record() {
    let mut world = World::new();
    let jar = world.sign_in();
    let key = world.key(&jar);
    let value = world.store.look(&key, world.now).unwrap().value;
    for (left, opens) in [
        (Some(DEFAULT_IDLE), true),
        (Some(DEFAULT_IDLE + DEFAULT_CLOCK_SKEW), true),
        (Some(DEFAULT_IDLE + DEFAULT_CLOCK_SKEW + SECOND), false),
        (None, false),
    ] {
        let now = world.now;
        world.store.put(&key, value.clone(), now, left);
        assert_eq!(world.opens(&jar), opens, "{left:?}");
    }
}

pub(crate) fn no_request_moves_the_absolute_deadline_further_away() {
    for seed in 0..20 {
        let mut world = World::new();
        let mut random = Seeded(seed);
        let mut jar = world.sign_in();
        let born = world.now();
        let deadline = born.saturating_add(DEFAULT_ABSOLUTE);
        while world.now() < deadline {
            world.pass(Duration::from_secs(random.next() % 900));
            let edit: fn(&mut Loaded) = match random.below(7) {
                0 => |_| (),
                1 => |loaded| loaded.insert("n", &1).unwrap(),
                2 => |loaded| loaded.update("n", |n: Option<i64>| n.unwrap_or(0) + 1).map(drop).unwrap(),
                3 => |loaded| loaded.clear().unwrap(),
                4 => Loaded::rotate,
                // More than it has is refused, and as much again from here on too.
                5 => |loaded| assert!(loaded.set_lifetime(Lifetime::new(HOUR, 9 * HOUR)).is_err()),
                _ => |loaded| loaded.set_lifetime(Lifetime::default().persistent()).unwrap(),
            };
            if world.now() >= deadline {
                break;
            }
            let done = world.request(&jar, |loaded| {
                assert_eq!(loaded.created(), Some(born), "the session goes on");
                assert!(loaded.deadline() <= Some(deadline));
                edit(loaded);
            });
            jar = ticket(&done).unwrap_or(jar);
            assert!(world.peek(&jar, Loaded::deadline) <= Some(deadline));
            let left = world.store.look(&world.key(&jar), world.now).and_then(|stored| stored.expires_in).unwrap();
            assert!(world.now().saturating_add(left) <= deadline, "the store keeps it longer");
        }
        world.now = deadline.as_millis();
        assert!(!world.opens(&jar));
    }
}

pub(crate) fn a_fresh_proof_and_nothing_else_starts_the_deadlines_anew() {
    let mut world = World::new();
    let done = world.request("", |loaded| loaded.login("alice", Login::new()).unwrap());
    let old = ticket(&done).unwrap();
    world.pass(20 * MINUTE);
    assert_eq!(world.request(&old, |loaded| loaded.insert("n", &1).unwrap()).result(), Ok(()));
    world.pass(20 * MINUTE);
    let before = world.peek(&old, Loaded::deadline).unwrap();
    let new = ticket(&world.request(&old, |loaded| loaded.elevate().unwrap())).unwrap();
    let after = world.peek(&new, Loaded::deadline).unwrap();
    assert_eq!(after.since(before), 40 * MINUTE);
    assert!(!world.opens(&old), "the old ticket is worth nothing");
    while world.now() < after {
        assert!(world.opens(&new));
        world.pass(20 * MINUTE);
        // From the deadline on, it is another session that holds it.
        drop(world.request(&new, |loaded| loaded.insert("n", &2).unwrap()));
    }
    assert!(!world.opens(&new));
    // Who is not signed in has nothing to prove.
    let anonymous = world.sign_in();
    world.act(&anonymous, |loaded| assert_eq!(loaded.elevate(), Err(EditError::NotSignedIn)));
}

/// An application that lengthens its sessions does not lengthen those that are there.
pub(crate) fn a_longer_setting_lengthens_no_session_that_is_there() {
    let mut world = World::with(|builder| builder.lifetime(Lifetime::new(HOUR, HOUR)));
    let jar = world.sign_in();
    let deadline = world.peek(&jar, Loaded::deadline).unwrap();
    let longer = Lifetime::new(24 * HOUR, 24 * HOUR);
    world.engine = Engine::builder(ring()).lifetime(longer).build().unwrap();
    let done = world.request(&jar, Loaded::rotate);
    let jar = ticket(&done).unwrap();
    let try_to = |loaded: &mut Loaded| assert!(loaded.set_lifetime(longer).is_err());
    world.act(&jar, try_to);
    assert_eq!(world.peek(&jar, Loaded::deadline), Some(deadline));
    world.now = deadline.as_millis();
    assert!(!world.opens(&jar));
}

pub(crate) fn after_a_logout_every_reload_is_anonymous_in_memory() {
    web::run(async { check_logouts(MemoryStore::new(Tokio)).await });
}

pub(crate) fn after_a_logout_every_reload_is_anonymous_in_a_file() {
    web::run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.redb");
        check_logouts(RedbStore::open(&path, Tokio).await.unwrap()).await;
    });
}

pub(crate) fn after_a_logout_every_reload_is_anonymous_in_redis() {
    let server = Redis::start(Options::new());
    web::run(async { check_logouts(RedisStore::connect(&server.url(), Tokio).await.unwrap()).await });
}

async fn check_logouts(store: impl Store) {
    let site = Site::over(store);
    for end in ["/end", "/end-and-save", "/end-cached", "/end-and-write"] {
        for rotates in [false, true] {
            let first = site.sign_in().await;
            let mut tickets = vec![first.clone()];
            if rotates {
                tickets.push(site.get("/rotate", &first).await.expect_ticket());
            }
            for ticket in &tickets {
                assert_eq!(site.get("/read", ticket).await.text, SECRET);
            }
            let answer = site.get(end, tickets.last().unwrap()).await;
            assert_eq!(answer.status, 200);
            match end {
                "/end-and-write" => assert!(!tickets.contains(&answer.expect_ticket())),
                _ => assert!(answer.set_cookies().iter().any(|line| line.starts_with("__Host-id=; ")), "{answer:?}"),
            }
            for ticket in &tickets {
                assert_eq!(site.get("/read", ticket).await.text, "anonymous", "after {end}");
                assert_eq!(site.get("/add", ticket).await.text, "1", "an ended session's count goes on");
            }
        }
    }
}

pub(crate) fn a_write_after_a_destroy_makes_a_session_with_a_new_id() {
    let mut world = World::new();
    let jar = world.sign_in();
    world.act(&jar, |loaded| loaded.insert("role", "admin").unwrap());
    let done = world.request(&jar, |loaded| {
        loaded.insert("before", &1).unwrap();
        loaded.destroy();
        assert_eq!(loaded.get::<String>("role"), Ok(None));
        loaded.insert("after", &2).unwrap();
    });
    assert_eq!((done.result(), done.end()), (Ok(()), Some(End::Ended)));
    let fresh = ticket(&done).unwrap();
    assert_ne!(token(&fresh)[..24], token(&jar)[..24], "the id is another");
    assert!(!world.opens(&jar));
    let keys: Vec<String> =
        world.peek(&fresh, |loaded| loaded.data().unwrap().iter().map(|(key, _)| key.to_owned()).collect());
    assert_eq!(keys, ["after"], "nothing is carried over");
    // Also when the end could not be stored: then nothing is made.
    let mut world = World::new();
    let jar = world.sign_in();
    let session = world.slow(&jar, |loaded| {
        loaded.destroy();
        loaded.insert("after", &2).unwrap();
    });
    let Step::Io(io) = session.commit(world.now(), &mut world.entropy) else { panic!("an end is written") };
    assert_eq!(io.op().kind(), OpKind::Replace);
    let Step::Done(done) = io.resume(cloakroom_core::Outcome::Failed, world.now()) else { panic!("it goes on") };
    assert_eq!(done.result(), Err(CommitError::Store));
    assert!(ticket(&done).is_none() && world.opens(&jar));
    assert!(!world.store.log.iter().skip(1).any(|op| matches!(op, Op::Create { .. })));
}
