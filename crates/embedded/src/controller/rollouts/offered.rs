//! The ports for whoever tries them from outside.

use cutover_engine::ports::Ports;

use super::LocalPorts;
use crate::controller::Embedded;

impl Embedded {
    /// The ports of this machine, for the suites that say what every implementation of a port has to do.
    ///
    /// What is written through them is in force like everything else that is written, and the journal refuses it like
    /// everything else: under an epoch older than the newest that the lease was given with. No rollout knows of it, so
    /// that the housekeeping takes the releases it touches for nobody's. The probe counts on the edge that the rollouts'
    /// own probe counts on: only one of them can watch.
    pub fn rollout_ports(&self) -> impl Ports + use<> {
        LocalPorts::new(&self.inner)
    }
}
