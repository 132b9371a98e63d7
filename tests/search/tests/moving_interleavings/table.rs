//! The mutations: each leaves out one rule of the protocol between two stores.

use crate::search::{Kind, Phase, Plan, Setting, TOMBSTONES};

/// A moving store that leaves out a rule.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    /// The text at one place of `moving/steps.rs`, and what is there in its place.
    pub(crate) edits: &'static [(&'static str, &'static str)],
    pub(crate) breaks: &'static str,
    pub(crate) plan: fn() -> Plan,
}

const FINAL: &str = "an acknowledged end is final";
const FOUND: &str = "a session that nobody ends is found";
const KEPT: &str = "an acknowledged change is kept";

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "creates_the_value_outright",
        edits: &[(
            "        let Written::Done(written) = self.new.replace(key, &claim, &value, ttl).await? else {",
            "        let _ = self.new.remove(key, &claim).await;
        let Created::Done(written) = self.new.create(key, &value, ttl).await? else {",
        )],
        breaks: FINAL,
        plan: || {
            let setting = Setting { no_markers: true, ..Setting::default() };
            plan(Kind::End, Kind::Add, Phase::Moves, 1, 0, setting)
        },
    },
    Mutation {
        name: "freezes_nothing",
        edits: &[(
            "let froze = self.old.replace(key, version, &freeze(&read)?, left).await;",
            "let froze = { let _ = left; Ok::<_, StoreError>(Written::Done(version.clone())) };",
        )],
        breaks: KEPT,
        plan: || plan(Kind::Add, Kind::Add, Phase::Prepares, 0, 0, Setting::default()),
    },
    Mutation {
        name: "freezes_only_once",
        edits: &[
            (
                "        let read = frozen(&old.value)",
                "        let was_frozen = frozen(&old.value).is_some();
        let read = frozen(&old.value)",
            ),
            (
                "let froze = self.old.replace(key, version, &freeze(&read)?, left).await;",
                "let froze = match was_frozen {
            true => self.old.load(key).await.map(|it| match it {
                Some(it) if it.version == *version => Written::Done(it.version),
                _ => Written::Absent,
            }),
            false => self.old.replace(key, version, &freeze(&read)?, left).await,
        };",
            ),
        ],
        breaks: FINAL,
        plan: || plan(Kind::End, Kind::Add, Phase::Moves, 0, 1, Setting::default()),
    },
    Mutation {
        name: "leaves_the_old_value",
        edits: &[(
            "        let finished = self.finish(key, &frozen, &written).await;",
            "        let finished: Result<(), StoreError> = { let _ = &frozen; Ok(()) };",
        )],
        breaks: FINAL,
        plan: || plan(Kind::End, Kind::Read, Phase::Moves, 0, 1, Setting::default()),
    },
    Mutation {
        name: "takes_any_end_of_the_old_value_for_its_own",
        edits: &[(
            "            if let Removed::Done = self.old.remove(key, &frozen).await? {",
            "            if let Removed::Done | Removed::Absent = self.old.remove(key, &frozen).await? {",
        )],
        breaks: FINAL,
        plan: || plan(Kind::End, Kind::Add, Phase::Moves, 0, 1, Setting::default()),
    },
    Mutation {
        name: "removes_the_old_value_first",
        edits: &[(
            "        let Written::Done(written) = self.new.replace(key, &claim, &value, ttl).await? else {",
            "        let _ = self.old.remove(key, &frozen).await;
        let Written::Done(written) = self.new.replace(key, &claim, &value, ttl).await? else {",
        )],
        breaks: FOUND,
        plan: || plan(Kind::Add, Kind::Read, Phase::Moves, 1, 0, Setting::default()),
    },
    Mutation {
        name: "answers_what_is_new_beside_what_is_old",
        edits: &[(
            "            if !is_over {
                return Ok(Some(read_old(old)));
            }",
            "            if !is_over {
                return Ok(Some(read_old(old)));
            }
            if self.is_preparing() || !self.is_preparing() {
                return Ok(found);
            }",
        )],
        breaks: FINAL,
        plan: || plan(Kind::End, Kind::Read, Phase::Moves, 1, 1, Setting::default()),
    },
    Mutation {
        name: "looks_into_the_new_store_first",
        edits: &[(
            "            let old = self.find_old(key).await?;
            let (found, is_over) = match self.find_new(key).await? {",
            "            let new = self.find_new(key).await?;
            let old = self.find_old(key).await?;
            let (found, is_over) = match new {",
        )],
        breaks: FOUND,
        plan: || plan(Kind::Move, Kind::Read, Phase::Moves, 0, 0, Setting::default()),
    },
    Mutation {
        name: "tells_what_may_have_happened_as_failed",
        edits: &[(".map_err(StoreError::of_what_may_have_happened)", ".map_err(StoreError::of_what_did_not_happen)")],
        breaks: "what failed has not happened",
        plan: || plan(Kind::Add, Kind::Read, Phase::Moves, 1, 0, Setting::default()),
    },
    Mutation {
        name: "removes_what_is_frozen_outright",
        edits: &[(
            "        Ok(match self.put_over(key, version, Put::Gone).await? {",
            "        if let Removed::Done = self.old.remove(key, version).await? {
            return Ok(Removed::Done);
        }
        Ok(match self.put_over(key, version, Put::Gone).await? {",
        )],
        breaks: FINAL,
        plan: || {
            let setting = Setting { no_markers: true, ..Setting::default() };
            plan(Kind::End, Kind::Add, Phase::Moves, 1, 0, setting)
        },
    },
];

/// Plans a request on a node that moves, and another.
fn plan(one: Kind, other: Kind, phase: Phase, faults: u8, passes: u8, setting: Setting) -> Plan {
    Plan { requests: vec![(one, Phase::Moves), (other, phase)], faults, passes, pass: TOMBSTONES, setting }
}
