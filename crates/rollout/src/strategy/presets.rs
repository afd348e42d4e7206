//! The names of AWS CodeDeploy's predefined deployment configurations, with their published numbers.
//!
//! Source: AWS CodeDeploy User Guide, "Working with deployment configurations in CodeDeploy". Accepted with and without
//! the prefix `CodeDeployDefault.`, and in the short form of AWS SAM's `DeploymentPreference`, which leaves `Lambda` out.

use crate::Millis;

/// A name and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The name, without `CodeDeployDefault.`.
    pub name: &'static str,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    AllAtOnce,
    /// So many out of 10 000, the rest after that time.
    Canary(u16, Millis),
    /// So many more out of 10 000 after each such time.
    Linear(u16, Millis),
}

const fn canary(name: &'static str, minutes: u64) -> Preset {
    Preset { name, shape: Shape::Canary(1_000, Millis::mins(minutes)) }
}

const fn linear(name: &'static str, minutes: u64) -> Preset {
    Preset { name, shape: Shape::Linear(1_000, Millis::mins(minutes)) }
}

const fn at_once(name: &'static str) -> Preset {
    Preset { name, shape: Shape::AllAtOnce }
}

const PRESETS: [Preset; 25] = [
    at_once("AllAtOnce"),
    at_once("LambdaAllAtOnce"),
    canary("LambdaCanary10Percent5Minutes", 5),
    canary("LambdaCanary10Percent10Minutes", 10),
    canary("LambdaCanary10Percent15Minutes", 15),
    canary("LambdaCanary10Percent30Minutes", 30),
    linear("LambdaLinear10PercentEvery1Minute", 1),
    linear("LambdaLinear10PercentEvery2Minutes", 2),
    linear("LambdaLinear10PercentEvery3Minutes", 3),
    linear("LambdaLinear10PercentEvery10Minutes", 10),
    at_once("ECSAllAtOnce"),
    canary("ECSCanary10Percent5Minutes", 5),
    canary("ECSCanary10Percent15Minutes", 15),
    linear("ECSLinear10PercentEvery1Minutes", 1),
    linear("ECSLinear10PercentEvery3Minutes", 3),
    canary("Canary10Percent5Minutes", 5),
    canary("Canary10Percent10Minutes", 10),
    canary("Canary10Percent15Minutes", 15),
    canary("Canary10Percent30Minutes", 30),
    linear("Linear10PercentEvery1Minute", 1),
    linear("Linear10PercentEvery2Minutes", 2),
    linear("Linear10PercentEvery3Minutes", 3),
    linear("Linear10PercentEvery10Minutes", 10),
    // Written with an `s` in many places although the published Lambda name has none, and the other way round.
    linear("LambdaLinear10PercentEvery1Minutes", 1),
    linear("ECSLinear10PercentEvery1Minute", 1),
];

/// All names that are understood.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

/// What a word that looks like a name of CodeDeploy is.
pub(super) enum Found {
    Preset(Preset),
    /// A configuration for instances, which knows no shares.
    Instances,
    /// It looks like one, and is none.
    Unknown,
    /// It does not look like one.
    Other,
}

pub(super) fn find(word: &str) -> Found {
    let (name, prefixed) = word.strip_prefix("CodeDeployDefault.").map_or((word, false), |name| (name, true));
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
        return Found::Preset(*preset);
    }
    if matches!(name, "HalfAtATime" | "OneAtATime") {
        return Found::Instances;
    }
    let shaped = name.contains("Percent") || name.ends_with("AllAtOnce") || name.ends_with("AtATime");
    if prefixed || shaped { Found::Unknown } else { Found::Other }
}
