//! Does what is to be counted in instructions, in a function that a profiler can find by its name.
//!
//! ```sh
//! cargo build -p cloakroom-search --example instructions
//! valgrind --tool=callgrind --collect-atstart=no --toggle-collect=instructions::measured \
//!     --dump-after=instructions::measured target/debug/examples/instructions
//! ```
//!
//! Prints the name and the size of each measure in the order of the dumps. `linear/..` comes in sizes that double,
//! `constant/..` in numbers that say what differs and must not show.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that measures")]

use std::{hint::black_box, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use cloakroom_core::{
    Access, Codec, CookieName, CookiePolicy, Data, Engine, Entropy, EntropyError, Entry, Json, JsonCodec, Key, KeyId,
    Keyring, Lifetime, Record, RequestInfo, SealedCodec, SessionId, SignedTokens, StoreKey, TokenScheme, UnixTime,
    Value, cookie::Scanner,
};

/// Bytes of a header: within the caps and beyond.
const SIZES: [usize; 6] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10];

fn main() {
    headers();
    records();
    lines();
    tokens();
    ids();
}

/// What is counted, and nothing else.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

fn measure<T>(name: &str, size: usize, mut work: impl FnMut() -> T) {
    // Of what allocates the fewest count: the heap is tidied in some calls and not in others.
    let allocates = !["constant/", "linear/scan/", "linear/request/"].iter().any(|start| name.starts_with(start));
    let times = if allocates { 3 } else { 1 };
    // Once before, so that what is looked up or set up once is none of it.
    drop(black_box(work()));
    for _ in 0..times {
        let mut result = None;
        measured(&mut || result = Some(black_box(work())));
        // Neither is dropping.
        drop(black_box(result));
        println!("{name} {size}");
    }
}

/// Nothing here has to be random.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill_with(|| {
            self.0 = self.0.wrapping_mul(5).wrapping_add(37);
            self.0
        });
        Ok(())
    }
}

fn ring() -> Keyring {
    let mut secret = [0; 32];
    Counting(1).fill(&mut secret).unwrap();
    Keyring::new(Key::from_bytes(KeyId::new(1), &secret).unwrap())
}

fn token_of(raw_id: [u8; 16]) -> String {
    let mut token = String::new();
    let scheme = SignedTokens::new(&ring(), "main", CookiePolicy::NAME);
    scheme.mint(&SessionId::from_bytes(&raw_id).unwrap(), &mut token);
    token
}

