//! What visitors read when no release can serve: the active release's own text, or one that a person put in its place
//! during an outage, which holds until another release is active.

use cutover_engine::{Error, ErrorKind, config::OutageConfig};
use cutover_routing::ReleaseId;
use serde::{Deserialize, Serialize};

use super::{
    Embedded, Inner, locked,
    operation::{Operation, SELF},
};
use crate::journal::{LastSwitch, RecordKind, Write};

/// Name of the value in the journal that holds the text.
pub(super) const META: &str = "outage";

/// A text put in the place of the active release's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Override {
    /// What was active when it was given.
    active: Option<ReleaseId>,
    /// How that had become active: a release that comes back brings its own text.
    switch: Option<LastSwitch>,
    outage: OutageConfig,
}

impl Embedded {
    /// Replaces what visitors read when no release can serve, until another release becomes active. Survives restarts.
    /// The edge shows it at once. Returns false where exactly this text was in force already.
    ///
    /// # Errors
    /// Where it cannot be written down; it is shown all the same, because an outage is when disks are full.
    pub async fn override_outage(&self, outage: OutageConfig) -> Result<bool, Error> {
        self.run(|inner| async move { inner.override_outage(outage).await }).await
    }
}

impl Inner {
    async fn override_outage(&self, outage: OutageConfig) -> Result<bool, Error> {
        let _held = self.switch.lock().await;
        if self.outage() == outage {
            return Ok(false);
        }
        let (active, switch) = self.with_world(|world| (world.table.default, world.last_switch.clone()));
        let new = Override { active, switch, outage };
        let text = serde_json::to_string(&new).map_err(|error| {
            Error::new(ErrorKind::Internal, "CUT0604", "the outage text cannot be written").because(error)
        })?;
        let message = format!("the outage page says: {}", new.outage.message);
        *locked(&self.outage_override) = Some(new);
        self.apply_outage();
        let note = Operation::new(SELF, "outage", active, None)?.record(RecordKind::Note, message, None);
        self.write_for(true, Write { meta: vec![(META, text)], records: vec![note], ..Write::default() })
            .await?;
        Ok(true)
    }

    /// The text in force.
    fn outage(&self) -> OutageConfig {
        let (active, switch) = self.with_world(|world| (world.table.default, world.last_switch.clone()));
        let given = locked(&self.outage_override).clone();
        given
            .filter(|given| given.active == active && given.switch == switch)
            .map_or_else(|| self.governing().outage, |given| given.outage)
    }

    /// Hands the text in force to the edge.
    pub(super) fn apply_outage(&self) {
        let OutageConfig { message, contacts } = self.outage();
        self.edge.set_outage(cutover_edge::Outage { message, contacts, ..cutover_edge::Outage::default() });
    }
}
