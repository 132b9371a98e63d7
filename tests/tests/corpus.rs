//! Replays the fuzz corpus, so that whatever fuzzing found once stays found, without nightly and libFuzzer.

#![allow(clippy::expect_used, reason = "tests")]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "the targets are a crate of their own under fuzz/")]
mod targets;

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use targets::TARGETS;

/// The paths in a folder of `fuzz/`, in order.
fn paths(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder);
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_target_has_a_corpus_and_a_binary() {
    let targets = TARGETS.map(|(name, _)| name);
    for folder in ["corpus", "fuzz_targets"] {
        let paths = paths(folder);
        let names: Vec<_> = paths.iter().filter_map(|path| path.file_stem()).collect();
        assert_eq!(names, targets, "fuzz/{folder}");
    }
    for name in targets {
        assert!(paths(&format!("corpus/{name}")).len() >= 10, "{name}: hardly a corpus");
    }
}

#[test]
fn the_corpus_breaks_no_invariant() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        for path in paths(&format!("corpus/{name}")) {
            let data = fs::read(&path).unwrap();
            if catch_unwind(|| target(&data)).is_err() {
                broken.push(path);
            }
        }
    }
    assert!(broken.is_empty(), "invariants are broken by {broken:#?}");
}
