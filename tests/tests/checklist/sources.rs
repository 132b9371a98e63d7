//! What the sources declare, so that no list here can lag behind them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The crates whose types may hold a secret, with their sources.
const CRATES: [(&str, &str); 5] = [
    ("cloakroom_core", "core/src"),
    ("cloakroom_redb", "adapters/redb/src"),
    ("cloakroom_redis", "adapters/redis/src"),
    ("cloakroom_store", "adapters/store/src"),
    ("cloakroom_tower", "adapters/tower/src"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Fails unless the names are those of all functions in a file that start with `declares` and take `receiver`.
#[track_caller]
pub(crate) fn assert_all_told<'a>(file: &str, declares: &str, receiver: &str, told: impl Iterator<Item = &'a str>) {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let functions = text.lines().filter_map(|line| line.trim_start().strip_prefix(declares));
    let with_receiver = functions.filter(|function| function.contains(&format!("({receiver}")));
    let name = |function: &str| function.trim_start().split(['(', '<']).next().unwrap().to_owned();
    let declared: BTreeSet<String> = with_receiver.map(name).collect();
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), declared, "left: told; right: declared in {file}");
}

/// Every public type, as `crate::Type`.
pub(crate) fn public_types() -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for (name, folder) in CRATES {
        let before = types.len();
        for file in sources_in(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            for line in text.lines() {
                let declared = ["pub struct ", "pub enum ", "pub union "]
                    .iter()
                    .find_map(|kind| line.trim_start().strip_prefix(kind));
                if let Some(declared) = declared {
                    let ident: String = declared.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
                    types.insert(format!("{name}::{ident}"));
                }
            }
        }
        assert!(types.len() > before + 2, "{name} declares next to nothing");
    }
    types
}

fn sources_in(folder: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources.extend(sources_in(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => sources.push(path),
            false => {}
        }
    }
    sources
}
