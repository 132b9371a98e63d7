//! The operations as Redis commands, and what the answers mean.

use std::{sync::LazyLock, time::Duration};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, Fault, Removed, Written};
use redis::{Script, Value as Answer};

use crate::{
    failure::Failure,
    resp::{Arg, Commands},
};

/// The longest time to live that is told to a server, in milliseconds: 142,000 years, so that no sum overflows there and
/// scripts can tell it exactly.
const MAX_TTL: u64 = 1 << 52;

/// The most members that a server is asked for, which counts them with a sign.
const MAX_LIMIT: usize = i64::MAX as usize;

/// Reads the value and how long it has left. These two need not be one step: a value belongs to the version that it
/// is, whatever its time to live has become.
pub(crate) fn load(commands: &mut Commands, key: &[u8]) {
    commands.push(["GET".into(), key.into()]);
    commands.push(["PTTL".into(), key.into()]);
}

pub(crate) fn create(commands: &mut Commands, key: &[u8], value: &Value, ttl: Duration) {
    let ttl = millis(ttl);
    commands.push(["SET".into(), key.into(), value.as_bytes().into(), "NX".into(), "PX".into(), ttl.into()]);
}

pub(crate) fn unenroll(commands: &mut Commands, index: &[u8], member: &StoreKey) {
    commands.push(["ZREM".into(), index.into(), member.as_bytes().into()]);
}

/// The answer is worth nothing before so many replicas have all that was written up to here.
pub(crate) fn wait(commands: &mut Commands, replicas: u32, patience: Duration) {
    // Zero would wait for ever.
    commands.push(["WAIT".into(), u64::from(replicas).into(), millis(patience).into()]);
}

/// A step that a script does on the server.
pub(crate) struct Step {
    source: &'static str,
    script: LazyLock<Script>,
}

macro_rules! step {
    ($($part:literal),+) => {{
        const SOURCE: &str = concat!($(include_str!(concat!("scripts/", $part, ".lua"))),+);
        Step { source: SOURCE, script: LazyLock::new(|| Script::new(SOURCE)) }
    }};
}

/// A load that is a write to the server: see [`Arguments::waits`].
pub(crate) static LOAD: Step = step!("look", "load");
pub(crate) static REMOVE: Step = step!("look", "unchanged", "remove");
pub(crate) static REPLACE: Step = step!("look", "unchanged", "replace");
pub(crate) static TOUCH: Step = step!("look", "unchanged", "touch");
pub(crate) static ENROLL: Step = step!("now", "enroll");
pub(crate) static LIST: Step = step!("now", "list");

impl Step {
    /// Calls the script by its hash, which the server may not know.
    pub(crate) fn by_hash(&self, commands: &mut Commands, arguments: &Arguments<'_>) {
        arguments.eval(commands, "EVALSHA", self.script.get_hash());
    }

    /// Hands the script over with the call; the server then knows it by its hash.
    pub(crate) fn by_source(&self, commands: &mut Commands, arguments: &Arguments<'_>) {
        arguments.eval(commands, "EVAL", self.source);
    }
}

/// What a step is about.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    pub(crate) key: &'a [u8],
    /// Whether replicas are waited for, also with what is only read.
    pub(crate) waits: bool,
    pub(crate) expected: Option<&'a [u8]>,
    pub(crate) value: Option<&'a Value>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) member: Option<&'a StoreKey>,
    pub(crate) limit: Option<usize>,
}

impl Arguments<'_> {
    fn eval(&self, commands: &mut Commands, name: &str, script: &str) {
        // What is not there is no argument.
        let rest = [
            self.expected.map(Arg::from),
            self.value.map(|value| value.as_bytes().into()),
            self.ttl.map(|ttl| millis(ttl).into()),
            self.member.map(|member| member.as_bytes().into()),
            self.limit.map(|limit| (limit.min(MAX_LIMIT) as u64).into()),
        ];
        let head = [name.into(), script.into(), 1.into(), self.key.into(), u64::from(self.waits).into()];
        commands.push(head.into_iter().chain(rest.into_iter().flatten()));
    }
}

