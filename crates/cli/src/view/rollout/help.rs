//! Which commands help a rollout that does not go on by itself.

use cutover_engine::control::{GateView, Phase, RolloutView, Verdict};
use serde::Serialize;

use crate::view::page::{DIM, STRONG, paint};

/// A command and what it does here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Help {
    /// As typed.
    pub(crate) command: String,
    /// What it does now.
    pub(crate) does: &'static str,
}

impl Help {
    fn new(command: impl Into<String>, does: &'static str) -> Self {
        Self { command: command.into(), does }
    }
}

/// Commands and what they do, in two columns.
pub(crate) fn lines(help: &[Help]) -> impl Iterator<Item = String> {
    let width = help.iter().map(|help| help.command.chars().count()).max().unwrap_or_default();
    help.iter().map(move |help| {
        let command = format!("{:width$}", help.command);
        format!("{}  {}", paint(STRONG, command), paint(DIM, help.does))
    })
}

/// Commands and what they do, in a sentence.
pub(crate) fn sentence(help: &[Help]) -> Option<String> {
    let parts: Vec<String> = help.iter().map(|help| format!("{} ({})", help.command, help.does)).collect();
    (!parts.is_empty()).then(|| format!("what helps: {}", parts.join(", ")))
}

/// Gates that ask a person and have no answer.
pub(crate) fn asking(rollout: &RolloutView) -> impl Iterator<Item = &GateView> {
    let open = !rollout.phase.is_over() && rollout.undo.is_none();
    rollout
        .gates
        .iter()
        .filter(move |gate| open && gate.asks && !matches!(gate.verdict, Some(Verdict::Pass | Verdict::Fail)))
}

/// Whether the rollout waits for a person to say something. A pause is not that: somebody has said something.
pub(crate) fn needs_a_person(rollout: &RolloutView) -> bool {
    rollout.phase == Phase::Held
        || (!rollout.phase.is_over() && rollout.held.is_some())
        || asking(rollout).next().is_some()
}

/// What helps now, most likely first; nothing where nothing is needed.
pub(crate) fn help(rollout: &RolloutView) -> Vec<Help> {
    let mut help: Vec<Help> = asking(rollout)
        .flat_map(|gate| {
            [
                Help::new(format!("cutover approve {}", gate.gate), "lets it pass"),
                Help::new(
                    format!("cutover approve {} --reject --reason TEXT", gate.gate),
                    "lets it fail: visitors go back",
                ),
            ]
        })
        .collect();
    let asked = !help.is_empty();
    let back = rollout.undo.is_some();
    if rollout.phase == Phase::Paused {
        help.push(Help::new("cutover resume", "lets it go on"));
    } else if needs_a_person(rollout) && !asked {
        help.push(Help::new("cutover resume", "tries again"));
        if !back && !rollout.promoted && rollout.gates.iter().any(stops) {
            help.push(Help::new("cutover promote --reason TEXT", "goes on in spite of the gates"));
        }
    }
    if !help.is_empty() && !back && rollout.blue.is_some() {
        help.push(Help::new("cutover rollback", "takes visitors back"));
    }
    help
}

/// Whether a gate keeps the rollout from going on.
fn stops(gate: &GateView) -> bool {
    gate.required && gate.verdict != Some(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::rollout::fixtures;

    fn commands(rollout: &RolloutView) -> Vec<String> {
        help(rollout).into_iter().map(|help| help.command).collect()
    }

    #[test]
    fn what_goes_on_by_itself_needs_no_command() {
        for rollout in [
            fixtures::holding(),
            fixtures::baking(),
            fixtures::going_back(),
            fixtures::rolled_back(),
            fixtures::done(),
            fixtures::superseded(),
        ] {
            assert_eq!(commands(&rollout), Vec::<String>::new(), "{:?}", rollout.phase);
            assert!(!needs_a_person(&rollout), "{:?}", rollout.phase);
        }
    }

    #[test]
    fn a_question_is_answered_and_a_pause_is_resumed() {
        let asked = fixtures::asking();
        assert!(needs_a_person(&asked));
        assert_eq!(
            commands(&asked),
            [
                "cutover approve sign-off",
                "cutover approve sign-off --reject --reason TEXT",
                "cutover rollback"
            ]
        );
        let paused = fixtures::paused();
        assert!(!needs_a_person(&paused));
        assert_eq!(commands(&paused), ["cutover resume", "cutover rollback"]);
    }

    #[test]
    fn over_gates_is_offered_only_where_a_gate_is_in_the_way() {
        let mut held = fixtures::held();
        assert!(needs_a_person(&held));
        assert_eq!(commands(&held), ["cutover resume", "cutover promote --reason TEXT", "cutover rollback"]);
        held.gates[0].verdict = Some(Verdict::Pass);
        assert_eq!(commands(&held), ["cutover resume", "cutover rollback"]);
        held.blue = None;
        assert_eq!(commands(&held), ["cutover resume"], "the first release has nothing to go back to");
    }
}
