//! Made-up visitors, for apps with too few real ones: the same requests to both releases, side by side.
//!
//! What they meet is evidence only where the app's owner asked for it (`low_traffic = "synthetic"`), and it is marked as
//! made up wherever it is shown. They come by preview, so that the edge never takes them for visitors.

use std::{sync::Arc, time::Duration};

use cutover_engine::{ports::Visited, rollout::judge::Arm};
use tokio::task::JoinSet;

use super::{
    GateTarget,
    caller::{Caller, Outcome, Route},
};

/// The longest an answer may take; it is a failure then.
const PATIENCE: Duration = Duration::from_secs(10);
/// Visitors at the same time.
const AT_ONCE: u64 = 4;

/// Lets each of `visitors` made-up visitors GET all `paths` on green, and as many others on blue, in turns: whoever goes
/// first changes with each. An answer fails as it does for visitors (5xx, or none that is whole) and is slow when its
/// head takes longer than `slow_over`.
///
/// `first` is the number of the first visitor: numbers that were used before in the same hold make the same visitors.
/// Dropping the future ends the visits.
///
/// # Errors
/// Why nothing can be said: a release that does not answer through its preview, or an edge that is not reached. Of a
/// broken attempt nothing is counted.
pub async fn visits(
    green: &GateTarget,
    blue: &GateTarget,
    paths: &[String],
    first: u64,
    visitors: u32,
    slow_over: Duration,
) -> Result<Vec<Visited>, String> {
    if paths.is_empty() {
        return Err("there is no path to visit".to_owned());
    }
    let plan = Arc::new(Plan {
        green: Route::new(green)?,
        blue: Route::new(blue)?,
        paths: paths.to_vec(),
        slow_over,
    });
    let last = first.saturating_add(u64::from(visitors));
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        let plan = Arc::clone(&plan);
        lanes.spawn(async move {
            let mut visits = Vec::new();
            for visitor in (first..last).skip(lane as usize).step_by(AT_ONCE as usize) {
                let arms = if visitor % 2 == 0 { [Arm::Green, Arm::Blue] } else { [Arm::Blue, Arm::Green] };
                for arm in arms {
                    visits.push(plan.visit(arm, visitor).await?);
                }
            }
            Ok::<_, String>(visits)
        });
    }
    let mut all = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        all.extend(lane.map_err(|error| format!("a visit ended early: {error}"))??);
    }
    all.sort_by_key(|visit| (visit.visitor, visit.arm == Arm::Green));
    Ok(all)
}

struct Plan {
    green: Arc<Route>,
    blue: Arc<Route>,
    paths: Vec<String>,
    slow_over: Duration,
}

impl Plan {
    /// One visitor on one release, over a connection of their own.
    async fn visit(&self, arm: Arm, visitor: u64) -> Result<Visited, String> {
        let (route, number) = match arm {
            Arm::Green => (&self.green, visitor * 2),
            Arm::Blue => (&self.blue, visitor * 2 + 1),
        };
        let mut caller = Caller::new(route, &format!("cutover-visitor/{number}"));
        let mut visit = Visited { arm, visitor: number, requests: 0, failed: 0, slow: 0 };
        for path in &self.paths {
            let outcome = caller.get(path, PATIENCE).await;
            visit.requests += 1;
            match outcome {
                Outcome::Answered { status, head } => {
                    visit.failed += u32::from(status.is_server_error());
                    visit.slow += u32::from(head > self.slow_over);
                }
                Outcome::Failed(_) => visit.failed += 1,
                Outcome::Unreachable(why) | Outcome::Foreign(why) => return Err(why),
            }
        }
        Ok(visit)
    }
}
