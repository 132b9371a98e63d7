//! A copy of the core and the explorer, where machines are edited, built and searched.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::table::{Edit, Mutation};

/// What is built for one short search is not worth optimizing.
const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["core", "explorer"]

[profile.dev]
debug = false
opt-level = 0

"#;

/// The explorer as a program.
const EXPLORER: &str = r#"[package]
name = "explorer"
version = "0.0.0"
edition.workspace = true

[dependencies]
cloakroom-core.workspace = true
"#;

/// What a search came to.
pub(crate) struct Found {
    pub(crate) worlds: usize,
    /// Every world that can be reached was met.
    pub(crate) complete: bool,
    /// The rules that were broken, each with a shortest story.
    pub(crate) broken: BTreeMap<String, String>,
}

/// A copy: one folder and one target folder for machines one after the other, so that a build does little more than what was edited.
pub(crate) struct MachineCopy {
    folder: PathBuf,
    /// The core's files as they are.
    sources: BTreeMap<String, String>,
    /// Keeps others from the folder.
    _lock: File,
}

impl MachineCopy {
    /// Makes the copy. What was there before is used again as far as it is the same.
    pub(crate) fn make(number: usize) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutated_machines").join(number.to_string());
        fs::create_dir_all(&folder).expect("a folder");
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("a lock");

        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = tests.parent().expect("the workspace");
        let mut files = BTreeMap::new();
        let sources = texts(&root.join("core/src"));
        files.extend(below("core/src", sources.clone()));
        files.extend(below("explorer/src/explore", texts(&tests.join("search/src/explore"))));
        files.extend(below("explorer/src/table", texts(&tests.join("tests/mutated_machines/table"))));
        files.insert("explorer/src/main.rs".to_owned(), text(&tests.join("tests/mutated_machines/explorer.rs")));
        files.insert("explorer/Cargo.toml".to_owned(), EXPLORER.to_owned());
        let is_inherited = |header: &str| header.starts_with("[workspace.");
        let inherited = sections(&text(&root.join("Cargo.toml")), is_inherited);
        files.insert("Cargo.toml".to_owned(), format!("{WORKSPACE}{inherited}"));
        let core = sections(&text(&root.join("core/Cargo.toml")), |header| header != "[dev-dependencies]");
        files.insert("core/Cargo.toml".to_owned(), core);

        let copy = Self { folder, sources, _lock: lock };
        let is_gone = |file: &String| !files.contains_key(file);
        for part in ["core", "explorer"] {
            let there: BTreeSet<String> = below(part, texts(&copy.folder.join(part))).into_keys().collect();
            there.into_iter().filter(is_gone).for_each(|file| fs::remove_file(copy.folder.join(file)).expect("a file"));
        }
        files.iter().for_each(|(file, text)| copy.write(file, text));
        // Cargo takes out what the copy does not need.
        fs::copy(root.join("Cargo.lock"), copy.folder.join("Cargo.lock")).expect("a copy");
        copy
    }

    /// Makes the edits, each at the one place that it names, and searches the plans of the mutations.
    pub(crate) fn search(&self, edits: &[&Edit], mutations: &[&Mutation]) -> Result<Vec<Found>, String> {
        let mut sources = self.sources.clone();
        for Edit { file, find, replace } in edits {
            let source = sources.get_mut(*file).ok_or_else(|| format!("there is no {file}"))?;
            match source.matches(find).count() {
                1 => *source = source.replace(find, replace),
                count => return Err(format!("{count} places in {file} read\n{find}")),
            }
        }
        below("core/src", sources).iter().for_each(|(file, text)| self.write(file, text));
        let names = mutations.iter().map(|mutation| mutation.name);
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["run", "--quiet", "--offline", "--package", "explorer", "--target-dir", "target", "--"])
            .args(names)
            .current_dir(&self.folder)
            // Whatever the caller is built with, and no word about what an edit leaves unused.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_INCREMENTAL", "1")
            .env("RUSTFLAGS", "--cap-lints=allow")
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let found = read(&String::from_utf8_lossy(&output.stdout));
        if found.len() == mutations.len() { Ok(found) } else { Err(format!("{} searches", found.len())) }
    }

    /// Leaves alone what is the same, so that it is not built again.
    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return;
        }
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

/// Reads what the explorer printed.
fn read(output: &str) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut rule = String::new();
    for line in output.lines() {
        let (word, rest) = line.split_once(' ').expect("a word");
        match (word, all.last_mut()) {
            ("worlds", _) => {
                let (worlds, complete) = rest.split_once(' ').expect("two words");
                let worlds = worlds.parse().expect("a number");
                all.push(Found { worlds, complete: complete == "complete", broken: BTreeMap::new() });
            }
            ("broken", Some(_)) => rule = rest.to_owned(),
            ("|", Some(found)) => {
                let _ = writeln!(found.broken.entry(rule.clone()).or_default(), "{rest}");
            }
            _ => panic!("{line:?} is nothing that the explorer prints"),
        }
    }
    all
}

/// Returns the sections of a TOML text whose header is wanted.
fn sections(toml: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut is_wanted = false;
    let mut kept = String::new();
    for line in toml.lines() {
        if line.starts_with('[') {
            is_wanted = wanted(line);
        }
        if is_wanted {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Returns the files below a folder, by their path in it; no hidden ones, such as editors leave.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        if path.is_dir() {
            found.extend(below(&name, texts(&path)));
        } else if !name.starts_with('.') {
            found.insert(name, text(&path));
        }
    }
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn below(folder: &str, files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    files.into_iter().map(|(file, text)| (format!("{folder}/{file}"), text)).collect()
}
