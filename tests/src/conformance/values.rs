//! Values are opaque bytes.

use cloakroom_core::Value;

use super::{
    Held,
    bench::{Bench, LONG},
    ensure,
    handle::{Handle, Lease, conflict},
};

pub(super) async fn of_no_bytes_are_values(bench: Bench) -> Held {
    const RULE: &str = "an empty value is a value";
    let store = bench.store();
    let (key, empty) = (bench.key(), Value::from(Vec::new()));
    let version = store.put(&key, &empty).await?;
    store.holds(&key, &empty, RULE).await?;
    let version = store.touched(&key, &version, &empty, LONG).await?;
    let full = bench.value();
    let version = store.replaced(&key, &version, &full, LONG).await?;
    let version = store.replaced(&key, &version, &empty, LONG).await?;
    store.holds(&key, &empty, RULE).await?;
    store.removed(&key, &version).await?;
    store.is_absent(&key, "what was removed is absent").await
}

pub(super) async fn of_every_byte_are_kept(bench: Bench) -> Held {
    let store = bench.store();
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let backwards: Vec<u8> = all.iter().rev().copied().collect();
    let zeros = vec![0; 100];
    let lines = b"\r\n\0\n\r\r\n\r\n\0".to_vec();
    are_kept(&bench, &store, [all, backwards, zeros, lines].map(Value::from)).await?;
    let each_alone: Vec<Value> = (0..=u8::MAX).map(|byte| Value::from(vec![byte])).collect();
    are_kept(&bench, &store, each_alone).await
}

pub(super) async fn that_mean_something_elsewhere_are_kept(bench: Bench) -> Held {
    let texts = [
        "0",
        "-1",
        "007",
        "1e3",
        "9223372036854775808",
        "18446744073709551616",
        "NaN",
        "inf",
        "true",
        "null",
        "nil",
        "OK",
        "QUEUED",
        "+OK\r\n",
        "-ERR none\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "_\r\n",
        "END\r\n",
        "STORED\r\n",
        "EN\r\n",
        "VA 1 t0\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
        "'; DROP TABLE sessions; --",
        "%s%n",
        "{}",
        "[]",
        "\"",
        "\\",
        "\u{feff}text",
        " ",
        "\t",
        "text ",
        " text",
    ];
    let texts = texts.map(|text| Value::from(text.as_bytes()));
    are_kept(&bench, &bench.store(), texts).await
}

pub(super) async fn that_look_alike_are_told_apart(bench: Bench) -> Held {
    const RULE: &str = "values that differ in whatever way have different versions";
    let store = bench.store();
    let long = vec![b'x'; 10_000];
    let mut longer = long.clone();
    longer.push(b'x');
    let (mut other_end, mut other_start) = (long.clone(), long.clone());
    other_end[9_999] = b'y';
    other_start[0] = b'y';
    let pairs: [(&[u8], &[u8]); 13] = [
        (b"1", b"1.0"),
        (b"1", b"01"),
        (b"0", b"-0"),
        (b"a", b"A"),
        (b"a", b"a\0"),
        (b"a", b"a "),
        (b"", b"\0"),
        (b"a\n", b"a\r\n"),
        (b"{\"a\":1}", b"{\"a\": 1}"),
        ("\u{e9}".as_bytes(), "e\u{301}".as_bytes()),
        (&long, &longer),
        (&long, &other_end),
        (&long, &other_start),
    ];
    for (one, other) in pairs.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let (key, one, other) = (bench.key(), Value::from(one), Value::from(other));
        let stale = store.put(&key, &one).await?;
        let lease = Lease::start(LONG);
        let current = store.replaced(&key, &stale, &other, LONG).await?;
        store.refuses(&key, &stale, &other, lease, RULE).await?;
        store.removed(&key, &current).await?;
    }
    Ok(())
}

pub(super) async fn of_the_largest_size_are_kept(bench: Bench) -> Held {
    const RULE: &str = "a value of the largest size is kept";
    let store = bench.store();
    let (key, first, second) = (bench.key(), noise(bench.largest(), 1), noise(bench.largest(), 2));
    let created = store.put(&key, &first).await?;
    store.holds(&key, &first, RULE).await?;
    let replaced = store.replaced(&key, &created, &second, LONG).await?;
    let brought =
        conflict(store.replace(&key, &created, &bench.value(), LONG).await?, "a stale version is a conflict")?;
    ensure(brought.is_none_or(|brought| brought.value == second), "a conflict brings the value that is there")?;
    let touched = store.touched(&key, &replaced, &second, LONG).await?;
    store.holds(&key, &second, RULE).await?;
    let small = bench.value();
    let version = store.replaced(&key, &touched, &small, LONG).await?;
    store.holds(&key, &small, "a small value after a large one is kept").await?;
    store.removed(&key, &version).await
}

/// Creates, replaces and loads each, under keys of their own and under one.
async fn are_kept(bench: &Bench, store: &Handle, values: impl IntoIterator<Item = Value>) -> Held {
    let shared = bench.key();
    let mut version = store.put(&shared, &bench.value()).await?;
    for value in values {
        let key = bench.key();
        let rule = || format!("a value is kept byte by byte; {:?}", String::from_utf8_lossy(value.as_bytes()));
        store.put(&key, &value).await?;
        let found = store.holds(&key, &value, &rule()).await?;
        let touched = store.touched(&key, &found.version, &value, LONG).await?;
        store.holds(&key, &value, &rule()).await?;
        store.removed(&key, &touched).await?;

        version = store.replaced(&shared, &version, &value, LONG).await?;
        store.holds(&shared, &value, &rule()).await?;
    }
    Ok(())
}

/// Makes bytes that do not compress.
fn noise(bytes: usize, seed: u64) -> Value {
    let mut state = seed;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.extend((state ^ (state >> 33)).to_le_bytes());
    }
    noise.truncate(bytes);
    Value::from(noise)
}
