//! What reading costs, in instructions, counted by valgrind's callgrind.

use std::{collections::BTreeMap, fs, process::Command, sync::OnceLock};

use cloakroom_tests::demo::{BESIDE_THE_TESTS, executable};

/// What the program counted, by name and size, the fewest of several times; it is run once.
fn counts() -> &'static BTreeMap<(String, u64), u64> {
    static COUNTS: OnceLock<BTreeMap<(String, u64), u64>> = OnceLock::new();
    COUNTS.get_or_init(|| {
        let program = executable(&BESIDE_THE_TESTS, "instructions");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("counts");
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--collect-atstart=no", "--combine-dumps=yes"])
            .args(["--toggle-collect=instructions::measured", "--dump-after=instructions::measured"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(program)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
        let names = String::from_utf8(output.stdout).unwrap();
        let names: Vec<_> = names.lines().map(|line| line.split_once(' ').unwrap()).collect();
        let text = fs::read_to_string(out).unwrap();
        let totals = text.lines().filter_map(|line| line.strip_prefix("totals: ")).map(|total| total.parse().unwrap());
        let mut totals: Vec<u64> = totals.collect();
        // What is left when the program ends is nothing that was asked for.
        totals.truncate(names.len());
        assert_eq!(totals.len(), names.len(), "a count for each measure: {words}");
        let mut counts = BTreeMap::new();
        for ((name, size), total) in names.iter().zip(totals) {
            let fewest = counts.entry(((*name).to_owned(), size.parse().unwrap())).or_insert(total);
            *fewest = total.min(*fewest);
        }
        counts
    })
}

/// The sizes of a measure with their counts.
fn series(name: &str) -> Vec<(u64, u64)> {
    let of = |((known, size), count): (&(String, u64), &u64)| (known == name).then_some((*size, *count));
    counts().iter().filter_map(of).collect()
}

pub(crate) fn twice_the_bytes_cost_at_most_two_and_a_half_times_the_instructions() {
    let names: std::collections::BTreeSet<_> =
        counts().keys().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("linear/")).collect();
    assert!(names.len() >= 20, "{names:?}");
    let mut slow = Vec::new();
    for name in names {
        let series = series(name);
        assert!(series.len() >= 3, "{name}: {series:?}");
        let mut ratios = Vec::new();
        for pair in series.windows(2) {
            let [(n, cost), (twice, more)] = [pair[0], pair[1]];
            assert_eq!(twice, 2 * n, "{name}");
            assert!(cost > 0, "{name}");
            let ratio = more as f64 / cost as f64;
            ratios.push(format!("{ratio:.2}"));
            if ratio > 2.5 {
                slow.push(format!("{name} from {n} to {twice}: {cost} to {more}"));
            }
        }
        let (size, most) = series.iter().max_by_key(|(_, count)| *count).unwrap();
        println!("instructions: {name:40} {most:>9} for {size:>6}; for twice as much, times {}", ratios.join(", "));
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// The same count to the instruction, for whatever the client sends.
fn assert_constant(name: &str, at_least: usize) {
    let series = series(name);
    assert!(series.len() >= at_least, "{name}: {series:?}");
    let (fewest, most) =
        series.iter().fold((u64::MAX, 0), |(low, high), (_, count)| (low.min(*count), high.max(*count)));
    assert_eq!(fewest, most, "{name} tells by its time: {series:?}");
    println!("instructions: {name:40} {most:>9} for each of {}", series.len());
}

pub(crate) fn a_tag_is_compared_in_as_many_instructions_however_much_of_it_matches() {
    // By the number of bytes that match, and by which byte of the tag is wrong.
    assert_constant("constant/tag/prefix", 16);
    assert_constant("constant/tag/one-byte-wrong", 16);
    // By the id: one that exists, one that does not, and others at random.
    assert_constant("constant/forged/id", 16);
    assert_constant("constant/access/tag-prefix", 16);
    assert_constant("constant/verify/good", 16);
    assert_constant("constant/mint", 16);
}

pub(crate) fn an_id_is_compared_in_as_many_instructions_however_much_of_it_matches() {
    assert_constant("constant/id/prefix", 17);
}
