//! The operations as Redis commands, and what the answers mean.

use std::{sync::LazyLock, time::Duration};

use cloakroom_core::{Members, StoreKey, Stored, Value, Version};
use cloakroom_store::{Created, Fault, Removed, Written};
use redis::{Cmd, Pipeline, Script, Value as Answer, cmd};

use crate::failure::Failure;

/// The longest time to live that is told to a server, in milliseconds: 142,000 years, so that no sum overflows there and
/// scripts can tell it exactly.
const MAX_TTL: u64 = 1 << 52;

/// The most members that a server is asked for, which counts them with a sign.
const MAX_LIMIT: usize = i64::MAX as usize;

/// Commands that are written in one go.
pub(crate) struct Request(Pipeline);

impl Request {
    fn of(commands: impl IntoIterator<Item = Cmd>) -> Self {
        // One more for the replicas.
        let mut pipeline = Pipeline::with_capacity(3);
        for command in commands {
            pipeline.add_command(command);
        }
        Self(pipeline)
    }

    /// Reads the value and how long it has left. These two need not be one step: a value belongs to the version that it
    /// is, whatever its time to live has become.
    pub(crate) fn load(key: &[u8]) -> Self {
        let [mut get, mut pttl] = ["GET", "PTTL"].map(|name| command(name, 1, key.len()));
        get.arg(key);
        pttl.arg(key);
        Self::of([get, pttl])
    }

    pub(crate) fn create(key: &[u8], value: &Value, ttl: Duration) -> Self {
        let mut set = command("SET", 5, key.len() + value.len());
        set.arg(key).arg(value.as_bytes()).arg("NX").arg("PX").arg(millis(ttl));
        Self::of([set])
    }

    pub(crate) fn unenroll(index: &[u8], member: &StoreKey) -> Self {
        let mut zrem = cmd("ZREM");
        zrem.arg(index).arg(member.as_bytes());
        Self::of([zrem])
    }

    /// Adds that the answer is worth nothing before so many replicas have all that was written up to here.
    pub(crate) fn and_replicas(mut self, replicas: u32, patience: Duration) -> Self {
        let mut wait = cmd("WAIT");
        // Zero would wait for ever.
        wait.arg(replicas).arg(millis(patience));
        self.0.add_command(wait);
        self
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.0
    }

    /// The same for a node of a cluster that is about to own the slot.
    pub(crate) fn asking(&self) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(2 * self.0.len());
        for command in self.0.cmd_iter() {
            pipeline.add_command(cmd("ASKING")).add_command(command.clone());
        }
        pipeline
    }
}

/// Begins a command with so many arguments after its name, which are texts of so many bytes and a few numbers.
fn command(name: &str, arguments: usize, bytes: usize) -> Cmd {
    /// For the name and the numbers.
    const REST: usize = 64;
    let mut command = Cmd::with_capacity(1 + arguments, bytes + REST);
    command.arg(name);
    command
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
    pub(crate) fn by_hash(&self, arguments: &Arguments<'_>) -> Request {
        self.request("EVALSHA", self.script.get_hash(), arguments)
    }

    /// Hands the script over with the call; the server then knows it by its hash.
    pub(crate) fn by_source(&self, arguments: &Arguments<'_>) -> Request {
        self.request("EVAL", self.source, arguments)
    }

    fn request(&self, name: &str, script: &str, arguments: &Arguments<'_>) -> Request {
        let len = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let (value, member) = (arguments.value.map(Value::as_bytes), arguments.member.map(StoreKey::as_bytes));
        let data = script.len() + arguments.key.len() + len(arguments.expected) + len(value) + len(member);
        let mut eval = command(name, 9, data);
        eval.arg(script).arg(1).arg(arguments.key).arg(u8::from(arguments.waits)).arg(arguments.expected);
        // What is not there is no argument.
        eval.arg(value).arg(arguments.ttl.map(millis));
        eval.arg(member).arg(arguments.limit.map(|limit| limit.min(MAX_LIMIT)));
        Request::of([eval])
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
