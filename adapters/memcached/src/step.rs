//! The operations as commands, and what the answers mean.

use std::time::{Duration, SystemTime};

use cloakroom_core::{Stored, Value, Version};
use cloakroom_store::{Created, Removed, Written};

use crate::{
    facts::Facts,
    failure::Failure,
    wire::{Answer, Command, Flags},
};

/// The largest value that is read back with a write, should there be a conflict. Beyond it, that would cost more than the
/// load that a conflict needs without.
const MAX_ECHO: usize = 16 * 1024;

/// What is to be done under a key.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Create {
        value: &'a Value,
        ttl: Duration,
    },
    Load,
    Remove {
        cas: u64,
    },
    /// A replace, and a touch as well: the server's own touch compares nothing.
    Write {
        cas: u64,
        value: &'a Value,
        ttl: Duration,
    },
}

impl<'a> Step<'a> {
    /// Returns the commands, for a server of which this much is known.
    ///
    /// A value that is too large is never sent: to make sure that nothing old is served, memcached drops what is there,
    /// whatever its version.
    pub(crate) fn commands(self, key: &'a [u8], facts: &Facts, now: SystemTime) -> Result<Vec<Command<'a>>, Failure> {
        if let Self::Create { value, .. } | Self::Write { value, .. } = self
            && let Some(limit) = facts.is_too_large(key, value)
        {
            return Err(Failure::too_large(value.len(), Some(limit)));
        }
        let get = Command::Get { key };
        Ok(match self {
            Self::Create { value, ttl } => vec![Command::Add { key, value, ttl: facts.expiry(ttl, now) }],
            Self::Load => vec![get],
            Self::Remove { cas } => vec![Command::Delete { key, cas }, get],
            Self::Write { cas, value, ttl } => {
                let write = Command::CompareAndSet { key, value, ttl: facts.expiry(ttl, now), cas };
                if value.len() <= MAX_ECHO { vec![write, get] } else { vec![write] }
            }
        })
    }

    /// Reads what a server cannot do, with what it was asked.
    pub(crate) fn refusal(self, answer: &Answer, facts: &Facts) -> Option<Failure> {
        match (answer, self) {
            (Answer::Refused(words), _) => Some(Failure::refused(words)),
            (Answer::ServerError(words), Self::Create { value, .. } | Self::Write { value, .. })
                if words.starts_with("object too large") =>
            {
                Some(Failure::too_large(value.len(), facts.item_size_max))
            }
            (Answer::ServerError(words), _) => Some(Failure::server_error(words)),
            _ => None,
        }
    }
}

pub(crate) fn loaded(answers: Vec<Answer>) -> Result<Option<Stored>, Failure> {
    match answers.into_iter().next() {
        Some(Answer::Absent) => Ok(None),
        Some(Answer::Found(value, flags)) => stored(value, flags),
        _ => Err(Failure::unexpected()),
    }
}

pub(crate) fn created(answers: Vec<Answer>) -> Result<Created, Failure> {
    match answers.into_iter().next() {
        Some(Answer::Done(flags)) => Ok(Created::Done(version(flags)?)),
        Some(Answer::NotStored(_)) => Ok(Created::Exists),
        _ => Err(Failure::unexpected()),
    }
}

pub(crate) fn written(answers: Vec<Answer>) -> Result<Written, Failure> {
    let mut answers = answers.into_iter();
    match answers.next() {
        Some(Answer::Done(flags)) => Ok(Written::Done(version(flags)?)),
        Some(Answer::Exists(_)) => Ok(Written::Conflict(beside(answers.next())?)),
        Some(Answer::NotFound(_)) => Ok(Written::Absent),
        _ => Err(Failure::unexpected()),
    }
}

pub(crate) fn removed(answers: Vec<Answer>) -> Result<Removed, Failure> {
    let mut answers = answers.into_iter();
    match answers.next() {
        Some(Answer::Done(_)) => Ok(Removed::Done),
        Some(Answer::Exists(_)) => Ok(Removed::Conflict(beside(answers.next())?)),
        Some(Answer::NotFound(_)) => Ok(Removed::Absent),
        _ => Err(Failure::unexpected()),
    }
}

/// Reads what was asked for beside a write. It cannot be had where the value was large, the server failed at it, or it went
/// meanwhile; the conflict stands.
fn beside(answer: Option<Answer>) -> Result<Option<Stored>, Failure> {
    match answer {
        None | Some(Answer::Absent | Answer::Refused(_) | Answer::ServerError(_)) => Ok(None),
        Some(Answer::Found(value, flags)) => stored(value, flags),
        Some(_) => Err(Failure::unexpected()),
    }
}

/// What somebody told the server to be stale counts as gone: whoever meant to end a session that way has ended it.
fn stored(value: Value, flags: Flags) -> Result<Option<Stored>, Failure> {
    let version = version(flags)?;
    let ttl = flags.ttl.ok_or_else(Failure::unexpected)?;
    Ok((!flags.is_stale).then(|| Stored { value, version, expires_in: Facts::left(ttl) }))
}

fn version(flags: Flags) -> Result<Version, Failure> {
    match flags.cas {
        None | Some(0) => Err(Failure::unexpected()),
        Some(cas) => Ok(Version::from_u64(cas)),
    }
}
