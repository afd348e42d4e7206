//! Reads a strategy and says where it is wrong.

use std::ops::Range;

use super::{
    MAX_STEPS, Move, Strategy, To,
    presets::{self, Found, Shape},
};
use crate::{Millis, NotMillis};

/// A mistake in a strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct StrategyError {
    /// Where, in bytes of the text. Not empty unless the text ends too early.
    pub span: Range<usize>,
    /// What.
    pub problem: Problem,
}

/// What is wrong with a strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is nothing.
    #[error("the strategy is empty; write `instant`, or steps such as `5%, 25%, 100%`")]
    Empty,
    /// Something else should stand here.
    #[error("expected {expected}")]
    Expected {
        /// What should.
        expected: &'static str,
    },
    /// A character that means nothing.
    #[error("unexpected character {0:?}")]
    Character(char),
    /// A share that cannot be read.
    #[error("not a share of visitors; write a number and `%`, such as `5%` or `2.5%`")]
    NotAShare,
    /// A bare number.
    #[error("a share needs a percent sign: `{0}%`")]
    NoPercent(String),
    /// 0 % or less.
    #[error("a step must move somebody: shares start at 0.01%")]
    NoShare,
    /// More than everybody.
    #[error("a share cannot be over 100%")]
    Over,
    /// More digits than there are buckets.
    #[error("shares are counted in hundredths of a percent; write at most two digits after the point")]
    TooFine,
    /// A share that is not above the one before.
    #[error("shares must rise: {now} comes after {before}")]
    Falling {
        /// The share before.
        before: String,
        /// This share.
        now: String,
    },
    /// A step after everybody has moved.
    #[error("nothing can follow 100%: everybody has moved")]
    AfterAll,
    /// The last step is not 100 %.
    #[error("the steps end at {0}; end them with 100%, so that it is clear that everybody moves")]
    NotAll(String),
    /// A hold that cannot be read.
    #[error("{0}")]
    Hold(NotMillis),
    /// A hold of no length.
    #[error("a hold must be longer than nothing")]
    NoHold,
    /// A hold over 30 days.
    #[error("a hold can be 30 days at most")]
    HoldTooLong,
    /// An audience that is not configured.
    #[error("there is no audience {name:?}{}", known(.names))]
    UnknownAudience {
        /// The name.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// An audience after a share.
    #[error("audiences come first: they are the smaller risk")]
    LateAudience,
    /// An audience twice.
    #[error("audience {0:?} has moved already")]
    AudienceTwice(String),
    /// Too many steps.
    #[error("more than {MAX_STEPS} steps")]
    TooMany,
    /// A name like CodeDeploy's that is none.
    #[error(
        "{0:?} is not a predefined configuration of CodeDeploy; write it out as `canary(10%, 5m)` or `linear(10%, 1m)`"
    )]
    UnknownPreset(String),
    /// A configuration for instances.
    #[error("{0:?} is about instances, not about visitors; write steps such as `50%, 100%`")]
    Instances(String),
    /// `instant` or a preset beside other steps.
    #[error("{0:?} is a whole strategy and stands alone")]
    Alone(String),
}

fn known(names: &[String]) -> String {
    match names {
        [] => "; none is configured".to_owned(),
        names => format!("; there is {}", names.join(", ")),
    }
}

const LONGEST_HOLD: Millis = Millis(30 * 86_400_000);

#[derive(Clone)]
struct Token<'a> {
    text: &'a str,
    at: usize,
}

impl Token<'_> {
    fn wrong<T>(&self, problem: Problem) -> Result<T, StrategyError> {
        Err(StrategyError { span: self.at..self.at + self.text.len(), problem })
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, StrategyError> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%' | '+');
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let len = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '(' | ')' | ',' => 1,
            c if word(c) => text[at..].find(|c| !word(c)).unwrap_or(text.len() - at),
            c => {
                return Err(StrategyError { span: at..at + c.len_utf8(), problem: Problem::Character(c) });
            }
        };
        found.push(Token { text: &text[at..at + len], at });
        at += len;
    }
    Ok(found)
}

