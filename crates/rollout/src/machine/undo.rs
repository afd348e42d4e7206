//! The steps of the way back, from wherever a rollout is.
//!
//! One routing write sends everybody back. What follows ends green's visits and gives back what it needed.

use super::State;
use crate::{Act, Change, Does, Stage, Step};

/// The way back from a state.
pub(super) fn steps(state: &State, close: bool) -> Vec<Step> {
    let green = state.plan.green;
    let mut steps = Vec::new();
    let mut add = |stage: Stage, does: Does| steps.push(Step { stage, does });
    let route = |change: Change| Does::Act(Act::Route(change));
    match state.plan.blue {
        Some(blue) if state.routed => {
            if state.parked {
                add(Stage::Return, Does::Act(Act::Prepare { release: blue }));
            }
            add(Stage::Return, route(Change::Rollback { to: blue, close }));
            add(Stage::Return, Does::Converge);
            if !close {
                add(Stage::Drain, Does::Quiet { release: green, closed: false });
            }
            add(Stage::Close, route(Change::Close { release: green }));
            add(Stage::Close, Does::Converge);
            add(Stage::Close, Does::Quiet { release: green, closed: true });
        }
        _ if state.routed || close => {
            add(Stage::Close, route(Change::Close { release: green }));
            add(Stage::Close, Does::Converge);
        }
        // No visitor and no table ever saw it: it stays staged.
        _ => {}
    }
    add(Stage::Settle, Does::Act(Act::Park { release: green }));
    steps
}
