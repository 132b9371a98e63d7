//! What a client does, over and over.

use crate::shape::Shape;

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Visit {
    /// Nothing done with the session, and the client has none.
    NoCookie,
    /// Nothing done with a session that is there.
    Untouched,
    /// Nothing done with a session of which the client holds a forged cookie.
    Forged,
    /// The session of a forged cookie is asked for.
    ForgedRead,
    /// One key read.
    Read,
    /// One key changed.
    Change,
    /// The first key of a new session set.
    New,
    /// A new id for the session.
    Rotate,
}

impl Visit {
    /// Returns the route.
    pub fn path(self) -> &'static str {
        match self {
            Self::NoCookie | Self::Untouched | Self::Forged => "/untouched",
            Self::Read | Self::ForgedRead => "/read",
            Self::Change | Self::New => "/change",
            Self::Rotate => "/rotate",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NoCookie => "no cookie",
            Self::Untouched => "untouched",
            Self::Forged => "untouched, forged",
            Self::ForgedRead => "read, forged",
            Self::Read => "read",
            Self::Change => "change",
            Self::New => "new",
            Self::Rotate => "rotate",
        }
    }
}

/// A kind of request, beside how many foreign cookies, with how much in the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scenario {
    /// What the client does.
    pub visit: Visit,
    /// How many cookies of others are in the header.
    pub foreign: usize,
    /// What the session holds.
    pub shape: Shape,
}

impl Scenario {
    const fn new(visit: Visit, foreign: usize, shape: Shape) -> Self {
        Self { visit, foreign, shape }
    }

    /// Returns the name under which its figures stand.
    pub fn name(&self) -> String {
        format!("{}, {} foreign cookies, {}", self.visit.name(), self.foreign, self.shape)
    }
}

/// Each visit with few and with many foreign cookies; and those to a session that is there with more in it.
pub const SCENARIOS: [Scenario; 28] = {
    use Shape::{ManyOfAKilobyte, ManySmall, Medium, OneLarge, Small};
    use Visit::{Change, Forged, ForgedRead, New, NoCookie, Read, Rotate, Untouched};
    [
        Scenario::new(NoCookie, 6, Small),
        Scenario::new(Untouched, 6, Small),
        Scenario::new(Forged, 6, Small),
        Scenario::new(ForgedRead, 6, Small),
        Scenario::new(Read, 6, Small),
        Scenario::new(Change, 6, Small),
        Scenario::new(New, 6, Small),
        Scenario::new(Rotate, 6, Small),
        Scenario::new(NoCookie, 40, Small),
        Scenario::new(Untouched, 40, Small),
        Scenario::new(Forged, 40, Small),
        Scenario::new(ForgedRead, 40, Small),
        Scenario::new(Read, 40, Small),
        Scenario::new(Change, 40, Small),
        Scenario::new(New, 40, Small),
        Scenario::new(Rotate, 40, Small),
        Scenario::new(Untouched, 6, Medium),
        Scenario::new(Read, 6, Medium),
        Scenario::new(Change, 6, Medium),
        Scenario::new(Untouched, 6, ManyOfAKilobyte),
        Scenario::new(Read, 6, ManyOfAKilobyte),
        Scenario::new(Change, 6, ManyOfAKilobyte),
        Scenario::new(Untouched, 6, OneLarge),
        Scenario::new(Read, 6, OneLarge),
        Scenario::new(Change, 6, OneLarge),
        Scenario::new(Untouched, 6, ManySmall),
        Scenario::new(Read, 6, ManySmall),
        Scenario::new(Change, 6, ManySmall),
    ]
};
