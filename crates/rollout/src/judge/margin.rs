//! How much worse is too much: a line `green = times * blue + plus` in the square of the two failure rates.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A bound on green's rate, given blue's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// Blue's rate times this,
    pub times: f64,
    /// plus this: a share of visitors, 0.01 for one percentage point.
    pub plus: f64,
}

/// The text is not a margin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAMargin {
    /// It cannot be read.
    #[error("not a margin: {0:?}; write percentage points such as `1%`, or a factor such as `1.5x`")]
    Malformed(String),
    /// Nothing can be shown to be within it.
    #[error("a margin of {0} leaves no room: that green is not worse at all can never be shown")]
    None(String),
    /// Everything is within it.
    #[error("a margin of {0} forgives everything")]
    Over(String),
}

impl Margin {
    /// As good as blue.
    pub const EQUAL: Margin = Margin { times: 1.0, plus: 0.0 };

    /// Worse by so much: `1%` is one percentage point of visitors, `1.5x` half as many again. A factor shows nothing
    /// where blue has no failures at all; points do.
    ///
    /// # Errors
    /// Where it cannot be read or means nothing.
    pub fn worse_by(text: &str) -> Result<Margin, NotAMargin> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits.len() <= 12;
            digits.parse::<f64>().ok().filter(|_| plain).ok_or_else(|| NotAMargin::Malformed(text.to_owned()))
        };
        let (margin, room, over) = if let Some(digits) = text.strip_suffix('%') {
            let plus = number(digits)? / 100.0;
            (Margin { times: 1.0, plus }, plus >= 1e-5, plus >= 0.5)
        } else if let Some(digits) = text.strip_suffix('x') {
            let times = number(digits)?;
            (Margin { times, plus: 0.0 }, times >= 1.001, times > 100.0)
        } else {
            return Err(NotAMargin::Malformed(text.to_owned()));
        };
        match (room, over) {
            (false, _) => Err(NotAMargin::None(text.to_owned())),
            (_, true) => Err(NotAMargin::Over(text.to_owned())),
            _ => Ok(margin),
        }
    }

    /// A limit whatever blue does.
    pub const fn limit(rate: f64) -> Margin {
        Margin { times: 0.0, plus: rate }
    }

    /// The bound on green where blue is known.
    pub fn at(&self, blue: f64) -> f64 {
        self.times * blue + self.plus
    }
}

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = |f: &mut fmt::Formatter<'_>| write!(f, "{}%", (self.plus * 1e6).round() / 1e4);
        if self.times == 0.0 {
            return points(f);
        }
        f.write_str("blue")?;
        if self.times != 1.0 {
            write!(f, " x {}", self.times)?;
        }
        if self.plus > 0.0 {
            f.write_str(" + ")?;
            points(f)?;
        }
        Ok(())
    }
}
