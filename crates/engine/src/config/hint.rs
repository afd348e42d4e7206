//! What to do about a strategy that is wrong.

use cutover_rollout::{Problem, presets};

use super::shape::nearest;

/// The remedy, where the message does not say it already. `audiences` are those of the app.
pub(crate) fn strategy_hint(problem: &Problem, audiences: &[&str]) -> Option<String> {
    let written =
        "write `instant`, steps such as `5%, 25% for 10m, 100%`, `canary(10%, 5m)` or `linear(10%, 1m)`";
    match problem {
        Problem::UnknownAudience { name, .. } => {
            let words = ["instant", "canary", "linear"].into_iter().chain(audiences.iter().copied());
            let presets = presets().iter().map(|preset| preset.name);
            Some(match nearest(name, words).or_else(|| nearest_name(name, presets)) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("{written}; an audience is defined in [[routing.audience]]"),
            })
        }
        Problem::UnknownPreset(name) => nearest_name(name, presets().iter().map(|preset| preset.name))
            .map(|word| format!("did you mean `{word}`?")),
        Problem::Expected { .. } | Problem::Character(_) | Problem::NotAShare => Some(written.to_owned()),
        _ => None,
    }
}

/// The known name a person most likely meant; CodeDeploy's differ in little, so that case does not matter and the prefix
/// is apart.
fn nearest_name<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let (prefix, bare) = text.split_at_checked("CodeDeployDefault.".len()).unwrap_or(("", text));
    let bare = if prefix.eq_ignore_ascii_case("CodeDeployDefault.") { bare } else { text };
    let folded = bare.to_lowercase();
    words
        .map(|word| (strsim::damerau_levenshtein(&folded, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= 1 + word.len().min(bare.len()) / 6)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
