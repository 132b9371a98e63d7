//! The rules of [`Store`](cloakroom_store::Store) as cases that anybody who writes a store can run.
//!
//! Each case is a function that takes a [`Bench`] with the store and a runtime, and returns the rule that it saw broken.
//! It is polled inside the runtime's context, by the runtime's own `block_on`; [`CASES`] lists them all, and [`check`]
//! runs the list.
//!
//! A case never fails because the machine is slow: what it asserts of time is that nothing lives on after its time to
//! live, and that nothing ends before it. Only after [`PATIENCE`] what has not ended is taken never to end. Cases use
//! keys with a random prefix, so that they can share a server with other runs; what they leave behind expires.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use cloakroom_store::MemoryStore;
//! use cloakroom_tests::conformance::{self, Bench};
//! use cloakroom_tokio::Tokio;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = MemoryStore::new(Tokio);
//! let bench = Bench::new(Arc::new(store.clone()), Arc::new(Tokio)).second_handle(Arc::new(store));
//! for case in conformance::CASES.iter().filter(|case| case.name().starts_with("create_")) {
//!     assert_eq!(case.check(bench.clone()).await, Ok(()), "{}", case.name());
//! }
//! # }
//! ```

mod at_once;
mod bench;
mod cancel;
mod create;
mod crowd;
mod debug;
mod directory;
mod expiry;
mod handle;
mod handles;
mod keys;
mod load;
mod remove;
mod replace;
mod touch;
mod values;
mod versions;

use std::{fmt, panic::AssertUnwindSafe, time::Duration};

use cloakroom_runtime::BoxFuture;
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};

pub use self::{
    at_once::AtOnce,
    bench::{Bench, Lack},
};

/// How long a case may take until what it waits for is taken never to happen.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What [`Case::check`] returns: `Err` names the rule that is broken.
pub type Checked = BoxFuture<'static, Result<(), String>>;

/// One rule that a store must keep, or a few that only show together.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    needs: &'static [Lack],
    check: fn(Bench) -> Checked,
}

impl Case {
    /// Returns the name: what it is about, then the rule.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns why the case says nothing about the store on this bench, if so.
    pub fn is_beside_the_point(&self, bench: &Bench) -> Option<Lack> {
        self.needs.iter().copied().find(|&need| bench.lacks(need))
    }

    /// Checks a store. To be polled inside the bench's runtime.
    ///
    /// A case that is [beside the point](Self::is_beside_the_point) checks nothing.
    ///
    /// # Errors
    ///
    /// The rule that is broken, in words, with what was seen.
    pub fn check(&self, bench: Bench) -> Checked {
        self.check_with_patience(bench, PATIENCE)
    }

    /// Checks a store, and waits longer or shorter than [`PATIENCE`] for what does not happen.
    ///
    /// # Errors
    ///
    /// The rule that is broken, in words, with what was seen.
    pub fn check_with_patience(&self, bench: Bench, patience: Duration) -> Checked {
        if self.is_beside_the_point(&bench).is_some() {
            return Box::pin(async { Ok(()) });
        }
        let expired = bench.runtime().sleep(patience);
        let checked = (self.check)(bench);
        // The panic hook has told what it was.
        let checked = AssertUnwindSafe(checked).catch_unwind();
        Box::pin(async move {
            match select(checked, expired).await {
                Either::Left((checked, _)) => checked.unwrap_or_else(|_| Err("no operation panics".to_owned())),
                Either::Right(_) => Err(format!("every operation ends: the case did not within {patience:?}")),
            }
        })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

macro_rules! cases {
    ($($about:ident::$rule:ident $(unless $($need:ident)or+)?),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($about), "_", stringify!($rule)),
            needs: &[$($(Lack::$need),+)?],
            check: |bench| Box::pin($about::$rule(bench)),
        }),*]
    };
}

