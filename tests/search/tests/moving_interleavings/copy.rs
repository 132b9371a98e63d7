//! A copy of the stores' crate and the search, where the protocol is edited, built and searched.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::table::Mutation;

/// What is built for one short search; it is worth a little optimizing.
const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["core", "runtimes/api", "adapters/store", "search"]

[profile.dev]
debug = false
opt-level = 1

"#;

const SEARCH: &str = r#"[package]
name = "search"
version = "0.0.0"
edition.workspace = true

[dependencies]
cloakroom-core.workspace = true
cloakroom-store.workspace = true
"#;

const STEPS: &str = "adapters/store/src/moving/steps.rs";

/// The copy: one folder and one target folder for all mutations.
pub(crate) struct Copy {
    folder: PathBuf,
    /// The protocol as it is.
    steps: String,
    _lock: fs::File,
}

impl Copy {
    /// Makes the copy. What was there before is used again as far as it is the same.
    pub(crate) fn make() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutated_moves");
        fs::create_dir_all(&folder).unwrap();
        let lock = fs::File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = own.ancestors().nth(2).unwrap();
        let copy = Self { steps: fs::read_to_string(root.join(STEPS)).unwrap(), folder, _lock: lock };
        for part in ["core", "runtimes/api", "adapters/store"] {
            copy.folder_of(&root.join(part).join("src"), &format!("{part}/src"));
            let manifest = fs::read_to_string(root.join(part).join("Cargo.toml")).unwrap();
            let manifest = sections(&manifest, |header| header != "[dev-dependencies]");
            copy.write(&format!("{part}/Cargo.toml"), &manifest);
        }
        copy.folder_of(&own.join("tests/moving_interleavings/search"), "search/src/search");
        for (file, name) in [("table.rs", "table.rs"), ("searcher.rs", "main.rs")] {
            let text = fs::read_to_string(own.join("tests/moving_interleavings").join(file)).unwrap();
            copy.write(&format!("search/src/{name}"), &text);
        }
        copy.write("search/Cargo.toml", SEARCH);
        let inherited = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let inherited = sections(&inherited, |header| header.starts_with("[workspace."));
        copy.write("Cargo.toml", &format!("{WORKSPACE}{inherited}"));
        // Cargo takes out what the copy does not need.
        fs::copy(root.join("Cargo.lock"), copy.folder.join("Cargo.lock")).unwrap();
        copy
    }

    /// Makes the edits of a mutation, each at the one place that it names, and searches its plan. Returns what the search
    /// printed.
    pub(crate) fn search(&self, mutation: &Mutation) -> Result<String, String> {
        let mut steps = self.steps.clone();
        for (find, replace) in mutation.edits {
            match steps.matches(find).count() {
                1 => steps = steps.replace(find, replace),
                count => return Err(format!("{count} places in {STEPS} read\n{find}")),
            }
        }
        self.write(STEPS, &steps);
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["run", "--quiet", "--offline", "--package", "search", "--target-dir", "target", "--", mutation.name])
            .current_dir(&self.folder)
            // Whatever the caller is built with, and no word about what an edit leaves unused.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", "--cap-lints=allow")
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn folder_of(&self, from: &Path, to: &str) {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = format!("{to}/{}", path.file_name().unwrap().to_str().unwrap());
            match path.is_dir() {
                true => self.folder_of(&path, &to),
                false => self.write(&to, &fs::read_to_string(&path).unwrap()),
            }
        }
    }

    /// Leaves alone what is the same, so that it is not built again.
    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
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
