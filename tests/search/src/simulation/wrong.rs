//! Stores that do what they must not, to see that it is noticed.
//!
//! Not among them is what sessions cannot tell, and the conformance suite can: a creation that overwrites, for no id is
//! drawn twice and no creation sent twice; and a removal that ignores versions, for only what nobody was told of is
//! removed.

/// What is wrong with the store of a schedule.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Wrong {
    /// A load that fails finds nothing.
    AbsentOnFailure,
    /// A write is acknowledged and not done, once in a while.
    AcknowledgesWithoutStoring,
    /// An operation that was done is told to have failed.
    DoneIsToldFailed,
    /// A replacement overwrites whatever is there.
    IgnoresVersions,
    /// A load finds what it found before, though that has expired.
    KeepsForTooLong,
    /// A load may find what was there before.
    LoadsWhatWasThere,
    /// Nothing is.
    #[default]
    Nothing,
    /// A touch puts back what was read.
    TouchOverwrites,
    /// A touch shortens the time to live to a moment.
    TouchShortens,
}

impl Wrong {
    /// Everything that can be wrong.
    pub const ALL: [Self; 8] = [
        Self::AbsentOnFailure,
        Self::AcknowledgesWithoutStoring,
        Self::DoneIsToldFailed,
        Self::IgnoresVersions,
        Self::KeepsForTooLong,
        Self::LoadsWhatWasThere,
        Self::TouchOverwrites,
        Self::TouchShortens,
    ];
}
