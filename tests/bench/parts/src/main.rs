//! Cloakroom's core beside the bare sum of its parts: from the `Cookie` line to the key that a store is asked for. And the parts of a
//! read and of a change in memory.

mod bare;
mod machine;
mod measure;
mod visit;

use std::hint::black_box;

use bench_kit::{Command, Jar};
use cloakroom_core::{
    Access, CookiePolicy, Engine, Entropy, EntropyError, Key, KeyId, Keyring, RequestInfo, SignedTokens, Step,
    TokenScheme as _, UnixTime, cookie::Scanner,
};

use sha2::{Digest as _, Sha256};

use crate::{
    bare::{Bare, naive_scan},
    machine::Machine,
    visit::{Visited, nonce, now},
};

const SYSTEMS: [&str; 7] = ["core", "core, forged", "core, untouched", "machine", "parts", "scan", "naive scan"];
const FOREIGN: [usize; 2] = [6, 40];

fn main() -> anyhow::Result<()> {
    match Command::from_args()? {
        Command::List => SYSTEMS.iter().for_each(|system| println!("{system}")),
        Command::InProcess(system, patience) => {
            each(&system, |bench, work| measure::time(bench, &system, patience, work))?;
        }
        Command::Instructions(system) => each(&system, |bench, work| measure::instructions(bench, work))?,
        Command::Serve { .. } => anyhow::bail!("there is nothing to serve"),
    }
    Ok(())
}

/// Hands the work of a system to `measure`, for each number of foreign cookies.
fn each(system: &str, mut measure: impl FnMut(&str, &mut dyn FnMut())) -> anyhow::Result<()> {
    let secret = Sha256::digest(b"a ring of one key");
    let ring = Keyring::new(Key::from_bytes(KeyId::new(1), &secret)?);
    let engine = Engine::new(ring.clone());
    let scheme = SignedTokens::new(&ring, "main", CookiePolicy::NAME);
    let id = scheme.new_id(&mut Fixed)?;
    let mut token = String::new();
    scheme.mint(&id, &mut token);
    let mut jar = Jar::default();
    jar.take(&[format!("{}={token}", CookiePolicy::NAME)]);
    let policy = CookiePolicy::default();
    let name = policy.name();
    let scanner = Scanner::new(name);
    for foreign in FOREIGN {
        let header = |jar: &Jar| jar.header(foreign).unwrap_or_default();
        let (valid, forged) = (header(&jar), header(&jar.forged()));
        let opened = format!("open, {foreign} foreign cookies");
        let scanned = format!("scan, {foreign} foreign cookies");
        match system {
            "core" => {
                anyhow::ensure!(asks(&engine, &valid), "the token opens");
                measure(&opened, &mut || {
                    black_box(asks(&engine, black_box(&valid)));
                });
            }
            "core, forged" => {
                anyhow::ensure!(!asks(&engine, &forged), "the forged token does not open");
                measure(&opened, &mut || {
                    black_box(asks(&engine, black_box(&forged)));
                });
            }
            "core, untouched" => {
                anyhow::ensure!(is_quiet(&engine, &valid), "nothing is asked for");
                measure(&opened, &mut || {
                    black_box(is_quiet(&engine, black_box(&valid)));
                });
            }
            "machine" if foreign == FOREIGN[0] => {
                let visited = Visited::new(Bare::new(&secret, name), &valid)?;
                let mut machine = Machine::new(engine.clone(), visited.value(), now()?);
                anyhow::ensure!(machine.read(&valid)? == "Ada Lovelace", "a read reads");
                anyhow::ensure!((machine.change(&valid)?, machine.change(&valid)?) == (2, 3), "a change changes");
                measure("read, machine alone, 200", &mut || drop(black_box(machine.read(black_box(&valid)))));
                measure("change, machine alone, 200", &mut || drop(black_box(machine.change(black_box(&valid)))));
            }
            "machine" => {}
            "parts" => {
                let bare = Bare::new(&secret, name);
                anyhow::ensure!(bare.store_key(&valid)? == key(&engine, &valid)?, "the parts make the key of the core");
                measure(&opened, &mut || drop(black_box(bare.key_chars(black_box(&valid)))));
                if foreign == FOREIGN[0] {
                    let visited = Visited::new(bare, &valid)?;
                    anyhow::ensure!(visited.read(&valid)? == "Ada Lovelace", "a read reads");
                    anyhow::ensure!((visited.change(&valid)?, visited.change(&valid)?) == (2, 3), "a change changes");
                    measure("read, straight code, 200", &mut || drop(black_box(visited.read(black_box(&valid)))));
                    measure("change, straight code, 200", &mut || drop(black_box(visited.change(black_box(&valid)))));
                    measure("decode a record, 200", &mut || visited.decode());
                    measure("encode a record, 200", &mut || visited.encode());
                    measure("draw a nonce", &mut || drop(black_box(nonce())));
                }
            }
            "scan" => measure(&scanned, &mut || {
                let mut found = None;
                let _ = black_box(black_box(&scanner).scan([black_box(valid.as_bytes())], |value| found = Some(value)));
                black_box(found);
            }),
            "naive scan" => measure(&scanned, &mut || {
                let mut found = None;
                naive_scan(black_box(valid.as_bytes()), black_box(name.as_str().as_bytes()), |value| {
                    found = Some(value)
                });
                black_box(found);
            }),
            _ => anyhow::bail!("there is no system {system:?}"),
        }
    }
    Ok(())
}

/// Opens a session and asks for it; tells whether that leads to the store.
fn asks(engine: &Engine, header: &str) -> bool {
    let mut session = engine.open([header.as_bytes()], &RequestInfo::new());
    match session.access() {
        Access::Load(load) => black_box(load.key()).as_bytes().len() > 1,
        Access::Ready(_) => false,
    }
}

/// Opens a session and commits it untouched; tells whether that asks for nothing.
fn is_quiet(engine: &Engine, header: &str) -> bool {
    let session = engine.open([header.as_bytes()], &RequestInfo::new());
    match session.commit(UnixTime::from_millis(0), &mut Fixed) {
        Step::Done(done) => done.headers().next().is_none(),
        Step::Io(_) => false,
    }
}

fn key(engine: &Engine, header: &str) -> anyhow::Result<Vec<u8>> {
    match engine.open([header.as_bytes()], &RequestInfo::new()).access() {
        Access::Load(load) => Ok(load.key().as_bytes().to_vec()),
        Access::Ready(_) => anyhow::bail!("nothing to load"),
    }
}

/// Nothing here has to be random.
struct Fixed;

impl Entropy for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = (n as u8).wrapping_mul(37).wrapping_add(11);
        }
        Ok(())
    }
}