pub(super) fn strategy(text: &str, audiences: &[&str]) -> Result<Strategy, StrategyError> {
    let tokens = tokens(text)?;
    let Some(first) = tokens.first() else {
        return Err(StrategyError { span: 0..text.len(), problem: Problem::Empty });
    };
    if let Some(whole) = whole(first)? {
        return match tokens.get(1) {
            None => Ok(whole),
            Some(_) => first.wrong(Problem::Alone(first.text.to_owned())),
        };
    }
    let mut reader = Reader { tokens: &tokens, next: 0, end: text.len(), audiences, moves: Vec::new() };
    reader.steps()?;
    let mut moves: Vec<Move> = reader.moves.into_iter().map(|(step, _)| step).collect();
    // The last step is the promotion, unless it is to be held with blue still the default.
    moves.pop_if(|last| last.to == To::Share(10_000) && last.hold.is_none());
    Ok(Strategy { moves })
}

/// A strategy of one word.
fn whole(token: &Token<'_>) -> Result<Option<Strategy>, StrategyError> {
    if token.text == "instant" {
        return Ok(Some(Strategy::INSTANT));
    }
    match presets::find(token.text) {
        Found::Other => Ok(None),
        Found::Unknown => token.wrong(Problem::UnknownPreset(token.text.to_owned())),
        Found::Instances => token.wrong(Problem::Instances(token.text.to_owned())),
        Found::Preset(preset) => Ok(Some(match preset.shape {
            Shape::AllAtOnce => Strategy::INSTANT,
            Shape::Canary(width, hold) => {
                Strategy { moves: vec![Move { to: To::Share(width), hold: Some(hold) }] }
            }
            Shape::Linear(width, hold) => Strategy { moves: linear(width, hold) },
        })),
    }
}

/// Equal shares until everybody has moved, without the last.
fn linear(width: u16, hold: Millis) -> Vec<Move> {
    (1..)
        .map(|n: u16| n.saturating_mul(width))
        .take_while(|share| *share < 10_000)
        .map(|share| Move { to: To::Share(share), hold: Some(hold) })
        .collect()
}

struct Reader<'a, 't> {
    tokens: &'a [Token<'t>],
    next: usize,
    end: usize,
    audiences: &'a [&'a str],
    /// Each move and where it stands.
    moves: Vec<(Move, Token<'t>)>,
}

