//! What the controller counts, beside what the edge does.

use std::fmt::Write;

use cutover_routing::ReleaseState;

use super::{Inner, locked};

impl Inner {
    pub(super) async fn metrics_text(&self) -> String {
        let mut text = self.edge.metrics();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let table = self.current_table();
        let mut gauge = |name: &str, help: &str, lines: &[(String, u64)]| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let plain = |value: u64| vec![(String::new(), value)];
        gauge(
            "cutover_controller_generation",
            "Generation of the routing table in the journal.",
            &plain(table.generation),
        );
        let states: Vec<(String, u64)> = ReleaseState::ALL
            .into_iter()
            .map(|state| {
                let count = table.releases.values().filter(|entry| entry.state == state).count();
                (format!("{{state=\"{state}\"}}"), u64::try_from(count).unwrap_or(u64::MAX))
            })
            .collect();
        gauge("cutover_controller_releases", "Releases in the routing table by state.", &states);
        let problems = u64::try_from(locked(&self.problems).len()).unwrap_or(u64::MAX);
        gauge("cutover_controller_problems", "Kinds of trouble a person should know of.", &plain(problems));
        let rollout = self.runner().ok().and_then(cutover_engine::runner::Rollouts::now);
        let state = rollout.as_ref().map(|now| &now.state);
        let open = u64::from(state.is_some_and(|state| state.ended.is_none()));
        gauge("cutover_rollout_open", "1 while a rollout is in progress.", &plain(open));
        let held = u64::from(state.is_some_and(|state| state.held.is_some() || state.paused.is_some()));
        gauge("cutover_rollout_waits_for_a_person", "1 while a rollout is held or paused.", &plain(held));
        let started = self.opened_at / 1000;
        gauge(
            "cutover_controller_start_time_seconds",
            "When the controller started, Unix seconds.",
            &plain(started),
        );
        let restarts: Vec<(String, u64)> = table
            .releases
            .keys()
            .flat_map(|id| self.supervisor.status(id))
            .map(|status| {
                let labels = format!("{{release=\"{}\",component=\"{}\"}}", status.release, status.component);
                (labels, u64::from(status.restarts))
            })
            .collect();
        gauge(
            "cutover_service_restarts",
            "Times a service was started again since it was first asked for.",
            &restarts,
        );
        text
    }
}
