//! Rollouts as people see them: where one stands, what it waits for, on what evidence, and which command helps.

pub(crate) mod changes;
pub(crate) mod end;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod gates;
pub(crate) mod help;
pub(crate) mod list;
pub(crate) mod live;
pub(crate) mod report;
pub(crate) mod section;
pub(crate) mod story;

use cutover_engine::control::{Phase, RolloutView, StepAt};

use super::{
    page::{BLUE, DIM, GREEN, RED, STRONG, YELLOW, paint},
    text,
};

/// Where a rollout stands, in its colour.
pub(crate) fn phase(phase: Phase) -> String {
    let (style, word) = match phase {
        Phase::Preparing => (GREEN, "preparing"),
        Phase::Testing => (GREEN, "testing"),
        Phase::Shifting => (GREEN, "shifting"),
        Phase::Promoting => (GREEN, "promoting"),
        Phase::Baking => (GREEN, "baking"),
        Phase::Draining => (GREEN, "draining"),
        Phase::Closing => (GREEN, "closing"),
        Phase::Held => (YELLOW, "held"),
        Phase::Paused => (YELLOW, "paused"),
        Phase::GoingBack => (RED, "going back"),
        Phase::Done => (BLUE, "done"),
        Phase::RolledBack => (RED, "rolled back"),
        Phase::Superseded => (DIM, "superseded"),
    };
    paint(style, word)
}

/// From which release to which.
fn way(rollout: &RolloutView) -> String {
    match rollout.blue {
        Some(blue) => format!("{blue} -> {}", paint(STRONG, rollout.green)),
        None => format!("{} (the first release)", paint(STRONG, rollout.green)),
    }
}

/// The number of the present step and how many there are, while the plan is followed.
fn step_of(rollout: &RolloutView) -> Option<(usize, usize)> {
    if rollout.undo.is_some() || rollout.phase.is_over() {
        return None;
    }
    let at = rollout.plan.iter().position(|step| step.at == StepAt::Now)?;
    Some((at + 1, rollout.plan.len()))
}

/// How far a hold is, e.g. `1m12s of 2m, 48s left`.
fn countdown(rollout: &RolloutView) -> Option<String> {
    let hold = rollout.hold.as_ref()?;
    let far = format!("{} of {}", text::span(hold.counted_ms), text::span(hold.length_ms));
    Some(if hold.counting {
        format!("{far}, {} left", text::span(hold.length_ms.saturating_sub(hold.counted_ms)))
    } else {
        far
    })
}

/// What a rollout stands at, on one line: the reason where it is held, paused or going back, else what it waits for.
fn standing(rollout: &RolloutView) -> String {
    let line = match rollout.phase {
        Phase::Held => rollout.held.clone().unwrap_or_else(|| rollout.waiting.clone()),
        Phase::Paused => rollout.paused.clone().unwrap_or_else(|| rollout.waiting.clone()),
        Phase::GoingBack | Phase::RolledBack => {
            rollout.undo.clone().unwrap_or_else(|| rollout.waiting.clone())
        }
        Phase::Superseded => match &rollout.superseded_by {
            Some(by) => format!("by {by}"),
            None => rollout.waiting.clone(),
        },
        _ => rollout.waiting.clone(),
    };
    awaited(&text::one_line(&line))
}

/// What a hold waits for, where none of its gates has been read so far: that is no trouble.
pub(crate) fn awaited(waiting: &str) -> String {
    let unread = |(left, gates): &(&str, &str)| {
        !left.is_empty() && gates.split("; ").all(|gate| gate.ends_with(": not read yet"))
    };
    match waiting.split_once(", not counting: ").filter(unread) {
        Some((left, _)) => format!("{left}, waiting for the first evidence"),
        None => waiting.to_owned(),
    }
}

/// The step and what it stands at.
fn place(rollout: &RolloutView) -> String {
    let standing = standing(rollout);
    if standing.is_empty() { rollout.step.clone() } else { format!("{}; {standing}", rollout.step) }
}

/// Where it stands. `why`: with the reason why it goes back, which need not be said at each step of the way.
fn stands(now: &RolloutView, why: bool) -> String {
    let what = standing(now);
    match now.phase {
        Phase::Held => format!("{}; held: {what}", now.step),
        Phase::GoingBack if why => format!("{}; going back: {what}", now.step),
        Phase::GoingBack => format!("{}; {}", now.step, text::one_line(&now.waiting)),
        Phase::RolledBack => said("rolled back", &what),
        Phase::Superseded => format!("superseded {what}"),
        Phase::Done => format!("done: visitors are on {}", now.green),
        _ => place(now),
    }
}

/// A reason behind its word, which it may begin with itself: `rolled back by ann`, `rolled back: gate errors failed`.
fn said(word: &str, why: &str) -> String {
    if why.starts_with(word) { why.to_owned() } else { format!("{word}: {why}") }
}

#[cfg(test)]
mod tests {
    use super::awaited;

    #[test]
    fn gates_that_nobody_has_read_yet_are_no_trouble() {
        for unread in ["errors: not read yet", "errors: not read yet; slow: not read yet"] {
            let line = format!("2m to go, not counting: {unread}");
            assert_eq!(awaited(&line), "2m to go, waiting for the first evidence");
        }
        for line in ["2m to go", "2m to go, not counting: errors: not read yet; slow: 3 visitors", ""] {
            assert_eq!(awaited(line), line);
        }
    }
}
