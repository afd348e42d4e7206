//! What may happen to a release: its state in the table, and the slot it lives in.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fixed place (a target group, an upstream) that releases alternate between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first place.
    Blue,
    /// The second place.
    Green,
}

impl Slot {
    /// Letter of the compact form: `b` or `g`.
    pub fn letter(self) -> char {
        match self {
            Self::Blue => 'b',
            Self::Green => 'g',
        }
    }

    /// The slot of a letter.
    pub fn from_letter(letter: char) -> Option<Self> {
        match letter {
            'b' => Some(Self::Blue),
            'g' => Some(Self::Green),
            _ => None,
        }
    }

    /// The other place.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// Who may reach a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseState {
    /// Reachable by preview token only.
    Staged,
    /// May hold a share of new visitors.
    Candidate,
    /// The default; exactly one.
    Active,
    /// Serves its own visitors (pins) and gets no new ones.
    Draining,
    /// Serves nobody; its pins are void.
    Closed,
}

impl ReleaseState {
    /// Every state, in the order of a release's life.
    pub const ALL: [Self; 5] = [Self::Staged, Self::Candidate, Self::Active, Self::Draining, Self::Closed];

    /// Letter of the compact form: `s`, `c`, `a`, `d` or `x`.
    pub fn letter(self) -> char {
        match self {
            Self::Staged => 's',
            Self::Candidate => 'c',
            Self::Active => 'a',
            Self::Draining => 'd',
            Self::Closed => 'x',
        }
    }

    /// The state of a letter.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.letter() == letter)
    }

    /// True where visitors without a preview token may be served: candidate, active, draining.
    pub fn servable(self) -> bool {
        matches!(self, Self::Candidate | Self::Active | Self::Draining)
    }
}

impl fmt::Display for ReleaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Staged => "staged",
            Self::Candidate => "candidate",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Closed => "closed",
        })
    }
}
