//! `[rollout]` and `[outage]`.

use std::time::Duration;

use super::{
    super::{
        duration,
        meant::{
            After, DEFAULT_SLOW, Drain, LowTraffic, OutageConfig, Profile, ReadinessPolicy, RolloutConfig,
            StrategyText,
        },
        place::{At, Trouble},
        written::{self, Outage, Rollout},
    },
    text,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const DEFAULT_MESSAGE: &str = "This page is not available at the moment. Please try again in a few minutes.";

pub(super) fn check(written: &Rollout, trouble: &mut Trouble<'_>) -> Option<RolloutConfig> {
    let strategy =
        written.strategy.as_ref().map_or(Some(StrategyText::default()), |text| strategy(text, trouble));
    let hold = text::time_or("rollout.hold", written.hold.as_ref(), 2 * MINUTE, 30 * DAY, trouble);
    let bake = text::time_or("rollout.bake", written.bake.as_ref(), 10 * MINUTE, 30 * DAY, trouble);
    let drain = drain(written.drain.as_ref(), trouble);
    Some(RolloutConfig {
        strategy: strategy?,
        hold: hold?,
        bake: bake?,
        drain: drain?,
        after: match written.after {
            Some(written::After::Standby) => After::Standby,
            Some(written::After::Retire) | None => After::Retire,
        },
        slow: DEFAULT_SLOW,
        low_traffic: LowTraffic::default(),
        profile: Profile::default(),
        readiness: ReadinessPolicy::default(),
    })
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

/// Recognises what will be a strategy one day, so that the answer to a good plan is not "malformed".
fn strategy(written: &At<String>, trouble: &mut Trouble<'_>) -> Option<StrategyText> {
    let text = written.get().trim();
    if text == "instant" {
        return Some(StrategyText::default());
    }
    let hint = "the strategy that works is `strategy = \"instant\"`: everybody at once, after the gates";
    match gradual(text) {
        Ok(()) => {
            let message = format!("gradual strategies are not there yet: `strategy = {text:?}`");
            trouble.add_hint("CUT0106", written.span(), message, hint);
        }
        Err(why) => {
            trouble.add_hint("CUT0105", written.span(), format!("`rollout.strategy` {why}: {text:?}"), hint);
        }
    }
    None
}

/// `canary(10%, 5m)`, `linear(10%, 1m)`, or rising percentages that end at 100%.
fn gradual(text: &str) -> Result<(), String> {
    for form in ["canary", "linear"] {
        let Some(inner) = text.strip_prefix(form) else { continue };
        let inner = inner.trim().strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
        let (share, time) = inner
            .and_then(|inner| inner.split_once(','))
            .ok_or_else(|| format!("is written {form}(10%, 5m)"))?;
        percent(share)?;
        return duration::parse(time.trim()).map(drop);
    }
    let mut last = 0;
    for step in text.split(',') {
        let share = percent(step)?;
        if share <= last {
            return Err("does not rise from step to step".to_owned());
        }
        last = share;
    }
    if last == 10_000 { Ok(()) } else { Err("does not end at 100%".to_owned()) }
}

/// A percentage with at most two digits behind the point, in hundredths of a percent.
fn percent(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let wrong = || format!("has {text:?} where a percentage such as 5% or 2.5% belongs");
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 3 || part.len() > 2 || number.ends_with('.') {
        return Err(wrong());
    }
    if !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u32 = format!("{part:0<2}").parse().map_err(|_| wrong())?;
    let share = whole * 100 + part;
    if share == 0 || share > 10_000 {
        Err(format!("has {text:?}, which is not above 0% and up to 100%"))
    } else {
        Ok(share)
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
