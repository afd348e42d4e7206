//! The edge as a router: one write of the routing table is in the journal first, then in force, then read back.

use std::{sync::Arc, time::Instant};

use cutover_engine::{
    Error, ErrorKind,
    control::Outside,
    ports::{Call, Capabilities, Fence, Observed, Router, Trouble},
    rollout::{Cause, Change, Millis, Seen},
};
use cutover_routing::{Edit, EditRefused, ReleaseId, ReleaseState, Table, edit};

use super::{Home, Known, ledger::why_back};
use crate::{
    controller::{
        Inner,
        commit::{self, Switch, refused},
        locked,
        operation::{Operation, SELF},
        publish::NOT_PUBLISHED,
        unix_ms,
    },
    journal::{FENCED, LastSwitch, ReleaseRow},
};

/// The edge of this machine.
#[derive(Debug)]
pub(in super::super) struct EdgeRouter(pub(super) Home);

impl Router for EdgeRouter {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shares: true,
            pins: true,
            audiences: true,
            least_share: 0,
            settles: Millis(0),
            fenced: true,
        }
    }

    async fn observe(&self) -> Result<Observed, Error> {
        let Some(inner) = self.0.inner() else {
            return Err(Error::new(ErrorKind::Unavailable, "CUT0607", "the program is ending"));
        };
        let converged = inner.edge.publication().map(|known| known.table.generation);
        Ok(Observed { table: Table::clone(&inner.current_table()), converged })
    }

    fn plan(&self, change: &Change) -> Vec<Call> {
        let (does, reverse) = match change {
            Change::Candidate { release } => {
                (format!("let {release} hold visitors; nobody is sent to it yet"), "cutover rollback")
            }
            Change::Audience { name, release } => {
                (format!("send audience {name} to {release}"), "cutover rollback")
            }
            Change::Share { release, width } => {
                let share = cutover_engine::rollout::To::Share(*width);
                (format!("send {share} of the visitors to {release}"), "cutover rollback")
            }
            Change::Promote { release } => (format!("make {release} the default"), "cutover rollback"),
            Change::Rollback { to, .. } => (format!("make {to} the default again"), "cutover promote"),
            Change::Close { release } => (format!("close {release}"), "cutover rollback"),
        };
        let meanwhile = "nothing: requests under way finish on the table they began with".to_owned();
        vec![Call {
            does: format!("write the routing table: {does}"),
            reverse: reverse.to_owned(),
            meanwhile,
        }]
    }

    async fn apply(&self, change: &Change, fence: Fence) -> Result<u64, Trouble> {
        let (inner, change) = (self.0.get()?, change.clone());
        // Journal and edge must not differ: it goes on to its end although nobody waits any more.
        let routed = tokio::spawn(async move { inner.route(&change, fence).await });
        routed.await.unwrap_or_else(|error| Err(Trouble::Unknown(error.to_string())))
    }

    async fn verify(&self, change: &Change) -> Seen {
        let Some(inner) = self.0.inner() else {
            return Seen::Unknown { why: "the program is ending".to_owned() };
        };
        // Behind whoever is writing.
        let _held = inner.switch.lock().await;
        let table = inner.current_table();
        match edits(&table, change) {
            Ok(edits) if edits.is_empty() => Seen::InPlace { generation: Some(table.generation) },
            Ok(_) | Err(_) => Seen::Absent,
        }
    }
}

/// The edits that a change takes in the table as it is; none: it is in place.
fn edits(table: &Table, change: &Change) -> Result<Vec<Edit>, EditRefused> {
    let edits = match change {
        Change::Candidate { release } => match table.state(release) {
            Some(ReleaseState::Closed) => {
                vec![Edit::Reopen { release: *release }, Edit::MakeCandidate { release: *release }]
            }
            _ => vec![change.edit()],
        },
        Change::Promote { release } => match table.state(release) {
            Some(ReleaseState::Staged) => vec![Edit::MakeCandidate { release: *release }, change.edit()],
            Some(ReleaseState::Closed) => vec![Edit::Reopen { release: *release }, change.edit()],
            _ => vec![change.edit()],
        },
        // Whatever is out of the table serves nobody.
        Change::Close { release } if table.state(release).is_none() => Vec::new(),
        _ => vec![change.edit()],
    };
    let mut next = table.clone();
    for one in &edits {
        match edit(&next, one, next.generation + 1) {
            Ok(edited) => next = edited,
            Err(EditRefused::NoChange(_)) => return Ok(Vec::new()),
            Err(why) => return Err(why),
        }
    }
    Ok(edits)
}

