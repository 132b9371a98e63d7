//! Compaction and replay of edits, beside a naive model, over generated programs.

use std::collections::BTreeMap;

use cloakroom_core::Loaded;

use crate::common::{Seeded, World};

type Map = BTreeMap<String, i64>;

fn contents(w: &World, jar: &str) -> Map {
    w.with_peeked(jar, |loaded| {
        loaded.data().unwrap().iter().map(|(key, raw)| (key.to_owned(), raw.parse().unwrap())).collect()
    })
}

/// An edit of a generated program, with its meaning.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Clear,
    Insert(usize, i64),
    Remove(usize),
    Update(usize, i64),
    Whole(i64),
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

impl Edit {
    fn generate(random: &mut Seeded) -> Self {
        let (key, n) = (random.below(KEYS.len()), random.below(5) as i64);
        match random.below(12) {
            0 => Self::Clear,
            1..5 => Self::Insert(key, n),
            5..7 => Self::Remove(key),
            7..11 => Self::Update(key, n),
            _ => Self::Whole(n),
        }
    }

    fn naive(self, data: &mut Map) {
        match self {
            Self::Clear => data.clear(),
            Self::Insert(key, n) => drop(data.insert(KEYS[key].to_owned(), n)),
            Self::Remove(key) => drop(data.remove(KEYS[key])),
            Self::Update(key, n) => {
                let old = data.get(KEYS[key]).copied();
                data.insert(KEYS[key].to_owned(), step(old, n));
            }
            Self::Whole(n) => whole(data, n),
        }
    }

    fn real(self, loaded: &mut Loaded) {
        match self {
            Self::Clear => loaded.clear().unwrap(),
            Self::Insert(key, n) => loaded.insert(KEYS[key], &n).unwrap(),
            Self::Remove(key) => drop(loaded.remove(KEYS[key]).unwrap()),
            Self::Update(key, n) => drop(loaded.update(KEYS[key], move |old| step(old, n)).unwrap()),
            Self::Whole(n) => loaded.update_whole(move |map: &mut Map| whole(map, n)).unwrap(),
        }
    }
}

fn step(old: Option<i64>, n: i64) -> i64 {
    old.map_or(100 + n, |old| (old * 3 + n) % 1009)
}

/// Looks at every value, and changes some.
fn whole(data: &mut Map, n: i64) {
    let sum = data.values().sum::<i64>() % 1009;
    data.insert("d".to_owned(), sum + n);
    data.remove("b");
}

#[test]
fn compaction_and_replay_are_what_doing_the_edits_again_gives() {
    let mut random = Seeded(42);
    for case in 0..3000 {
        let mut program = |len: usize| -> Vec<Edit> { (0..len).map(|_| Edit::generate(&mut random)).collect() };
        let (first, theirs, mine) = (program(4), program(case % 4), program(1 + case % 12));
        let mut w = World::new();
        let jar = w.sign_in();
        let run = |program: &[Edit], data: &Map| {
            let mut data = data.clone();
            program.iter().for_each(|edit| edit.naive(&mut data));
            data
        };
        let all = |program: &[Edit], loaded: &mut Loaded| program.iter().for_each(|edit| edit.real(loaded));
        assert_eq!(w.request(&jar, |loaded| all(&first, loaded)).result(), Ok(()));
        let base = run(&first, &[("n".to_owned(), 0)].into());
        let slow = w.slow(&jar, |loaded| all(&mine, loaded));
        let changed = run(&theirs, &base);
        assert_eq!(w.request(&jar, |loaded| all(&theirs, loaded)).result(), Ok(()));
        assert_eq!(contents(&w, &jar), changed, "{first:?}, {theirs:?}");
        assert_eq!(w.commit(slow).result(), Ok(()));
        // A commit of nothing but equal writes is no commit.
        let expected = if run(&mine, &base) == base { changed } else { run(&mine, &changed) };
        assert_eq!(contents(&w, &jar), expected, "{first:?} then {theirs:?} under {mine:?}");
    }
}