impl<'t> Reader<'_, 't> {
    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, expected: &'static str) -> Result<Token<'t>, StrategyError> {
        let token = self
            .peek()
            .cloned()
            .ok_or(StrategyError { span: self.end..self.end, problem: Problem::Expected { expected } })?;
        self.next += 1;
        Ok(token)
    }

    fn punctuation(&mut self, mark: &str, expected: &'static str) -> Result<(), StrategyError> {
        let token = self.take(expected)?;
        if token.text == mark { Ok(()) } else { token.wrong(Problem::Expected { expected }) }
    }

    fn steps(&mut self) -> Result<(), StrategyError> {
        loop {
            self.step()?;
            let Some(separator) = self.peek().cloned() else { break };
            if separator.text != "," && separator.text != "then" {
                return separator.wrong(Problem::Expected { expected: "a comma, `then` or `for`" });
            }
            self.next += 1;
            if separator.text == "," && self.peek().is_some_and(|token| token.text == "then") {
                self.next += 1;
            }
        }
        match self.moves.last() {
            Some((Move { to: To::Share(10_000), .. }, _)) => Ok(()),
            Some((last, token)) => token.wrong(Problem::NotAll(last.to.to_string())),
            None => Ok(()),
        }
    }

    fn step(&mut self) -> Result<(), StrategyError> {
        let token = self.take("a share such as `5%`, an audience, `canary(...)` or `linear(...)`")?;
        let called = self.peek().is_some_and(|next| next.text == "(");
        match token.text {
            "canary" | "linear" if called => self.call(&token),
            "," | "(" | ")" | "then" | "for" => {
                token.wrong(Problem::Expected { expected: "a share such as `5%` or an audience" })
            }
            name if self.audiences.contains(&name) => {
                let hold = self.own_hold()?;
                self.push(Move { to: To::Audience(name.to_owned()), hold }, &token)
            }
            word => {
                if looks_like_a_number(word) {
                    let width = share(&token)?;
                    let hold = self.own_hold()?;
                    return self.push(Move { to: To::Share(width), hold }, &token);
                }
                if word == "instant" {
                    return token.wrong(Problem::Alone(word.to_owned()));
                }
                match presets::find(word) {
                    Found::Preset(_) => token.wrong(Problem::Alone(word.to_owned())),
                    Found::Instances => token.wrong(Problem::Instances(word.to_owned())),
                    Found::Unknown => token.wrong(Problem::UnknownPreset(word.to_owned())),
                    Found::Other => token.wrong(Problem::UnknownAudience {
                        name: word.to_owned(),
                        names: self.audiences.iter().map(|name| (*name).to_owned()).collect(),
                    }),
                }
            }
        }
    }

    /// `canary(10%, 5m)` and `linear(10%, 1m)`, the name already read.
    fn call(&mut self, name: &Token<'t>) -> Result<(), StrategyError> {
        self.punctuation("(", "`(`")?;
        let token = self.take("a share such as `10%`")?;
        let width = share(&token)?;
        self.punctuation(",", "a comma and how long each step is held")?;
        let hold = hold(&self.take("how long each step is held, such as `5m`")?)?;
        self.punctuation(")", "`)`")?;
        if name.text == "canary" {
            if width == 10_000 {
                return token.wrong(Problem::AfterAll);
            }
            self.push(Move { to: To::Share(width), hold: Some(hold) }, &token)?;
        } else {
            for step in linear(width, hold) {
                self.push(step, &token)?;
            }
        }
        self.push(Move { to: To::Share(10_000), hold: None }, name)
    }

    /// `for 5m`, where it stands.
    fn own_hold(&mut self) -> Result<Option<Millis>, StrategyError> {
        if self.peek().is_none_or(|token| token.text != "for") {
            return Ok(None);
        }
        self.next += 1;
        hold(&self.take("how long the step is held, such as `5m`")?).map(Some)
    }

    fn push(&mut self, step: Move, token: &Token<'t>) -> Result<(), StrategyError> {
        let before = self.moves.last().map(|(step, _)| &step.to);
        match (&step.to, before) {
            (_, Some(To::Share(10_000))) => return token.wrong(Problem::AfterAll),
            (To::Share(now), Some(To::Share(before))) if now <= before => {
                return token.wrong(Problem::Falling {
                    before: To::Share(*before).to_string(),
                    now: step.to.to_string(),
                });
            }
            (To::Audience(_), Some(To::Share(_))) => return token.wrong(Problem::LateAudience),
            (To::Audience(name), _)
                if self.moves.iter().any(|(step, _)| step.to == To::Audience(name.clone())) =>
            {
                return token.wrong(Problem::AudienceTwice(name.clone()));
            }
            _ => {}
        }
        if self.moves.len() == MAX_STEPS {
            return token.wrong(Problem::TooMany);
        }
        self.moves.push((step, token.clone()));
        Ok(())
    }
}

fn looks_like_a_number(word: &str) -> bool {
    word.contains('%') || word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
}

/// Reads `5%`, `2.5%`, `0.01%` without floating point.
fn share(token: &Token<'_>) -> Result<u16, StrategyError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = token.text.strip_suffix('%') else {
        return match digits(token.text) {
            true => token.wrong(Problem::NoPercent(token.text.to_owned())),
            false => token.wrong(Problem::NotAShare),
        };
    };
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !digits(whole) || !digits(fraction) {
        return token.wrong(Problem::NotAShare);
    }
    if negative {
        return token.wrong(Problem::NoShare);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 {
        return token.wrong(Problem::TooFine);
    }
    let hundredths: u32 = format!("{fraction:0<2}").parse().unwrap_or(0);
    let width = whole.parse::<u32>().ok().and_then(|n| n.checked_mul(100)?.checked_add(hundredths));
    match width.and_then(|width| u16::try_from(width).ok()) {
        Some(0) => token.wrong(Problem::NoShare),
        Some(width @ 1..=10_000) => Ok(width),
        _ => token.wrong(Problem::Over),
    }
}

fn hold(token: &Token<'_>) -> Result<Millis, StrategyError> {
    match Millis::parse(token.text) {
        Ok(Millis(0)) => token.wrong(Problem::NoHold),
        Ok(hold) if hold > LONGEST_HOLD => token.wrong(Problem::HoldTooLong),
        Ok(hold) => Ok(hold),
        Err(why) => token.wrong(Problem::Hold(why)),
    }
}
