//! Gates before visitors come: run through the edge by preview token, and remembered for exactly that release.

use cutover_engine::{
    Error, ErrorKind,
    config::{Gate, GateAt},
    control::{GateResult, Verdict},
};
use cutover_routing::{ReleaseId, ReleaseState};

use super::{Inner, Loaded, address::reachable, missing, operation::Operation};
use crate::{
    gates::GateTarget,
    journal::{RecordKind, ReleaseRow, Write},
};

impl Inner {
    /// Keeps what a gate has found, for the release and in the history.
    pub(super) async fn remember(
        &self,
        operation: &Operation,
        id: &ReleaseId,
        newest: &GateResult,
    ) -> Result<(), Error> {
        let _held = self.switch.lock().await;
        let mut row = self.row(id).ok_or_else(|| missing(id))?;
        row.gates.retain(|known| known.name != newest.name);
        row.gates.push(newest.clone());
        let message = format!("gate {}: {} ({})", newest.name, word(newest.verdict), newest.detail);
        let note = operation.record(RecordKind::Note, message, None);
        self.write(Write { releases: vec![row.clone()], records: vec![note], ..Write::default() }).await?;
        self.change_world(|world| {
            world.rows.insert(*id, row);
        });
        Ok(())
    }

    /// Refuses to judge a closed release by gates that have not passed: they could not reach it.
    pub(super) async fn judgeable(&self, row: &ReleaseRow) -> Result<(), Error> {
        let loaded = self.load(&row.id).await?;
        let closed = self.current_table().state(&row.id) == Some(ReleaseState::Closed);
        if closed && before_traffic(&loaded).any(|gate| !passed(&row.gates, &gate.name)) {
            return Err(Error::new(
                ErrorKind::Refused,
                "CUT0508",
                format!("release {} is closed, so that its gates cannot be run", row.id),
            )
            .hint("stage it again as another release, or promote it with --reason"));
        }
        Ok(())
    }

    pub(super) async fn gate_target(
        &self,
        id: &ReleaseId,
        dir: std::path::PathBuf,
    ) -> Result<GateTarget, Error> {
        let loaded = self.load(id).await?;
        let slot = self.row(id).and_then(|row| row.slot);
        let (cookie, _) = self.preview_cookie(id, cutover_routing::MAX_PREVIEW_SECS).await?;
        Ok(GateTarget {
            edge: reachable(self.edge.local_addr()),
            tls: self.options.config.edge.tls.is_some(),
            host: self.options.config.host.clone(),
            release: *id,
            preview_cookie: cookie,
            services: self.addresses(id, slot, &loaded),
            dir,
            log_dir: self.options.state_dir.join("logs").join(id.as_str()),
        })
    }
}

fn passed(results: &[GateResult], gate: &str) -> bool {
    results.iter().any(|result| result.name == gate && result.verdict == Verdict::Pass)
}

/// The gates that run before any visitor comes.
fn before_traffic(loaded: &Loaded) -> impl Iterator<Item = &Gate> {
    loaded.snapshot.gates.iter().filter(|gate| gate.at.contains(&GateAt::BeforeTraffic))
}

/// Why no visitor was sent to a release, where a gate before traffic said so.
pub(super) fn not_passed(id: &ReleaseId, obstacles: &[String]) -> Error {
    let mut error = Error::new(
        ErrorKind::Failed,
        "CUT0509",
        format!("release {id} has not passed its required gates; no visitor was sent to it"),
    );
    for obstacle in obstacles {
        error = error.because(obstacle);
    }
    error
        .hint(format!("look at it: `cutover preview {id}`"))
        .hint("promote it all the same with --reason; the reason is recorded")
}

/// The required gates before traffic that have not passed, for the record of a promotion over them.
pub(super) fn skipped(loaded: &Loaded, results: &[GateResult]) -> Vec<String> {
    let open = before_traffic(loaded).filter(|gate| gate.required && !passed(results, &gate.name));
    open.map(|gate| gate.name.clone()).collect()
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Insufficient => "insufficient",
        Verdict::Error => "error",
    }
}