/// Whose a switch is, as the history tells it.
struct Whose {
    verb: &'static str,
    who: String,
    reason: Option<String>,
}

impl Inner {
    async fn route(self: Arc<Self>, change: &Change, fence: Fence) -> Result<u64, Trouble> {
        let switch = self.switch.lock().await;
        let result = self.route_held(&switch, change, fence).await;
        match &result {
            // What is left may be what the edge cannot serve, e.g. because its files are damaged. The way back is worth
            // more than the pages that are open on it.
            Err(error) if error.code == NOT_PUBLISHED => {
                if let Change::Rollback { to, close: false } = change {
                    let closing = Change::Rollback { to: *to, close: true };
                    return self.route_held(&switch, &closing, fence).await.map_err(trouble);
                }
            }
            _ => {}
        }
        result.map_err(trouble)
    }

    async fn route_held(
        self: &Arc<Self>,
        switch: &Switch<'_>,
        change: &Change,
        fence: Fence,
    ) -> Result<u64, Error> {
        let table = self.current_table();
        let edits = edits(&table, change).map_err(refused)?;
        let began = locked(&self.rolling.accepted).take().unwrap_or_else(Instant::now);
        if edits.is_empty() {
            return Ok(table.generation);
        }
        let known = self.rolling.ledger.known();
        let barred =
            release_of(change).and_then(|release| self.row(&release)).is_some_and(|row| row.barred.is_some());
        let mut whose = whose(known.as_ref(), change, barred);
        if let (Change::Promote { .. }, Some(known)) = (change, &known) {
            let asked = self.rolling.asked(&known.state.plan.rollout);
            whose.reason = whose.reason.or(asked.and_then(|asked| asked.reason));
        }
        let mut routing = commit::Change {
            begin: matches!(change, Change::Promote { .. } | Change::Rollback { .. } | Change::Close { .. }),
            edits,
            fence: Some(fence.epoch),
            ..commit::Change::default()
        };
        let release = match change {
            Change::Rollback { .. } if whose.verb == "withdraw" => table.default,
            Change::Rollback { to, .. } => Some(*to),
            _ => release_of(change),
        };
        let mut operation = Operation::new(&whose.who, whose.verb, release, whose.reason)?;
        operation.began = began;
        self.add_rows(&mut routing, change, &table, known.as_ref(), &operation).await?;
        if unix_ms() > fence.until {
            let what = "there was no time left to write the routing table";
            return Err(Error::new(ErrorKind::Unavailable, "CUT0531", what));
        }
        self.pass(crate::controller::CrashPoint::BeforeApply).await;
        let generation = match self.commit(switch, &operation, routing).await {
            Ok(generation) => generation,
            Err(error) => return Err(self.fail(&operation, false, error).await),
        };
        let took_us = operation.took_us();
        let message = self.switched(change, &table, generation, took_us, whose.verb).await;
        if let Some(message) = message {
            self.end(&operation, message, Some(generation)).await;
        }
        let in_force = self.edge.publication().map(|known| known.table.generation);
        if in_force != Some(generation) {
            let what = format!("the edge runs generation {in_force:?}, not {generation}");
            return Err(Error::new(ErrorKind::Internal, "CUT0599", what));
        }
        Ok(generation)
    }

