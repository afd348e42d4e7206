//! When a gate runs: `at`.

use cutover_rollout::{Strategy, To};

use super::{
    super::{
        super::steps,
        super::{
            meant::{GateAt, RolloutConfig, Sort},
            place::{At, Trouble},
            shape::nearest,
            written,
        },
    },
    Around,
};

const WORDS: [&str; 3] = ["before", "steps", "bake"];

/// Where the gate stands, at least one place. Without a rollout to stand in, where the words are.
pub(super) fn check(
    written: &At<written::Gate>,
    sort: Sort,
    around: &Around<'_>,
    trouble: &mut Trouble<'_>,
) -> Option<Vec<GateAt>> {
    let Some(list) = &written.get().at else { return implied(written, sort, around, trouble) };
    if list.get().is_empty() {
        if !trouble.was_cut(&list.span()) {
            let hint =
                "leave `at` out, or name a place: \"before\", \"steps\", a step such as \"5%\", \"bake\"";
            trouble.add_hint("CUT0105", list.span(), "`gate.at` is empty: the gate would never run", hint);
        }
        return None;
    }
    let mut places: Vec<GateAt> = Vec::new();
    let mut sound = true;
    for one in list.get() {
        match place(one, sort, around, trouble) {
            Some(place) if places.contains(&place) => {
                trouble.add("CUT0107", one.span(), format!("`gate.at` has {:?} twice", one.get()));
                sound = false;
            }
            Some(place) => places.push(place),
            None => sound = false,
        }
    }
    let rollout = around.rollout.filter(|_| sound)?;
    if places.iter().all(|place| *place == GateAt::EveryStep)
        && steps::steps(sort, rollout.strategy.strategy()).is_empty()
    {
        let message = format!("the gate runs at the steps, but {}", why_no_steps(sort, rollout));
        let hint =
            "give `rollout.strategy` steps such as \"5%, 25%, 100%\", or let the gate run in the \"bake\"";
        trouble.add_hint("CUT0107", list.span(), message, hint);
        return None;
    }
    Some(places)
}

/// Where a gate stands that does not say; nowhere if it would never run. That an instant strategy has no steps does not
/// take the steps away: a rollout may be given another strategy.
pub(super) fn default(sort: Sort, rollout: &RolloutConfig) -> Vec<GateAt> {
    let mut places = sort.default_at();
    if rollout.bake.is_zero() {
        places.retain(|at| *at != GateAt::Bake);
    }
    let runs =
        |at: &GateAt| *at != GateAt::EveryStep || !steps::steps(sort, rollout.strategy.strategy()).is_empty();
    if places.iter().any(runs) { places } else { Vec::new() }
}

fn implied(
    written: &At<written::Gate>,
    sort: Sort,
    around: &Around<'_>,
    trouble: &mut Trouble<'_>,
) -> Option<Vec<GateAt>> {
    if sort.default_at().is_empty() {
        if !trouble.was_cut(&written.span()) {
            let message = format!("the {} gate does not say when it is asked for", sort.word());
            let hint = "add `at`, such as `at = [\"before\"]` or `at = [\"50%\"]`";
            trouble.add_hint("CUT0104", written.span(), message, hint);
        }
        return None;
    }
    let rollout = around.rollout?;
    let at = default(sort, rollout);
    if at.is_empty() {
        let why = why_no_steps(sort, rollout);
        let message = format!("the {} gate would never run: {why}, and there is no bake", sort.word());
        let hint = "give `rollout.strategy` steps such as \"5%, 25%, 100%\", or `rollout.bake` a length";
        trouble.add_hint("CUT0107", written.span(), message, hint);
        return None;
    }
    Some(at)
}

fn why_no_steps(sort: Sort, rollout: &RolloutConfig) -> String {
    let strategy = &rollout.strategy;
    match sort {
        Sort::Compare if !strategy.strategy().is_instant() => {
            format!("the strategy \"{strategy}\" has no share of visitors below 100% to compare")
        }
        _ => format!("the strategy \"{strategy}\" has no steps"),
    }
}

fn place(written: &At<String>, sort: Sort, around: &Around<'_>, trouble: &mut Trouble<'_>) -> Option<GateAt> {
    let text = written.get().trim();
    let mut refuse = |message: String, hint: String| {
        trouble.add_hint("CUT0107", written.span(), message, hint);
        None
    };
    match text {
        "before" if sort.watched() => refuse(
            format!("a {} gate cannot run before visitors come: there is nobody to judge", sort.word()),
            "use \"steps\", a step such as \"5%\", or \"bake\"; before visitors come there are `http`, `run` and `load`"
                .to_owned(),
        ),
        "before" => Some(GateAt::BeforeTraffic),
        "steps" => Some(GateAt::EveryStep),
        "bake" if around.rollout.is_some_and(|rollout| rollout.bake.is_zero()) => refuse(
            "the gate runs in the bake, but `rollout.bake` has no length".to_owned(),
            "give `rollout.bake` a length, such as \"10m\"".to_owned(),
        ),
        "bake" => Some(GateAt::Bake),
        _ => {
            let to = step(written, around, trouble)?;
            let rollout = around.rollout?;
            let moves = &rollout.strategy.strategy().moves;
            let known: Vec<String> = moves.iter().map(|step| format!("\"{}\"", step.to)).collect();
            if !moves.iter().any(|step| step.to == to) {
                let hint = match known.as_slice() {
                    [] => "it has no steps: give `rollout.strategy` some, or let the gate run in the \"bake\"".to_owned(),
                    known => format!("its steps are {}", known.join(", ")),
                };
                let message =
                    format!("the gate runs at {to}, but the strategy \"{}\" has no such step", rollout.strategy);
                trouble.add_hint("CUT0107", written.span(), message, hint);
                return None;
            }
            if sort == Sort::Compare && !steps::comparable(&to) {
                let message = format!("visitors cannot be compared at {to}: {}", steps::why_not_comparable(&to));
                let hint = "hold green alone against a limit there: a `metrics` gate with `max`";
                trouble.add_hint("CUT0107", written.span(), message, hint);
                return None;
            }
            Some(GateAt::Step(to))
        }
    }
}

/// One step as a strategy would have it.
fn step(written: &At<String>, around: &Around<'_>, trouble: &mut Trouble<'_>) -> Option<To> {
    let text = written.get().trim();
    if around.audiences.contains(&text) {
        return Some(To::Audience(text.to_owned()));
    }
    // How a share is written is the strategy's to say. Everybody is a step of its own only with a hold.
    let alone = Strategy::parse(&format!("{text} for 1s, 100%"), &[]);
    let share = alone.or_else(|_| Strategy::parse(&format!("{text} for 1s"), &[]));
    if let Ok([step]) = share.as_ref().map(|strategy| strategy.moves.as_slice())
        && text.ends_with('%')
    {
        return Some(step.to.clone());
    }
    let hint = match nearest(text, WORDS.into_iter().chain(around.audiences.iter().copied())) {
        Some(word) => format!("did you mean {word:?}?"),
        None => "a gate runs \"before\" visitors come, at the \"steps\", at one step such as \"5%\" or an audience, \
                 or in the \"bake\""
            .to_owned(),
    };
    trouble.add_hint("CUT0105", written.span(), format!("`gate.at` cannot be {text:?}"), hint);
    None
}
