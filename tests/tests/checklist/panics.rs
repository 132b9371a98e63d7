//! No input panics.

use std::time::Duration;

use cloakroom_core::{
    Codec, CookieName, CookiePolicy, Engine, JsonCodec, Key, KeyId, Keyring, Lifetime, Loaded, RequestInfo,
    SealedCodec, SessionId, StoreKey, UnixTime,
};

use crate::world::{Seeded, World, ring, ticket};

/// Around every power of two.
fn numbers() -> Vec<u64> {
    let mut numbers: Vec<u64> =
        (0..64).flat_map(|bit| [1 << bit, (1u64 << bit) - 1, (1u64 << bit).wrapping_add(1)]).collect();
    numbers.extend([u64::MAX, u64::MAX - 1, i64::MAX as u64, 34_560_000, 34_560_001, 34_560_000_000]);
    numbers
}

pub(crate) fn no_lifetime_or_time_panics() {
    let mut made = 0;
    for number in numbers() {
        for length in [Duration::from_secs(number), Duration::from_millis(number), Duration::from_nanos(number)] {
            for lifetime in [
                Lifetime::new(length, length),
                Lifetime::new(length, Duration::MAX),
                Lifetime::new(Duration::from_secs(1), length),
                Lifetime::new(length, length).persistent(),
            ] {
                let policy = CookiePolicy::default();
                let _ = policy.set("x", Some(length));
                let builder = Engine::builder(ring()).lifetime(lifetime).grace(length).clock_skew(length);
                let Ok(engine) = builder.max_request(length).superseded(length).renew_after(length).build() else {
                    continue;
                };
                for now in [0, 1, 1_800_000_000_000, number, u64::MAX - 1, u64::MAX] {
                    let mut world = World::of(engine.clone());
                    world.now = now;
                    let done = world.request("", |loaded| loaded.insert("n", &1).unwrap());
                    let Some(jar) = ticket(&done) else { continue };
                    made += 1;
                    for later in [now, now.saturating_add(1), now.saturating_add(number), u64::MAX, 0] {
                        world.now = later;
                        let mut session = world.open(&jar);
                        if let Ok(loaded) = world.access(&mut session) {
                            let _ = loaded.set_lifetime(Lifetime::new(length, length));
                            loaded.rotate();
                        }
                        let done = world.commit(session);
                        let jar = ticket(&done).unwrap_or_else(|| jar.clone());
                        let _ = world.request(&jar, Loaded::destroy);
                    }
                }
            }
        }
    }
    assert!(made > 2_000, "{made} sessions");
    assert_eq!(UnixTime::from_millis(u64::MAX).saturating_add(Duration::MAX).as_millis(), u64::MAX);
}

pub(crate) fn no_bytes_panic() {
    let mut world = World::new();
    let jar = world.sign_in();
    let key = world.key(&jar);
    let good = world.store.look(&key, world.now).unwrap().value.as_bytes().to_vec();
    let codec = SealedCodec::new(&ring(), "main");
    let mut random = Seeded(21);
    for round in 0..20_000 {
        let len = random.below(120);
        let mut bytes = random.bytes(len);
        match round % 4 {
            // Never text.
            0 => bytes.extend([0xff, 0xfe, 0x80]),
            // A good record or token with something of it changed.
            1 => {
                bytes = good.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(bytes.len());
                    bytes[at] = random.next() as u8;
                }
            }
            2 => {
                bytes = jar.clone().into_bytes();
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            _ => {}
        }
        let cookie = [b"__Host-id=".as_slice(), &bytes].concat();
        let lines = [bytes.as_slice(), cookie.as_slice(), jar.as_bytes()];
        let info = RequestInfo::new().sec_fetch_site(&bytes).sec_fetch_mode(&bytes);
        let mut session = world.engine.open(lines, &info);
        let _ = world.access(&mut session);
        let _ = world.commit(session);
        let _ = world.engine.inspect(&bytes);
        let value = bytes.clone().into();
        let _ = JsonCodec.decode(&key, &value);
        let _ = codec.decode(&key, &value);
        let _ = SessionId::from_bytes(&bytes);
        let _ = Key::from_bytes(KeyId::new(1), &bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = text.parse::<Keyring>();
        let _ = StoreKey::new(&text);
        let _ = CookiePolicy::default().set(&text, None);
        if let Ok(name) = CookieName::new(text.as_ref()) {
            let policy = CookiePolicy::named(name).path(text.as_ref()).dangerous_domain(text.as_ref());
            let _ = (policy.check(), policy.removal());
        }
        // As a record under a valid ticket, for every use of it.
        let mut world = world.clone();
        world.put(&key, bytes);
        let mut session = world.open(&jar);
        if let Ok(loaded) = world.access(&mut session) {
            let _ = (loaded.get::<String>("n"), loaded.data().map(|data| data.len()), loaded.insert("m", &1));
            loaded.rotate();
        }
        let _ = world.commit(session);
        let mut session = world.open(&jar);
        if world.access(&mut session).is_ok() {
            let done = world.commit(session);
            let _ = format!("{done:?}");
        }
    }
}
