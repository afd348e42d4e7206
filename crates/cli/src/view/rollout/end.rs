//! How waiting for a release ended.

use cutover_engine::control::{Phase, RolloutView};
use cutover_routing::ReleaseId;
use serde::Serialize;

use super::{
    help::{self, Help},
    place, said,
};
use crate::{
    failure::Exit,
    view::{View, page::Page, text},
};

/// How a `wait` ended.
#[derive(Debug, Serialize)]
pub(crate) struct Waited {
    /// The release waited for.
    pub(crate) release: ReleaseId,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// One sentence for a person.
    pub(crate) message: String,
    /// Which commands help, where a person is needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) help: Vec<Help>,
    /// The rollout as it was seen last; none where the release never had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<Box<RolloutView>>,
}

/// The ends of a `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The release is what everybody gets, and its bake is over.
    Active,
    /// A person is needed.
    Held,
    /// Visitors were taken back, or it was withdrawn before they came.
    RolledBack,
    /// A later one has taken its place.
    Superseded,
    /// Nothing was decided in time.
    TimedOut,
    /// Whoever waited does not wait any longer.
    Interrupted,
}

impl Outcome {
    /// What a rollout has come to, if it has: as soon as visitors are where they will stay, not only when all is
    /// settled behind them.
    pub(crate) fn of(rollout: &RolloutView) -> Option<Self> {
        if rollout.superseded_by.is_some() || rollout.phase == Phase::Superseded {
            return Some(Self::Superseded);
        }
        if rollout.undo.is_some() || rollout.phase == Phase::RolledBack {
            let back = rollout.share == 0 && !rollout.promoted;
            return (back || rollout.phase == Phase::RolledBack).then_some(Self::RolledBack);
        }
        if rollout.baked || rollout.phase == Phase::Done {
            return Some(Self::Active);
        }
        help::needs_a_person(rollout).then_some(Self::Held)
    }

    /// The exit code that says so.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Active => Exit::Done,
            Self::Held => Exit::Held,
            Self::RolledBack => Exit::RolledBack,
            Self::Superseded => Exit::Superseded,
            Self::TimedOut => Exit::TimedOut,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

impl Waited {
    /// The end of waiting for a rollout. `longest`: how long was waited at most, milliseconds.
    pub(crate) fn for_rollout(rollout: RolloutView, outcome: Outcome, longest: u64) -> Self {
        let green = rollout.green;
        let at = place(&rollout);
        let message = match outcome {
            Outcome::Active => format!("{green} is active"),
            Outcome::Held => format!("the rollout of {green} is held at {at}"),
            Outcome::RolledBack => match &rollout.undo {
                Some(why) => format!("{green} was {}", said("rolled back", &text::one_line(why))),
                None => format!("{green} was rolled back"),
            },
            Outcome::Superseded => match &rollout.superseded_by {
                Some(by) => format!("{green} was superseded by rollout {by}"),
                None => format!("{green} was superseded"),
            },
            Outcome::TimedOut => format!(
                "{green} was not promoted and baked within {}; its rollout is at {at}",
                text::span(longest)
            ),
            Outcome::Interrupted => {
                format!("nobody waits any longer; the rollout of {green} goes on at {at}")
            }
        };
        let help = if outcome == Outcome::Held { help::help(&rollout) } else { Vec::new() };
        Self { release: green, outcome, message, help, rollout: Some(Box::new(rollout)) }
    }