pub(crate) fn loaded(answers: Vec<Answer>) -> Result<Option<Stored>, Failure> {
    let mut answers = answers.into_iter();
    match (answers.next(), answers.next()) {
        (Some(Answer::BulkString(value)), Some(Answer::Int(pttl))) => Ok(stored(value, pttl)),
        // It may have been stored between the two.
        (Some(Answer::Nil), Some(Answer::Int(_))) => Ok(None),
        _ => Err(unexpected()),
    }
}

/// Reads what [`LOAD`] brings.
pub(crate) fn seen(answers: Vec<Answer>) -> Result<Option<Stored>, Failure> {
    match verdict(answers)? {
        Verdict::Absent => Ok(None),
        Verdict::Conflict(found) => Ok(found),
        Verdict::Done => Err(unexpected()),
    }
}

pub(crate) fn created(answers: Vec<Answer>, value: &Value) -> Result<Created, Failure> {
    match answers.into_iter().next() {
        Some(Answer::Okay) => Ok(Created::Done(Version::from_bytes(value.clone()))),
        Some(Answer::Nil) => Ok(Created::Exists),
        _ => Err(unexpected()),
    }
}

pub(crate) fn written(answers: Vec<Answer>, version: Version) -> Result<Written, Failure> {
    Ok(match verdict(answers)? {
        Verdict::Absent => Written::Absent,
        Verdict::Conflict(found) => Written::Conflict(found),
        Verdict::Done => Written::Done(version),
    })
}

pub(crate) fn removed(answers: Vec<Answer>) -> Result<Removed, Failure> {
    Ok(match verdict(answers)? {
        Verdict::Absent => Removed::Absent,
        Verdict::Conflict(found) => Removed::Conflict(found),
        Verdict::Done => Removed::Done,
    })
}

pub(crate) fn indexed(answers: Vec<Answer>) -> Result<(), Failure> {
    match answers.into_iter().next() {
        Some(Answer::Int(_)) => Ok(()),
        _ => Err(unexpected()),
    }
}

pub(crate) fn listed(answers: Vec<Answer>) -> Result<Members, Failure> {
    let Some(Answer::Array(listed)) = answers.into_iter().next() else { return Err(unexpected()) };
    let Ok([Answer::Int(total), Answer::Array(members)]) = <[Answer; 2]>::try_from(listed) else {
        return Err(unexpected());
    };
    let key = |member| match member {
        Answer::BulkString(bytes) => str::from_utf8(&bytes).ok().and_then(|member| StoreKey::new(member).ok()),
        _ => None,
    };
    let keys = members.into_iter().map(key).collect::<Option<_>>().ok_or_else(unexpected)?;
    Ok(Members { keys, total: u64::try_from(total).map_err(|_| unexpected())? })
}

enum Verdict {
    Absent,
    Conflict(Option<Stored>),
    Done,
}

fn verdict(answers: Vec<Answer>) -> Result<Verdict, Failure> {
    match answers.into_iter().next() {
        Some(Answer::Int(0)) => Ok(Verdict::Absent),
        Some(Answer::Int(1)) => Ok(Verdict::Done),
        Some(Answer::Array(found)) => match <[Answer; 2]>::try_from(found) {
            Ok([Answer::BulkString(value), Answer::Int(pttl)]) => Ok(Verdict::Conflict(stored(value, pttl))),
            _ => Err(unexpected()),
        },
        _ => Err(unexpected()),
    }
}

/// Takes a value with what `PTTL` says of it: -1 for no limit, -2 when it is gone by then.
fn stored(value: Vec<u8>, pttl: i64) -> Option<Stored> {
    let expires_in = match pttl {
        -1 => None,
        _ => Some(Duration::from_millis(u64::try_from(pttl).ok()?)),
    };
    let value = Value::from(value);
    Some(Stored { version: Version::from_bytes(value.clone()), value, expires_in })
}

/// Rounds up, so that nothing expires early, and above zero, which servers refuse.
fn millis(duration: Duration) -> u64 {
    let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    millis.clamp(1, MAX_TTL)
}

/// An answer that no Redis gives to these commands: whatever is there is not one, or the connection is out of step.
fn unexpected() -> Failure {
    Failure::sent(Fault::Internal, "the server gave an answer that the command does not have")
}
