//! What the engine notices, for counters and logs.

use core::fmt;

use crate::{keyring::KeyId, limits::MAX_EVENTS};

/// Something that the engine noticed. It carries no id, token or key.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// Several tickets opened different sessions: the request has none.
    Ambiguous,
    /// A ticket came from a client unlike the one that its session is bound to.
    BindingMismatch,
    /// Others changed the session meanwhile; the edits were replayed this many times.
    Conflict(u32),
    /// A session was made.
    Created,
    /// A cross-site unsafe request came without our cookie and was refused a session of its own.
    CrossSite,
    /// The user proved again who they are, and the session has a new id.
    Elevated,
    /// This request ended a session.
    Ended,
    /// A record was past its deadline, or had no or too long a time to live. Most sessions expire in the store, and are
    /// [`Event::NotFound`] then.
    Expired,
    /// A token's tag does not match: forged, damaged or made for another cookie.
    ForgedToken,
    /// The request had more cookie bytes, pairs or tokens of ours than are read.
    HeaderCapped,
    /// The session ended under this request; its edits are gone.
    Lost,
    /// A cookie of our name does not have the shape of a token.
    MalformedToken,
    /// A valid ticket, but nothing is stored for it.
    NotFound,
    /// The session has a new id.
    Renewed,
    /// A ticket was presented after its session had ended.
    ReusedEnded,
    /// A ticket was presented after its successor had been in use for the grace.
    ReusedRenewed,
    /// Somebody signed in.
    SignedIn,
    /// The ticket was given up by a login or an elevation a moment ago.
    Superseded,
    /// More pointers than are followed.
    TooManyHops,
    /// The time to live was extended.
    Touched,
    /// A record does not decode.
    Undecodable,
    /// A token names a key that the ring does not have.
    UnknownKey(KeyId),
    /// The record was gone when this request wanted to end it.
    Vanished,
}

impl Event {
    /// Every name that [`Event::name`] can return, in order.
    pub const NAMES: [&'static str; 23] = [
        "ambiguous",
        "binding_mismatch",
        "conflict",
        "created",
        "cross_site",
        "elevated",
        "ended",
        "expired",
        "forged_token",
        "header_capped",
        "lost",
        "malformed_token",
        "not_found",
        "renewed",
        "reused_ended",
        "reused_renewed",
        "signed_in",
        "superseded",
        "too_many_hops",
        "touched",
        "undecodable",
        "unknown_key",
        "vanished",
    ];

    /// Returns the name in snake case.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// Returns the place of the name in [`Event::NAMES`], for counters in an array.
    pub const fn index(self) -> usize {
        match self {
            Self::Ambiguous => 0,
            Self::BindingMismatch => 1,
            Self::Conflict(_) => 2,
            Self::Created => 3,
            Self::CrossSite => 4,
            Self::Elevated => 5,
            Self::Ended => 6,
            Self::Expired => 7,
            Self::ForgedToken => 8,
            Self::HeaderCapped => 9,
            Self::Lost => 10,
            Self::MalformedToken => 11,
            Self::NotFound => 12,
            Self::Renewed => 13,
            Self::ReusedEnded => 14,
            Self::ReusedRenewed => 15,
            Self::SignedIn => 16,
            Self::Superseded => 17,
            Self::TooManyHops => 18,
            Self::Touched => 19,
            Self::Undecodable => 20,
            Self::UnknownKey(_) => 21,
            Self::Vanished => 22,
        }
    }
}

/// The events of one request in the order they happened, in a fixed array: noticing allocates nothing.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Events {
    kept: [Option<Event>; MAX_EVENTS],
    overflow: u32,
}

impl Events {
    /// Returns the events that were kept.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.kept.iter().map_while(|event| *event)
    }

    /// Returns how many further events there were.
    pub const fn overflow(&self) -> u32 {
        self.overflow
    }

    pub(crate) fn push(&mut self, event: Event) {
        match self.kept.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(event),
            None => self.overflow = self.overflow.saturating_add(1),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("kept", &self.iter().collect::<Vec<_>>())
            .field("overflow", &self.overflow)
            .finish()
    }
}