    /// The end of waiting for a release that never had a rollout.
    pub(crate) fn for_release(release: ReleaseId, outcome: Outcome, longest: u64) -> Self {
        let message = match outcome {
            Outcome::Active => format!("{release} is active"),
            Outcome::Held => format!("{release} needs a person"),
            Outcome::RolledBack => format!("{release} was rolled back or withdrawn"),
            Outcome::Superseded => format!("{release} was superseded"),
            Outcome::TimedOut => format!("{release} did not become active in {}", text::span(longest)),
            Outcome::Interrupted => format!("nobody waits any longer for {release}"),
        };
        Self { release, outcome, message, help: Vec::new(), rollout: None }
    }
}

impl View for Waited {
    fn human(&self, page: &mut Page) {
        page.line(&self.message);
        for line in help::lines(&self.help) {
            page.line(format_args!("  {line}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::Output,
        view::{render, rollout::fixtures},
    };

    #[test]
    fn a_rollout_has_ended_as_soon_as_visitors_are_where_they_stay() {
        for (rollout, outcome) in [
            (fixtures::preparing(), None),
            (fixtures::testing(), None),
            (fixtures::holding(), None),
            (fixtures::starved(), None),
            (fixtures::paused(), None),
            (fixtures::baking(), None),
            (fixtures::going_back(), None),
            (fixtures::held(), Some(Outcome::Held)),
            (fixtures::asking(), Some(Outcome::Held)),
            (fixtures::draining(), Some(Outcome::Active)),
            (fixtures::done(), Some(Outcome::Active)),
            (fixtures::back(), Some(Outcome::RolledBack)),
            (fixtures::rolled_back(), Some(Outcome::RolledBack)),
            (fixtures::superseded(), Some(Outcome::Superseded)),
        ] {
            assert_eq!(Outcome::of(&rollout), outcome, "{:?} {:?}", rollout.phase, rollout.step);
        }
    }

    #[test]
    fn what_goes_wrong_after_the_bake_is_no_success() {
        let promoted_and_left =
            RolloutView { undo: Some("bob asked for it".to_owned()), ..fixtures::draining() };
        assert_eq!(Outcome::of(&promoted_and_left), None, "visitors are still on it");
        let left = RolloutView { promoted: false, share: 0, ..promoted_and_left };
        assert_eq!(Outcome::of(&left), Some(Outcome::RolledBack));
    }

    fn read(rollout: RolloutView, outcome: Outcome) -> String {
        let text = render(&Waited::for_rollout(rollout, outcome, 900_000), Output::Human, Page::at(0));
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn each_end_is_told_in_a_sentence() {
        let all = [
            (fixtures::done(), Outcome::Active),
            (fixtures::held(), Outcome::Held),
            (fixtures::asking(), Outcome::Held),
            (fixtures::back(), Outcome::RolledBack),
            (fixtures::superseded(), Outcome::Superseded),
            (fixtures::starved(), Outcome::TimedOut),
            (fixtures::holding(), Outcome::Interrupted),
        ];
        let text: String = all.into_iter().map(|(rollout, outcome)| read(rollout, outcome)).collect();
        insta::assert_snapshot!(text, @r"
        bbbbbbbb is active
        the rollout of bbbbbbbb is held at shift 1 of 1: 5%; gate errors has not enough evidence after 2m
          cutover resume                 tries again
          cutover promote --reason TEXT  goes on in spite of the gates
          cutover rollback               takes visitors back
        the rollout of bbbbbbbb is held at shift 1 of 1: 5%; a person's answer at sign-off
          cutover approve sign-off                         lets it pass
          cutover approve sign-off --reject --reason TEXT  lets it fail: visitors go back
          cutover rollback                                 takes visitors back
        bbbbbbbb was rolled back: gate errors: green fails more often
        bbbbbbbb was superseded by rollout ro-8
        bbbbbbbb was not promoted and baked within 15m; its rollout is at shift 1 of 1: 5%; 1m48s to go, not counting: errors: too few visitors so far
        nobody waits any longer; the rollout of bbbbbbbb goes on at shift 1 of 1: 5%; 48s to go
        ");
    }

    #[test]
    fn programs_read_outcome_message_help_and_the_rollout() {
        let waited = Waited::for_rollout(fixtures::held(), Outcome::Held, 0);
        let json = serde_json::to_value(&waited).unwrap();
        assert_eq!(json["outcome"], "held");
        assert_eq!(json["help"][0]["command"], "cutover resume");
        assert_eq!(json["rollout"]["phase"], "held");
        let json = serde_json::to_value(Waited::for_release(waited.release, Outcome::TimedOut, 5)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "release": "bbbbbbbb", "outcome": "timed-out", "message": "bbbbbbbb did not become active in 5ms" })
        );
    }
}
