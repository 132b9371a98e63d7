//! What a session holds.

use std::{fmt, str::FromStr};

/// The key that `/read` reads: a text.
pub const READ_KEY: &str = "name";
/// The key that `/change` changes: a number.
pub const COUNT_KEY: &str = "count";

/// The data of a session: how much, in how many values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// 200 bytes in 5 values.
    Small,
    /// 4 KB in 8 values.
    Medium,
    /// 64 values of 1 KB.
    ManyOfAKilobyte,
    /// One value of 64 KB.
    OneLarge,
    /// 1,300 values of some 40 bytes: 64 KB with their keys.
    ManySmall,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Small, Self::Medium, Self::ManyOfAKilobyte, Self::OneLarge, Self::ManySmall];

    /// Returns the name, as in `/fill/{name}`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "200",
            Self::Medium => "4k",
            Self::ManyOfAKilobyte => "64x1k",
            Self::OneLarge => "1x64k",
            Self::ManySmall => "1300x40",
        }
    }

    /// Returns the keys with their texts. [`READ_KEY`] is among them and small.
    pub fn pairs(self) -> Vec<(String, String)> {
        let (count, bytes) = match self {
            Self::Small => (4, 24),
            Self::Medium => (7, 560),
            Self::ManyOfAKilobyte => (64, 1_000),
            Self::OneLarge => (1, 64_000),
            Self::ManySmall => (1_300, 38),
        };
        let read = (READ_KEY.to_owned(), "Ada Lovelace".to_owned());
        let others = (0..count).map(|n| (format!("key{n:04}"), format!("{n:04}").repeat(bytes / 4)));
        std::iter::once(read).chain(others).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|shape| shape.name() == name)
            .ok_or_else(|| anyhow::anyhow!("there is no shape of data {name:?}"))
    }
}
