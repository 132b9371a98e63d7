//! Mutated machines: the real machine with one edit that leaves out a rule of the protocol, searched as the real one is.
//! Each must break what the rule is there for, and tells the shortest story of how.
//!
//! The edits stand in [`table`]; each is made in a copy of the core, which is built and searched with a copy of the
//! explorer ([`copy`]). The machine as it is must pass the same searches, or they would prove nothing.
//!
//! `cargo test -p cloakroom-tests --test mutated_machines -- --nocapture` tells the stories; a name behind it runs one.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod copy;
mod table;

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use cloakroom_search::explore;
use libtest_mimic::{Arguments, Failed, Trial};

use self::{
    copy::{Found, MachineCopy},
    table::{Edit, Mutation},
};

/// How to read the stories.
const LEGEND: &str = "\
In the stories, Change 0 is the first request, which changes the session; its edits have its number. K is the key of the
session at the start and its ticket that of the client, K' the key after a renewal before the story, K1 the key that
request 1 made. Record {0:1 99:1} holds edit 0 once, and once edit 99, which is what the session held at the start. What
follows => is what the request is told and what its response does to the cookie.
";

/// An edit that changes nothing that the machine does.
const NEUTRAL: Edit = Edit {
    file: "machine/protocol.rs",
    find: "        self.job.now = self.job.now.max(now);\n",
    replace: "        // An edit that changes nothing.\n        self.job.now = self.job.now.max(now);\n",
};

/// As many copies as are used at once.
#[derive(Default)]
struct Copies {
    free: Mutex<Vec<MachineCopy>>,
    made: AtomicUsize,
}

impl Copies {
    fn take(&self) -> MachineCopy {
        let free = self.free().pop();
        free.unwrap_or_else(|| MachineCopy::make(self.made.fetch_add(1, Ordering::Relaxed)))
    }

    fn free(&self) -> MutexGuard<'_, Vec<MachineCopy>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let copies = Arc::<Copies>::default();
    let stories: Arc<Mutex<Vec<String>>> = Arc::default();
    let tried = Arc::new(AtomicUsize::new(0));
    let mut trials = vec![
        trial("the_machine_as_it_is_breaks_nothing", &copies, as_it_is),
        trial("an_edit_that_changes_nothing_breaks_nothing", &copies, neutral),
        Trial::test("names_are_unique", names_are_unique),
    ];
    trials.extend(table::all().map(|mutation| {
        let (stories, tried) = (Arc::clone(&stories), Arc::clone(&tried));
        trial(mutation.name, &copies, move |copy| {
            tried.fetch_add(1, Ordering::Relaxed);
            let story = breaks(copy, mutation)?;
            stories.lock().unwrap_or_else(PoisonError::into_inner).push(story);
            Ok(())
        })
    }));
    let (tells, is_list) = (arguments.nocapture, arguments.list);
    let conclusion = libtest_mimic::run(&arguments, trials);
    let stories = stories.lock().unwrap_or_else(PoisonError::into_inner);
    if tells {
        println!("{LEGEND}");
        stories.iter().for_each(|story| println!("{story}"));
    }
    if !is_list {
        println!("mutated machines: {} of {} violate an invariant", stories.len(), tried.load(Ordering::Relaxed));
    }
    conclusion.exit_code()
}

fn trial(
    name: &str,
    copies: &Arc<Copies>,
    test: impl FnOnce(&MachineCopy) -> Result<(), String> + Send + 'static,
) -> Trial {
    let copies = Arc::clone(copies);
    Trial::test(name, move || {
        let copy = copies.take();
        let result = test(&copy);
        copies.free().push(copy);
        result.map_err(Failed::from)
    })
}

/// Fails unless the machine with the edit breaks what its rule is there for. Returns the shortest story of how.
fn breaks(copy: &MachineCopy, mutation: &Mutation) -> Result<String, String> {
    let edits: Vec<&Edit> = mutation.bounds.iter().chain([&mutation.edit]).collect();
    let found = copy.search(&edits, &[mutation])?.remove(0);
    let Mutation { name, rule, breaks, .. } = mutation;
    let Some(story) = found.broken.get(*breaks) else {
        let others: Vec<&String> = found.broken.keys().collect();
        return Err(format!("{name} does not break {breaks}, but {others:?}, in {} worlds", found.worlds));
    };
    let plan = (mutation.plan)();
    let (kinds, setting) = (&plan.kinds, plan.setting);
    Ok(format!("mutation {name}: breaks {breaks}\n  left out: {rule}\n  requests: {kinds:?}, {setting}\n{story}"))
}

/// With every bound as small as some mutation has it, all searches find nothing, and end.
fn as_it_is(copy: &MachineCopy) -> Result<(), String> {
    let mut left: Vec<&Mutation> = table::all().collect();
    while let Some(first) = left.first() {
        let bounds = first.bounds;
        let (alike, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|it| it.bounds == bounds);
        left = others;
        let edits: Vec<&Edit> = bounds.iter().collect();
        copy.search(&edits, &alike)?.iter().zip(&alike).try_for_each(|(found, it)| nothing(found, it))?;
    }
    Ok(())
}

fn neutral(copy: &MachineCopy) -> Result<(), String> {
    let alike: Vec<&Mutation> = table::all().filter(|it| it.bounds.is_empty()).collect();
    copy.search(&[&NEUTRAL], &alike)?.iter().zip(&alike).try_for_each(|(found, it)| nothing(found, it))
}

fn nothing(found: &Found, mutation: &Mutation) -> Result<(), String> {
    match found.broken.iter().next() {
        Some((rule, story)) => Err(format!("the plan of {} breaks {rule}:\n{story}", mutation.name)),
        None if !found.complete => Err(format!("the plan of {} is too large", mutation.name)),
        None => Ok(()),
    }
}

fn names_are_unique() -> Result<(), Failed> {
    let mut names: Vec<_> = table::all().map(|mutation| mutation.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    if names.len() == count { Ok(()) } else { Err("two mutations of one name".into()) }
}
