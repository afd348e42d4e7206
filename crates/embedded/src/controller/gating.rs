//! Gates before visitors come: run through the edge by preview token, and remembered for exactly that release.

use std::sync::Arc;

use cutover_engine::{
    Error, ErrorKind,
    config::Gate,
    control::{GateResult, Progress, Verdict},
};
use cutover_routing::{ReleaseId, ReleaseState, Slot};

use super::{Inner, Loaded, address::reachable, missing, operation::Operation};
use crate::{
    gates::{GateTarget, run_gate},
    journal::{RecordKind, Write},
};

impl Inner {
    /// Runs the gates that have not passed yet; what was already known stands. Returns all results, and the error
    /// where a required gate has not passed.
    pub(super) async fn run_gates(
        self: &Arc<Self>,
        operation: &Operation,
        id: &ReleaseId,
        progress: &Progress,
    ) -> Result<(Vec<GateResult>, Result<(), Error>), Error> {
        let loaded = self.load(id).await?;
        let row = self.row(id).ok_or_else(|| missing(id))?;
        let open: Vec<&Gate> =
            loaded.snapshot.gates.iter().filter(|gate| !passed(&row.gates, &gate.name)).collect();
        if !open.is_empty() && self.current_table().state(id) == Some(ReleaseState::Closed) {
            return Err(Error::new(
                ErrorKind::Refused,
                "CUT0508",
                format!("release {id} is closed, so that its gates cannot be run"),
            )
            .hint("stage it again as another release, or promote it with --reason"));
        }
        let mut results = row.gates;
        if !open.is_empty() {
            let target = self.gate_target(id, &loaded, row.slot, row.base).await?;
            for gate in open {
                progress.say(format!("gate {}: running", gate.name));
                let result = run_gate(gate, &target).await;
                progress.say(format!("gate {}: {} ({})", gate.name, word(result.verdict), result.detail));
                results.retain(|known| known.name != gate.name);
                results.push(result.clone());
                self.remember(operation, id, &results, &result).await?;
            }
        }
        let verdict = judge(id, &loaded, &results);
        Ok((results, verdict))
    }

    async fn remember(
        &self,
        operation: &Operation,
        id: &ReleaseId,
        results: &[GateResult],
        newest: &GateResult,
    ) -> Result<(), Error> {
        let _held = self.switch.lock().await;
        let mut row = self.row(id).ok_or_else(|| missing(id))?;
        row.gates = results.to_vec();
        let message = format!("gate {}: {} ({})", newest.name, word(newest.verdict), newest.detail);
        let mut note = operation.record(RecordKind::Note, message, None);
        "gate".clone_into(&mut note.verb);
        note.release = Some(*id);
        self.write(Write { releases: vec![row.clone()], records: vec![note], ..Write::default() }).await?;
        self.change_world(|world| {
            world.rows.insert(*id, row);
        });
        Ok(())
    }

    async fn gate_target(
        &self,
        id: &ReleaseId,
        loaded: &Loaded,
        slot: Option<Slot>,
        dir: std::path::PathBuf,
    ) -> Result<GateTarget, Error> {
        let (cookie, _) = self.preview_cookie(id, cutover_routing::MAX_PREVIEW_SECS).await?;
        Ok(GateTarget {
            edge: reachable(self.edge.local_addr()),
            tls: self.options.config.edge.tls.is_some(),
            host: self.options.config.host.clone(),
            release: *id,
            preview_cookie: cookie,
            services: self.addresses(id, slot, loaded),
            dir,
            log_dir: self.options.state_dir.join("logs").join(id.as_str()),
        })
    }
}

fn passed(results: &[GateResult], gate: &str) -> bool {
    results.iter().any(|result| result.name == gate && result.verdict == Verdict::Pass)
}

/// Only `pass` of every required gate lets visitors come.
fn judge(id: &ReleaseId, loaded: &Loaded, results: &[GateResult]) -> Result<(), Error> {
    let mut obstacles = Vec::new();
    for gate in loaded.snapshot.gates.iter().filter(|gate| gate.required && !passed(results, &gate.name)) {
        obstacles.push(match results.iter().find(|result| result.name == gate.name) {
            Some(result) => format!("gate {}: {} ({})", gate.name, word(result.verdict), result.detail),
            None => format!("gate {}: has not been run", gate.name),
        });
    }
    if obstacles.is_empty() {
        return Ok(());
    }
    let mut error = Error::new(
        ErrorKind::Failed,
        "CUT0509",
        format!("release {id} has not passed its required gates; no visitor was sent to it"),
    );
    for obstacle in obstacles {
        error = error.because(obstacle);
    }
    Err(error
        .hint(format!("look at it: `cutover preview {id}`"))
        .hint("promote it all the same with --reason; the reason is recorded"))
}

/// The required gates that have not passed, for the record of a promotion over them.
pub(super) fn skipped(loaded: &Loaded, results: &[GateResult]) -> Vec<String> {
    let open = loaded.snapshot.gates.iter().filter(|gate| gate.required && !passed(results, &gate.name));
    open.map(|gate| gate.name.clone()).collect()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Insufficient => "insufficient",
        Verdict::Error => "error",
    }
}
