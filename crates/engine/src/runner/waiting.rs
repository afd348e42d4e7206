//! When to look next, and when to wake.

use std::sync::Arc;

use cutover_rollout::{Does, Stage};

use super::{driver::Driver, effects::Answer, looking};
use crate::ports::Ports;

impl<P: Ports> Driver<P> {
    pub(super) fn look(&mut self) {
        let Some(now) = &self.now else { return };
        let watchers = self.watchers.take().unwrap_or_default();
        let (ports, options) = (Arc::clone(&self.ports), self.options.clone());
        let (state, answers) = (now.state.clone(), self.answers.0.clone());
        let task = tokio::spawn(async move {
            let looked = looking::look(&*ports, &options, &state, watchers).await;
            let _ = answers.send(Answer::Looked(looked));
        });
        self.looking = Some(task.abort_handle());
    }

    /// When to look next; none: nothing is waited for that a look would show.
    pub(super) fn look_due(&self) -> Option<u64> {
        let state = self.now.as_ref().map(|now| &now.state).filter(|state| state.ended.is_none())?;
        let step = state.step();
        let waits = matches!(
            step.map(|step| &step.does),
            Some(Does::Converge | Does::Hold { .. } | Does::Quiet { .. })
        );
        let visited =
            matches!(step.map(|step| &step.stage), Some(Stage::Shift { .. } | Stage::Promote | Stage::Bake));
        let steady = (waits || (visited && !state.going_back())).then_some(self.look_at);
        // A time the machine named is not to be looked for again and again while it is past.
        let named = state.wake().map(|at| at.max(self.look_at));
        steady.into_iter().chain(named).min()
    }

    pub(super) fn wake(&self) -> u64 {
        if self.deposed.is_some() {
            return u64::MAX;
        }
        let look = self.look_due().filter(|_| self.looking.is_none());
        let renew = (!self.renewing).then_some(self.renew_at);
        [look, renew, self.again_at].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}
