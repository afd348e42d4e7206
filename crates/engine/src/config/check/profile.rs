//! What profiles say where nothing is written.

use std::time::Duration;

use super::super::{
    meant::{Profile, ReadinessPolicy},
    written,
};

const MINUTE: Duration = Duration::from_secs(60);

/// What a profile says.
pub(super) struct Defaults {
    pub(super) profile: Profile,
    pub(super) strategy: &'static str,
    pub(super) hold: Duration,
    pub(super) bake: Duration,
    pub(super) readiness: ReadinessPolicy,
    /// Whether it compares errors and slow answers by itself.
    pub(super) compares: bool,
    /// Alpha and beta of comparisons.
    pub(super) false_alarms: f64,
    pub(super) missed: f64,
}

pub(super) fn defaults(written: Option<written::Profile>) -> Defaults {
    let quick = Defaults {
        profile: Profile::Quick,
        strategy: "instant",
        hold: 2 * MINUTE,
        bake: 10 * MINUTE,
        readiness: ReadinessPolicy::Warn,
        compares: false,
        false_alarms: 0.01,
        missed: 0.05,
    };
    match written {
        None | Some(written::Profile::Quick) => quick,
        Some(written::Profile::Standard) => {
            Defaults { profile: Profile::Standard, strategy: "5%, 25%, 50%, 100%", compares: true, ..quick }
        }
        Some(written::Profile::Paranoid) => Defaults {
            profile: Profile::Paranoid,
            strategy: "1%, 5%, 10%, 25%, 50%, 100%",
            hold: 10 * MINUTE,
            bake: 60 * MINUTE,
            readiness: ReadinessPolicy::Refuse,
            compares: true,
            false_alarms: 0.001,
            missed: 0.01,
        },
    }
}