    /// What changes beside the table.
    async fn add_rows(
        self: &Arc<Self>,
        routing: &mut commit::Change,
        change: &Change,
        table: &Table,
        known: Option<&Known>,
        operation: &Operation,
    ) -> Result<(), Error> {
        let now = unix_ms();
        let withdrawn = operation.verb == "withdraw";
        match change {
            Change::Promote { release } => {
                if let Some(mut row) = self.row(release) {
                    row.promoted_at = Some(now);
                    row.outside = None;
                    routing.rows.push(row);
                }
                if let Some(from) = table.default
                    && self.is_damaged(&from).await
                {
                    // Nobody is held on what has lost files.
                    routing.edits.push(Edit::Close { release: from });
                }
                routing.last_switch =
                    Some(LastSwitch { from: table.default, to: *release, promotion: true, at: now });
            }
            Change::Rollback { to, close } => {
                let mut row = self.row(to).ok_or_else(|| crate::controller::missing(to))?;
                if table.default != Some(*to) {
                    self.ready_again(to, row.slot).await?;
                    if let Some(from) = table.default
                        && !close
                        && self.is_damaged(&from).await
                    {
                        routing.edits = vec![Edit::Rollback { to: *to, close: true }];
                    }
                    routing.last_switch =
                        Some(LastSwitch { from: table.default, to: *to, promotion: false, at: now });
                }
                row.outside = None;
                routing.rows.push(row);
                if let Some(known) = known.filter(|_| withdrawn) {
                    routing.rows.extend(self.withdrawn(&known.state.plan.green, operation));
                }
            }
            Change::Close { release } => {
                if withdrawn {
                    routing.rows.extend(self.withdrawn(release, operation));
                } else if let Some(mut row) = self.row(release) {
                    let warm = known.is_some_and(|known| {
                        known.keeps_warm()
                            && known.state.plan.blue == Some(*release)
                            && !known.state.going_back()
                    });
                    row.outside = warm.then_some(Outside::Standby).or(row.outside);
                    routing.rows.push(row);
                }
            }
            Change::Candidate { release } => {
                if let Some(mut row) = self.row(release) {
                    row.outside = None;
                    routing.rows.push(row);
                }
            }
            Change::Audience { .. } | Change::Share { .. } => {}
        }
        Ok(())
    }

    fn withdrawn(&self, release: &ReleaseId, operation: &Operation) -> Option<ReleaseRow> {
        let mut row = self.row(release)?;
        let why = operation.reason.clone().unwrap_or_else(|| format!("withdrawn by {}", operation.who));
        row.barred.get_or_insert(why);
        row.outside = Some(Outside::Withdrawn);
        Some(row)
    }
}

fn release_of(change: &Change) -> Option<ReleaseId> {
    match change {
        Change::Candidate { release }
        | Change::Audience { release, .. }
        | Change::Share { release, .. }
        | Change::Promote { release }
        | Change::Close { release } => Some(*release),
        Change::Rollback { to, .. } => Some(*to),
    }
}

fn whose(known: Option<&Known>, change: &Change, barred: bool) -> Whose {
    let own = |verb| Whose { verb, who: SELF.to_owned(), reason: None };
    let Some(known) = known else { return own("rollout") };
    let back = |verb| match known.cause() {
        Some(Cause::Operator { by, reason, withdraw }) => {
            Whose { verb: if *withdraw { "withdraw" } else { verb }, who: by.clone(), reason: reason.clone() }
        }
        Some(cause) => Whose { verb, who: SELF.to_owned(), reason: Some(why_back(cause)) },
        None => own(verb),
    };
    match change {
        Change::Promote { .. } => {
            let (who, reason) = known.forced.clone().unwrap_or_else(|| (known.opened_by.clone(), None));
            Whose { verb: "promote", who, reason }
        }
        Change::Rollback { .. } => back("rollback"),
        Change::Close { .. } => {
            let withdraws = matches!(known.cause(), Some(Cause::Operator { withdraw: true, .. }));
            // Where visitors had to be sent back for it, that write has barred it already.
            if withdraws && !barred { back("close") } else { own("close") }
        }
        Change::Candidate { .. } | Change::Audience { .. } | Change::Share { .. } => own("rollout"),
    }
}

fn trouble(error: Error) -> Trouble {
    let why = error.to_string();
    match (error.code.as_str(), error.kind) {
        // The table, the edge, or a newer controller says no; and would say it again.
        ("CUT0505" | NOT_PUBLISHED | FENCED, _) => Trouble::Lasting(why),
        // The disk, the journal's readers, services that have to come up.
        ("CUT0605" | "CUT0531" | "CUT0607" | "CUT0507", _) => Trouble::Passing(why),
        (_, ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Invalid) => Trouble::Lasting(why),
        _ => Trouble::Unknown(why),
    }
}