/// A shape of a header, as the bytes of its lines, of which `size` are wanted.
type Shape = (&'static str, fn(usize) -> Vec<Vec<u8>>);

fn one_line(unit: &str, size: usize) -> Vec<Vec<u8>> {
    vec![unit.bytes().cycle().take(size).collect()]
}

const SHAPES: [Shape; 21] = [
    ("tiny-pairs", |size| one_line("a=;", size)),
    ("pairs", |size| one_line("name=0123456789abcdef; ", size)),
    ("long-pairs", |size| one_line(&format!("name={}; ", "x".repeat(200)), size)),
    ("one-long-value", |size| vec![[b"a=".as_slice(), &vec![b'x'; size - 2]].concat()]),
    ("one-long-name", |size| vec![vec![b'x'; size]]),
    ("our-long-value", |size| vec![[b"__Host-id=".as_slice(), &vec![b'x'; size - 10]].concat()]),
    ("equals-signs", |size| one_line("=", size)),
    ("our-equals-signs", |size| vec![[b"__Host-id".as_slice(), &vec![b'='; size - 9]].concat()]),
    ("quotes", |size| one_line("\"", size)),
    ("quoted-pairs", |size| one_line("a=\"\\\"x\"; ", size)),
    ("backslashes", |size| vec![[b"a=\"".as_slice(), &vec![b'\\'; size - 3]].concat()]),
    ("octal-escapes", |size| vec![[b"a=\"".as_slice(), &one_line("\\134", size - 3)[0]].concat()]),
    ("blanks", |size| one_line(" ", size)),
    ("blanks-around-our-value", |size| {
        let blanks = " \t".repeat((size - 12) / 4);
        vec![format!("{blanks}__Host-id= x {blanks}").into_bytes()]
    }),
    ("blanks-in-pairs", |size| one_line("        =        ;", size)),
    ("semicolons", |size| one_line(";", size)),
    ("our-name-malformed", |size| one_line("__Host-id=x; ", size)),
    ("our-name-over-and-over", |size| one_line("__Host-id", size)),
    ("our-name-nearly", |size| one_line("__Host-i=x; ", size)),
    ("our-name-well-formed", |size| {
        let pairs = (0..size / 55).map(|n| format!("__Host-id=AQ{n:042};"));
        vec![pairs.collect::<String>().into_bytes()]
    }),
    ("many-lines", |size| vec![b"a=0123456789".to_vec(); size / 12]),
];

/// The scan alone, and a whole request that asks for its session.
fn headers() {
    let engine = Engine::new(ring());
    let scanner = Scanner::new(CookiePolicy::default().name());
    for (shape, make) in SHAPES {
        for size in SIZES {
            let lines = make(size);
            let slices: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            measure(&format!("linear/scan/{shape}"), size, || {
                let mut found = 0;
                let end = scanner.scan(slices.iter().copied(), |value| found += value.len());
                (found, end)
            });
            measure(&format!("linear/request/{shape}"), size, || {
                let mut session = engine.open(slices.iter().copied(), &RequestInfo::new());
                let is_ready = matches!(session.access(), Access::Ready(_));
                (session, is_ready)
            });
        }
    }
}

/// The text between the braces of an object.
type Fields = fn(usize) -> String;

/// Records of many keys, of many fields that are not known, and of one large value.
fn records() {
    let key = StoreKey::new("cloakroom:0123456789abcdefghijkl").unwrap();
    let sealed = SealedCodec::new(&ring(), "main");
    // Long texts all lie beyond 8 KB: from there on libc copies with one instruction that callgrind counts for each byte.
    let shapes: [(&str, Fields); 6] = [
        ("keys", |n| (0..n).map(|n| format!("\"k{n:06}\":{n}")).collect::<Vec<_>>().join(",")),
        ("keys-backwards", |n| (0..n).rev().map(|n| format!("\"k{n:06}\":{n}")).collect::<Vec<_>>().join(",")),
        ("escaped-keys", |n| (0..n).map(|n| format!("\"\\u006b{n:06}\":[]")).collect::<Vec<_>>().join(",")),
        ("long-text", |n| format!("\"k\":\"{}\"", "x".repeat(n * 16))),
        ("long-list", |n| format!("\"k\":[{}0]", "0,".repeat(n * 8))),
        ("escapes", |n| format!("\"k\":\"{}\"", "\\u0061".repeat(n * 2))),
    ];
    for (shape, data) in shapes {
        for n in [1_000, 2_000, 4_000, 8_000] {
            let text = format!(
                "{{\"format\":1,\"kind\":\"record\",\"created\":0,\"deadline\":9,\"idle\":9,\"persistent\":false,\"issued\":0,\"lineage\":\"AAAAAAAAAAA\",\
                 \"commits\":0,\"nonces\":[],\"schema\":0,\"data\":{{{}}}}}",
                data(n)
            );
            let value = Value::from(text.into_bytes());
            measure(&format!("linear/decode/{shape}"), n, || JsonCodec.decode(&key, &value).unwrap());
            let entry = JsonCodec.decode(&key, &value).unwrap();
            measure(&format!("linear/encode/{shape}"), n, || JsonCodec.encode(&key, &entry).unwrap());
            let bytes = Value::from(sealed.encode(&key, &entry).unwrap());
            measure(&format!("linear/unseal/{shape}"), n, || sealed.decode(&key, &bytes).unwrap());
            let Entry::Record(record) = entry else { unreachable!() };
            measure(&format!("linear/iterate/{shape}"), n, || {
                record.data.iter().map(|(_, raw)| raw.len()).sum::<usize>()
            });
        }
    }
    for n in [1_000, 2_000, 4_000, 8_000] {
        let mut record = Record::new(UnixTime::EPOCH, Lifetime::default());
        measure("linear/set/keys", n, || {
            record.data = Data::new();
            for n in 0..n {
                record.data.set(&format!("k{n:06}"), Json::of(&n).unwrap());
            }
        });
        for (shape, unit) in [("brackets", "["), ("quotes", "\""), ("keys", "{\"a\":"), ("blanks", " ")] {
            let value = Value::from(unit.repeat(n).into_bytes());
            measure(&format!("linear/malformed/{shape}"), n, || JsonCodec.decode(&key, &value).is_err());
        }
    }
}

/// `Set-Cookie` lines by the length of the value, and names and rings that are read.
fn lines() {
    let policy = CookiePolicy::default();
    for n in [500, 1_000, 2_000, 4_000] {
        let value = "x".repeat(n);
        measure("linear/set-cookie/value", n, || policy.set(&value, Some(Duration::from_secs(60))).unwrap());
        let bad = format!("{value};");
        measure("linear/set-cookie/refused", n, || policy.set(&bad, None).is_err());
        measure("linear/cookie-name", n, || CookieName::new(value.as_str()).is_ok());
        let comment = format!("# {value}\n").repeat(20);
        measure("linear/keyring/comments", n, || comment.parse::<Keyring>().is_err());
    }
}

fn tokens() {
    let scheme = SignedTokens::new(&ring(), "main", CookiePolicy::NAME);
    let engine = Engine::new(ring());
    let good = token_of([7; 16]);
    let raw = BASE64.decode(&good).unwrap();
    for matching in 0..16 {
        // All bytes from here on are wrong, or this one alone.
        let from_here = |wrong: std::ops::Range<usize>| {
            let mut raw = raw.clone();
            raw[17..][wrong].iter_mut().for_each(|byte| *byte ^= 0x55);
            BASE64.encode(raw)
        };
        let (prefix, one) = (from_here(matching..16), from_here(matching..matching + 1));
        measure("constant/tag/prefix", matching, || scheme.verify(prefix.as_bytes()).is_err());
        measure("constant/tag/one-byte-wrong", matching, || scheme.verify(one.as_bytes()).is_err());
        let line = format!("__Host-id={prefix}");
        // Opening looks at what characters the client sent; what is secret comes with the access.
        let mut sessions: Vec<_> = (0..2).map(|_| engine.open([line.as_bytes()], &RequestInfo::new())).collect();
        measure("constant/access/tag-prefix", matching, || {
            let mut session = sessions.pop().unwrap();
            let is_ready = matches!(session.access(), Access::Ready(_));
            (session, is_ready)
        });
    }
    for n in 0..16 {
        // Ids at random, the first of which is in use.
        let mut id = [7; 16];
        if n > 0 {
            Counting(n as u8).fill(&mut id).unwrap();
        }
        let mut forged = BASE64.decode(token_of(id)).unwrap();
        forged[20] ^= 1;
        let forged = BASE64.encode(forged);
        measure("constant/forged/id", n, || scheme.verify(forged.as_bytes()).is_err());
        let token = token_of(id);
        measure("constant/verify/good", n, || scheme.verify(token.as_bytes()).unwrap());
        let id = SessionId::from_bytes(&id).unwrap();
        let mut out = String::with_capacity(2 * SignedTokens::LEN);
        measure("constant/mint", n, || scheme.mint(&id, &mut out));
    }
    for n in [1 << 10, 2 << 10, 4 << 10, 8 << 10] {
        let long = "A".repeat(n);
        measure("linear/verify/too-long", n, || scheme.verify(long.as_bytes()).is_err());
    }
}

fn ids() {
    let secret = [7; 16];
    let id = SessionId::from_bytes(&secret).unwrap();
    for matching in 0..=16 {
        let mut other = secret;
        other[matching..].fill(9);
        let other = SessionId::from_bytes(&other).unwrap();
        measure("constant/id/prefix", matching, || id == other);
    }
}
