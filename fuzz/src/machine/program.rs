//! The program: settings of engine and store, then calls of four bytes each, so that a change of one leaves the others.

use core::time::Duration;

use arbitrary::Arbitrary;
use cloakroom_core::{Binding, Engine, EngineBuilder, Lifetime, SealedCodec};

use super::super::ring;

/// How engine and store are set up.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Setting {
    flags: u8,
    times: u8,
}

impl Setting {
    /// Versions are the bytes themselves.
    pub(super) fn byte_versions(self) -> bool {
        self.flags & 1 != 0
    }

    /// A conflict does not bring what is there.
    pub(super) fn silent_conflicts(self) -> bool {
        self.flags & 2 != 0
    }

    pub(super) fn is_sealed(self) -> bool {
        self.flags & 4 != 0
    }

    pub(super) fn small_records(self) -> bool {
        self.flags & 8 != 0
    }

    pub(super) fn renews(self) -> bool {
        self.flags & 16 != 0
    }

    fn persistent(self) -> bool {
        self.flags & 32 != 0
    }

    /// The store keeps indexes of users' sessions.
    pub(super) fn has_index(self) -> bool {
        self.flags & 64 == 0
    }

    /// Sessions open for the client alone that they were made for.
    pub(super) fn binds(self) -> bool {
        self.flags & 128 != 0
    }

    pub(super) fn max_request(self) -> Duration {
        if self.times & 4 == 0 { Duration::from_secs(600) } else { Duration::from_secs(2) }
    }

    pub(super) fn skew(self) -> Duration {
        if self.times & 8 == 0 { Duration::from_secs(60) } else { Duration::ZERO }
    }

    pub(super) fn grace(self) -> Duration {
        if self.times & 16 == 0 { Duration::from_secs(60) } else { Duration::ZERO }
    }

    pub(super) fn codec(self) -> SealedCodec {
        SealedCodec::new(&ring(1), "main")
    }

    pub(super) fn engine(self) -> Engine {
        let lifetime = match self.times & 3 {
            0 => Lifetime::default(),
            1 => Lifetime::new(Duration::from_secs(2), Duration::from_secs(60)),
            2 => Lifetime::new(Duration::from_secs(3600), Duration::from_secs(3600)),
            _ => Lifetime::new(Duration::from_millis(1), Duration::from_millis(1)),
        };
        let mut builder: EngineBuilder = Engine::builder(ring(1))
            .lifetime(if self.persistent() { lifetime.persistent() } else { lifetime })
            .grace(self.grace())
            .max_request(self.max_request())
            .clock_skew(self.skew());
        if self.is_sealed() {
            builder = builder.codec(self.codec());
        }
        if self.small_records() {
            builder = builder.max_record(4096);
        }
        if self.renews() {
            builder = builder.renew_after(Duration::from_secs(u64::from(self.times >> 6)));
        }
        if self.binds() {
            builder = builder.bind_to(Binding::new().any_address().bytes());
        }
        builder.build().expect("settings that fit together")
    }
}

/// One thing that happens.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) struct Call {
    act: u8,
    slot: u8,
    /// Which, or how much.
    pub(super) by: u8,
    /// How it goes.
    pub(super) fate: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Account,
    Commit,
    Damage,
    Drop,
    Edit,
    Evict,
    Finish,
    Go,
    Land,
    Manage,
    Open,
    Wait,
}

/// How an operation goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Failed,
    /// The answer is lost, and it happens later, or never.
    Late,
    /// The answer is lost, and it happened.
    Lost,
    Well,
    /// The driver hands over an outcome that the operation cannot have.
    Wrong,
}

impl Call {
    /// One under which all goes well.
    pub(super) fn well() -> Self {
        Self { act: 0, slot: 0, by: 0, fate: 0 }
    }

    pub(super) fn going_well(self) -> Self {
        Self { fate: 0, ..self }
    }

    pub(super) fn act(self) -> Act {
        match self.act % 16 {
            _ if self.act >= 240 => Act::Manage,
            _ if self.act >= 208 => Act::Account,
            0 | 1 => Act::Open,
            2..=5 => Act::Go,
            6..=8 => Act::Edit,
            9 => Act::Commit,
            10 | 11 => Act::Finish,
            12 => Act::Drop,
            13 => Act::Wait,
            14 => Act::Land,
            _ if self.slot < 192 => Act::Evict,
            _ => Act::Damage,
        }
    }

    pub(super) fn slot(self) -> usize {
        usize::from(self.slot % 4)
    }

    /// Which of two clients makes the request.
    pub(super) fn client(self) -> u8 {
        self.slot >> 6 & 1
    }

    pub(super) fn fate(self) -> Fate {
        match self.fate {
            0..160 => Fate::Well,
            160..184 => Fate::Failed,
            184..208 => Fate::Lost,
            208..240 => Fate::Late,
            240.. => Fate::Wrong,
        }
    }
}
