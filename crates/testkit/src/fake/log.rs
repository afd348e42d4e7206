//! What happened in a world, in order: what the invariants are checked on.

use std::{fmt::Write as _, sync::Arc};

use cutover_engine::ports::Fence;
use cutover_rollout::{Act, Record, RolloutId, judge::Verdict};
use cutover_routing::{ReleaseId, Table};

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When, Unix milliseconds of the world's own time.
    pub at: u64,
    /// Which controller did it, or for which it was done.
    pub who: usize,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// A controller started.
    Started,
    /// It was killed.
    Died,
    /// It stopped for a while without knowing, and will go on at this time.
    Frozen(u64),
    /// It got the lease.
    Leads(u64),
    /// An operator said something; the answer in words.
    Said(String),
    /// Records were appended.
    Appended {
        /// To which rollout.
        rollout: RolloutId,
        /// Under which epoch.
        epoch: u64,
        /// What.
        records: Vec<Record>,
    },
    /// An append did not take place.
    NotAppended(String),
    /// A call was about to be sent.
    Called {
        /// Its number, from 0.
        call: u64,
        /// What it asks for.
        act: Act,
        /// With which right.
        fence: Fence,
        /// The number of appends there were.
        appends: u64,
    },
    /// A call took effect.
    Landed {
        /// Which.
        call: u64,
        /// What it asked for.
        act: Act,
        /// With which right.
        fence: Fence,
        /// Whether anything is different now.
        changed: bool,
        /// The routing table afterwards.
        table: Arc<Table>,
        /// What is wrong with it, seen at that moment.
        wrong: Option<String>,
    },
    /// The far side refused a call.
    TurnedAway {
        /// Which.
        call: u64,
        /// Why.
        why: String,
    },
    /// A call was answered.
    Answered {
        /// Which.
        call: u64,
        /// How, in words.
        how: String,
    },
    /// Something was looked at: a read back, edges, health, traffic, gates.
    Read,
    /// A gate has spoken.
    Judged {
        /// Of which release.
        release: ReleaseId,
        /// Which.
        gate: String,
        /// What.
        verdict: Verdict,
    },
    /// What the watched gates and the health of green would say changed: whether all is well from now on.
    Well(bool),
    /// An edge took over a table.
    Edge {
        /// Which.
        edge: usize,
        /// The table.
        table: Arc<Table>,
    },
}

impl Entry {
    /// Whether it is about an effect, or about who acts: what a recount needs.
    pub fn counts(&self) -> bool {
        !matches!(self.what, What::Read | What::Edge { .. } | What::Well(_) | What::Said(_))
    }

    /// As one line, for people.
    pub fn line(&self) -> String {
        let mut line = format!("{:>9.3} c{} ", self.since(), self.who);
        let written = match &self.what {
            What::Appended { rollout, epoch, records } => {
                let _ = write!(line, "appended {rollout} e{epoch}:");
                for record in records {
                    let body = serde_json::to_string(&record.body).unwrap_or_default();
                    let _ = write!(line, " {}", body.chars().take(160).collect::<String>());
                }
                Ok(())
            }
            What::Called { call, act, fence, .. } => {
                write!(line, "call {call} {act:?} e{} until {}", fence.epoch, since(fence.until))
            }
            What::Landed { call, act, changed, table, wrong, .. } => {
                let generation = table.generation;
                write!(line, "landed {call} {act:?} changed={changed} generation {generation} {wrong:?}")
            }
            What::Edge { edge, table } => write!(line, "edge {edge} has {}", table.to_compact()),
            other => write!(line, "{other:?}"),
        };
        let _ = written;
        line
    }

    fn since(&self) -> f64 {
        since(self.at)
    }
}

fn since(at: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let seconds = at.saturating_sub(super::time::BEGINNING) as f64 / 1_000.0;
    seconds
}
