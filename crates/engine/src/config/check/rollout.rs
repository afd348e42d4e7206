//! `[rollout]` and `[outage]`.

use std::time::Duration;

use cutover_rollout::Strategy;

use super::{
    super::{
        duration,
        meant::{
            After, DEFAULT_SLOW, Drain, Gate, LowTraffic, OutageConfig, ReadinessPolicy, RolloutConfig,
            StrategyText,
        },
        place::{At, Trouble},
        strategy_hint,
        written::{self, Outage, Rollout},
    },
    gate,
    profile::Defaults,
    text,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const DEFAULT_MESSAGE: &str = "This page is not available at the moment. Please try again in a few minutes.";

pub(super) fn check(
    written: &Rollout,
    defaults: &Defaults,
    audiences: &[&str],
    trouble: &mut Trouble<'_>,
) -> Option<RolloutConfig> {
    let strategy = match &written.strategy {
        Some(text) => strategy(text, audiences, trouble),
        None => Strategy::parse(defaults.strategy, &[]).ok().map(StrategyText::from),
    };
    let hold = text::time_or("rollout.hold", written.hold.as_ref(), defaults.hold, 30 * DAY, trouble);
    let bake = match &written.bake {
        Some(written) => text::time_or_nothing("rollout.bake", written, 30 * DAY, trouble),
        None => Some(defaults.bake),
    };
    let drain = drain(written.drain.as_ref(), trouble);
    let slow = text::time_or("rollout.slow", written.slow.as_ref(), DEFAULT_SLOW, 10 * MINUTE, trouble);
    let low_traffic = match &written.low_traffic {
        Some(written) => text::low_traffic("rollout.low_traffic", written, trouble),
        None => Some(LowTraffic::default()),
    };
    Some(RolloutConfig {
        strategy: strategy?,
        hold: hold?,
        bake: bake?,
        drain: drain?,
        after: match written.after {
            Some(written::After::Standby) => After::Standby,
            Some(written::After::Retire) | None => After::Retire,
        },
        slow: slow?,
        low_traffic: low_traffic?,
        profile: defaults.profile,
        readiness: match written.readiness {
            Some(written::Readiness::Warn) => ReadinessPolicy::Warn,
            Some(written::Readiness::Refuse) => ReadinessPolicy::Refuse,
            None => defaults.readiness,
        },
    })
}

/// Adds the comparisons of the profile to the gates, but for those the user has written under the same name.
pub(super) fn add_profile(
    written: &Rollout,
    rollout: &RolloutConfig,
    defaults: &Defaults,
    gates: &mut Vec<Gate>,
    trouble: &mut Trouble<'_>,
) {
    if !defaults.compares {
        return;
    }
    let of_profile = gate::of_profile(rollout, defaults);
    if let (true, Some(profile)) = (of_profile.is_empty(), &written.profile) {
        let message = format!(
            "the profile compares visitors, but the strategy \"{}\" without a bake leaves nobody to compare",
            rollout.strategy
        );
        let hint = "leave `strategy` and `bake` to the profile, or use `profile = \"quick\"`";
        trouble.add_hint("CUT0107", profile.span(), message, hint);
    }
    for gate in of_profile {
        if !gates.iter().any(|written| written.name == gate.name) {
            gates.push(gate);
        }
    }
}

fn drain(written: Option<&At<written::Drain>>, trouble: &mut Trouble<'_>) -> Option<Drain> {
    let keys = written.map(|drain| drain.get());
    let quiet_written = keys.and_then(|keys| keys.quiet.as_ref());
    let at_most_written = keys.and_then(|keys| keys.at_most.as_ref());
    let quiet = text::time_or("rollout.drain.quiet", quiet_written, 10 * MINUTE, 30 * DAY, trouble);
    let at_most = text::time_or("rollout.drain.at_most", at_most_written, DAY, 30 * DAY, trouble);
    let drain = Drain { quiet: quiet?, at_most: at_most? };
    if drain.quiet > drain.at_most {
        let place = quiet_written.or(at_most_written).map(At::span)?;
        let message = format!(
            "`rollout.drain.quiet` ({}) is longer than `at_most` ({}): it could never be reached",
            duration::format(drain.quiet),
            duration::format(drain.at_most)
        );
        trouble.add("CUT0107", place, message);
        return None;
    }
    Some(drain)
}

/// Reads a strategy; the place of a mistake is the mistake's own, not the whole text's.
fn strategy(written: &At<String>, audiences: &[&str], trouble: &mut Trouble<'_>) -> Option<StrategyText> {
    match Strategy::parse(written.get(), audiences) {
        Ok(strategy) => Some(strategy.into()),
        Err(why) => {
            let place = trouble.part(written, why.span.clone());
            let message = format!("`rollout.strategy`: {why}");
            match strategy_hint(&why.problem, audiences) {
                Some(hint) => trouble.add_hint("CUT0105", place, message, hint),
                None => trouble.add("CUT0105", place, message),
            }
            None
        }
    }
}

pub(super) fn outage(written: &Outage, trouble: &mut Trouble<'_>) -> OutageConfig {
    let message =
        written.message.as_ref().and_then(|message| text::line("outage.message", message, 2000, trouble));
    if let Some(eleventh) = written.contacts.get(10) {
        trouble.add("CUT0105", eleventh.span(), "`outage.contacts` has more than 10 lines");
    }
    let contacts = written
        .contacts
        .iter()
        .filter_map(|contact| text::line("outage.contacts", contact, 300, trouble))
        .collect();
    OutageConfig { message: message.unwrap_or_else(|| DEFAULT_MESSAGE.to_owned()), contacts }
}
