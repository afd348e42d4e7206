//! In which steps visitors move from blue to green.
//!
//! A strategy is read once, with the place of each mistake, and is a list of moves afterwards: `canary(10%, 5m)`, a
//! name of CodeDeploy and the same steps written out are equal. The last move, to everybody, is the promotion and is
//! not in the list unless it has a hold of its own.

mod parse;
mod presets;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Millis;

pub use parse::{Problem, StrategyError};
pub use presets::{Preset, presets};

/// More moves than this are a slip of the pen (`linear(0.01%, 1m)` would be ten thousand).
pub const MAX_STEPS: usize = 100;

/// In which steps visitors move. No steps: all at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Strategy {
    /// The moves before promotion: audiences first, then rising shares.
    pub moves: Vec<Move>,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Who moves.
    pub to: To,
    /// How long it is held at least; none: the rollout's own hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Millis>,
}

/// Who moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// Everybody in a configured audience.
    Audience(String),
    /// So many visitors out of 10 000, in all.
    Share(u16),
}

impl Strategy {
    /// Everybody at once.
    pub const INSTANT: Strategy = Strategy { moves: Vec::new() };

    /// Reads a strategy. `audiences` are the names that may be used.
    ///
    /// ```text
    /// instant
    /// 5%, 25% for 10m, 50%, 100%          shares of visitors, in all; each with a hold of its own or the default
    /// staff, then 5%, then 100%           audiences first; `then` may stand for or after the comma
    /// canary(10%, 5m)                     10% for 5m, then everybody
    /// linear(10%, 1m)                     10%, 20%, ... each for 1m, then everybody
    /// CodeDeployDefault.LambdaCanary10Percent5Minutes, ECSLinear10PercentEvery1Minutes, AllAtOnce ...
    /// ```
    ///
    /// # Errors
    /// The first mistake, with its place in the text in bytes.
    pub fn parse(text: &str, audiences: &[&str]) -> Result<Strategy, StrategyError> {
        parse::strategy(text, audiences)
    }

    /// Whether everybody moves at once.
    pub fn is_instant(&self) -> bool {
        self.moves.is_empty()
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_instant() {
            return f.write_str("instant");
        }
        for step in &self.moves {
            write!(f, "{}", step.to)?;
            if let Some(hold) = step.hold {
                write!(f, " for {hold}")?;
            }
            if step.to != To::Share(10_000) {
                f.write_str(", ")?;
            }
        }
        match self.moves.last() {
            Some(Move { to: To::Share(10_000), .. }) => Ok(()),
            _ => f.write_str("100%"),
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Audience(name) => f.write_str(name),
            To::Share(width) => {
                write!(f, "{}", width / 100)?;
                match (width % 100, width % 10) {
                    (0, _) => {}
                    (hundredths, 0) => write!(f, ".{}", hundredths / 10)?,
                    (hundredths, _) => write!(f, ".{hundredths:02}")?,
                }
                f.write_str("%")
            }
        }
    }
}