/// All cases, those first without which the others tell little.
pub const CASES: &[Case] = cases![
    load::brings_value_version_and_time_left,
    load::changes_nothing,
    load::finds_nothing_where_nothing_is,
    create::leaves_what_exists_as_it_is,
    create::refuses_what_exists,
    create::stores_what_it_is_given,
    replace::brings_what_is_there_with_a_conflict unless ValuesWithConflicts,
    replace::finds_nothing_where_nothing_is,
    replace::refuses_a_stale_version,
    replace::stores_what_it_is_given,
    replace::takes_the_version_of_every_operation,
    touch::brings_what_is_there_with_a_conflict unless ValuesWithConflicts,
    touch::finds_nothing_where_nothing_is,
    touch::keeps_the_value,
    touch::prolongs_and_shortens,
    touch::refuses_a_stale_version,
    touch::returns_a_version_that_works,
    remove::brings_what_is_there_with_a_conflict unless ValuesWithConflicts,
    remove::finds_nothing_where_nothing_is,
    remove::lets_the_key_be_created_again,
    remove::refuses_a_stale_version,
    remove::removes,
    values::of_every_byte_are_kept,
    values::of_no_bytes_are_values,
    values::of_the_largest_size_are_kept,
    values::that_look_alike_are_told_apart,
    values::that_mean_something_elsewhere_are_kept,
    keys::of_every_character_work,
    keys::of_one_character_work unless KeysOfItsOwn,
    keys::of_the_longest_length_work,
    keys::that_look_alike_are_told_apart,
    versions::made_elsewhere_are_conflicts,
    versions::of_what_expired_never_work_again,
    versions::of_what_was_removed_never_work_again,
    versions::of_what_was_replaced_never_work_again,
    versions::tell_equal_values_apart unless VersionsOfStates,
    expiry::counts_down,
    expiry::ends_what_was_created,
    expiry::ends_what_was_replaced_or_touched,
    expiry::is_put_off_by_a_replace,
    expiry::is_put_off_by_a_touch,
    expiry::is_put_off_by_nothing_else,
    expiry::is_seen_by_every_operation,
    expiry::lets_nothing_be_written_to_what_was_loaded,
    expiry::takes_a_time_of_nothing,
    expiry::takes_a_time_of_400_days,
    expiry::takes_the_longest_time,
    expiry::takes_times_to_the_second,
    crowd::finds_every_key_of_many,
    crowd::has_one_winner_among_creates,
    crowd::has_one_winner_among_removes,
    crowd::has_one_winner_among_replaces,
    crowd::has_one_winner_among_replaces_and_removes_beside_touches,
    crowd::loads_no_torn_value,
    crowd::loses_no_increment,
    directory::finds_nothing_where_nothing_is unless Directory,
    directory::lists_what_is_enrolled unless Directory,
    directory::lists_once_what_is_enrolled_twice unless Directory,
    directory::lists_no_more_what_is_unenrolled unless Directory,
    directory::unenrolls_what_is_not_there unless Directory,
    directory::lists_at_most_as_many_as_are_asked_for unless Directory,
    directory::lists_every_member_of_many unless Directory,
    directory::keeps_indexes_apart unless Directory,
    directory::keeps_members_apart unless Directory,
    directory::takes_keys_of_the_longest_length unless Directory,
    directory::is_apart_from_sessions unless Directory,
    directory::lists_a_member_no_longer_than_asked unless Directory,
    directory::lists_a_member_as_long_as_its_longest_enrolment unless Directory,
    directory::outlives_all_but_its_longest_member unless Directory,
    directory::takes_any_time_to_live unless Directory,
    directory::loses_none_of_many_at_once unless Directory,
    directory::leaves_a_dropped_enrolment_done_or_not unless Directory,
    directory::leaves_a_dropped_unenrolment_done_or_not unless Directory,
    directory::prints_no_index_and_no_member unless Directory,
    handles::create_one_value_together unless SecondHandle,
    handles::lose_no_increment unless SecondHandle,
    handles::see_each_others_members_at_once unless Directory or SecondHandle,
    handles::see_each_others_writes_at_once unless SecondHandle,
    cancel::leaves_a_create_done_or_not,
    cancel::leaves_a_remove_done_or_not,
    cancel::leaves_a_replace_done_or_not,
    cancel::leaves_a_touch_done_or_not,
    cancel::shifts_no_answer,
    debug::prints_no_key_and_no_value,
];

/// Checks a store by all cases, one after the other. To be polled inside the bench's runtime.
///
/// # Errors
///
/// The first rule that is broken, with the name of its case. Cases that are [beside the
/// point](Case::is_beside_the_point) are left out without a word.
pub async fn check(bench: Bench) -> Result<(), String> {
    for case in CASES {
        case.check(bench.clone()).await.map_err(|broken| format!("{}: {broken}", case.name))?;
    }
    Ok(())
}

/// What a case finds: a broken rule is an error, in words.
type Held<T = ()> = Result<T, String>;

fn ensure(holds: bool, rule: &str) -> Held {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}
