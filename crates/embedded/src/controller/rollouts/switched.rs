//! What a write of the routing table did, in words and in numbers.

use std::time::Duration;

use cutover_engine::{control::SwitchReport, rollout::Change};
use cutover_routing::{ReleaseId, ReleaseState, Table};

use crate::controller::{Inner, gating::skipped, locked, promote::shown};

/// Open streams of a release that is closed end within this time at the latest.
const STREAMS_END: Duration = Duration::from_secs(60);

/// So many switches are remembered for what the next one may take.
const REMEMBERED: usize = 8;

impl Inner {
    /// Notes what a switch did, and words it; none where the history has no line for it.
    pub(super) async fn switched(
        &self,
        change: &Change,
        before: &Table,
        generation: u64,
        took_us: u64,
        verb: &str,
    ) -> Option<String> {
        let after = self.current_table();
        let from = before.default;
        let message = match change {
            Change::Promote { release } => {
                let mut text = match from {
                    Some(from) if after.state(&from) == Some(ReleaseState::Closed) => {
                        format!(
                            "{release} is active in {}; {from}, whose files are damaged, is closed",
                            shown(took_us)
                        )
                    }
                    Some(from) => format!("{release} is active in {}; {from} drains", shown(took_us)),
                    None => format!("{release} is active in {}; it is the first release", shown(took_us)),
                };
                if let (Ok(loaded), Some(row)) = (self.load(release).await, self.row(release)) {
                    let over = skipped(&loaded, &row.gates);
                    if !over.is_empty() {
                        text.push_str(&format!(
                            "; promoted over gates that have not passed: {}",
                            over.join(", ")
                        ));
                    }
                }
                text
            }
            Change::Rollback { to, .. } if verb == "withdraw" => {
                let green = self.rolling.ledger.known().map(|known| known.state.plan.green.to_string());
                format!("withdrew {} and went back to {to} in {}", green.unwrap_or_default(), shown(took_us))
            }
            Change::Rollback { to, .. } => match from.filter(|from| from != to) {
                Some(from) => {
                    let left = match after.state(&from) {
                        Some(ReleaseState::Closed) => "is closed",
                        _ => "drains",
                    };
                    format!("back on {to} in {}; {from} {left}", shown(took_us))
                }
                None => {
                    let candidates =
                        before.releases.iter().filter(|(_, entry)| entry.state == ReleaseState::Candidate);
                    let names: Vec<String> = candidates.map(|(id, _)| id.to_string()).collect();
                    format!("all visitors on {to} in {}; given up: {}", shown(took_us), names.join(", "))
                }
            },
            Change::Close { release } if verb == "withdraw" => {
                format!("withdrew {release}: nobody is sent to it any more")
            }
            Change::Close { release } => self.closed(release),
            Change::Candidate { .. } | Change::Audience { .. } | Change::Share { .. } => return None,
        };
        if matches!(change, Change::Promote { .. } | Change::Rollback { .. }) {
            let mut times = locked(&self.rolling.times);
            times.push(took_us);
            let surplus = times.len().saturating_sub(REMEMBERED);
            times.drain(..surplus);
        }
        *locked(&self.rolling.switched) = Some(SwitchReport {
            verb: verb.to_owned(),
            from,
            to: after.default,
            changed: true,
            generation,
            took_us,
            message: message.clone(),
        });
        Some(message)
    }

    /// Closing ends what is still open, spread over a while so that those who come back do not come at once.
    fn closed(&self, release: &ReleaseId) -> String {
        let quiet = self.governing().rollout.drain.quiet;
        let streams = self.edge.usage(release).open_streams;
        if streams == 0 {
            return format!("closed {release}: nobody uses it");
        }
        let over = quiet.min(STREAMS_END);
        let ended = self.edge.end_streams(release, over);
        format!("closed {release}: its {ended} open streams are ended within {} s", over.as_secs())
    }
}
