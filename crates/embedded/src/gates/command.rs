//! The `run` gate: a command of the app's own that tries the release and exits 0 if it is good.
//!
//! Where results are named, they have to agree: the exit code alone passes nothing then.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use cutover_engine::control::Verdict;
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Found, GateTarget,
    results::{Expected, Form},
};
use crate::process::{Ended, Order, Shim, instance_marker, log, quoted};

/// How long a command may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of one log file.
const LOG_LIMIT: u64 = 8 << 20;
/// How many last lines a detail quotes.
const QUOTED_LINES: usize = 20;

/// What to run, and what it leaves.
pub(super) struct Command<'a> {
    pub(super) run: &'a str,
    pub(super) within: Duration,
    pub(super) junit: Option<&'a str>,
    pub(super) jtl: Option<&'a str>,
    /// The part of tests or samples that may fail.
    pub(super) max_failed: f64,
}

pub(super) async fn check(name: &str, command: &Command<'_>, target: &GateTarget) -> Found {
    let &Command { run, within, max_failed, .. } = command;
    let expected = match expected(command, target).await {
        Ok(expected) => expected,
        Err(why) => return Found::new(Verdict::Error, why),
    };
    let order = match order(name, run, target) {
        Ok(order) => order,
        Err(error) => return Found::new(Verdict::Error, format!("`{run}` cannot be prepared: {error}")),
    };
    let from = log::size(&order.log);
    let mut shim =
        match Shim::start(&PathBuf::from("/proc/self/exe"), &order, &environment(name, target)).await {
            Ok(shim) => shim,
            Err(problem) => return Found::new(Verdict::Error, format!("`{run}` cannot be run: {problem}")),
        };
    let ended = timeout(within, shim.ended()).await;
    let (verdict, what) = match ended {
        Ok(ended) => {
            shim.leave().await;
            let verdict = match ended {
                Ended::Code(0) => Verdict::Pass,
                // The shell did not find it or may not run it: nothing was checked.
                Ended::Code(126 | 127) | Ended::Signal(_) | Ended::Lost => Verdict::Error,
                Ended::Code(_) => Verdict::Fail,
            };
            (verdict, ended.to_string())
        }
        Err(_) => {
            shim.stop(GRACE).await;
            (Verdict::Fail, format!("did not end within {} s and was ended", within.as_secs_f64()))
        }
    };
    let mut detail = format!("`{run}` {what}");
    let verdict = match ended {
        // A command that was ended in the middle has not written all it would have.
        Ok(Ended::Code(code)) if !matches!(code, 126 | 127) => {
            judged(verdict, expected, max_failed, &mut detail).await
        }
        _ => verdict,
    };
    if verdict != Verdict::Pass {
        let lines = log::last_lines(&order.log, from, QUOTED_LINES);
        if lines.is_empty() {
            detail.push_str("; it wrote nothing");
        } else {
            detail.push_str(&format!("; {} ({})", quoted(&lines), order.log.display()));
        }
    }
    Found::new(verdict, detail)
}

async fn expected(command: &Command<'_>, target: &GateTarget) -> Result<Vec<Expected>, String> {
    let named = [(Form::Junit, command.junit), (Form::Jtl, command.jtl)];
    let named: Vec<(Form, String)> =
        named.into_iter().filter_map(|(form, pattern)| Some((form, pattern?.to_owned()))).collect();
    let dir = target.dir.clone();
    let look = move || named.iter().map(|(form, pattern)| Expected::before(*form, pattern, &dir)).collect();
    spawn_blocking(look)
        .await
        .unwrap_or_else(|error| Err(format!("results could not be looked for: {error}")))
}

/// What the results make of the exit code's verdict. Shown to be bad counts more than not shown.
async fn judged(exit: Verdict, expected: Vec<Expected>, max_failed: f64, detail: &mut String) -> Verdict {
    let read = move || expected.iter().map(|expected| expected.judge(max_failed)).collect::<Vec<_>>();
    let found = spawn_blocking(read).await.unwrap_or_else(|error| {
        vec![Found::new(Verdict::Error, format!("results could not be read: {error}"))]
    });
    let mut verdict = exit;
    for found in found {
        detail.push_str("; ");
        detail.push_str(&found.detail);
        verdict = match (verdict, found.verdict) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
            _ => Verdict::Error,
        };
    }
    verdict
}

fn order(name: &str, run: &str, target: &GateTarget) -> std::io::Result<Order> {
    Ok(Order {
        label: format!("{}/gate-{name}", target.release),
        note: String::new(),
        instance: instance_marker()?,
        dir: std::path::absolute(&target.dir)?,
        run: run.to_owned(),
        log: std::path::absolute(target.log_dir.join(format!("gate-{}.log", file_name(name))))?,
        log_limit: LOG_LIMIT,
        stop_ms: u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX),
        record: None,
    })
}

/// Gate names are free text.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect()
}

/// A gate is a tool of whoever runs Cutover: it sees that environment whole, unlike services.
fn environment(name: &str, target: &GateTarget) -> Vec<(OsString, OsString)> {
    let (cookie, value) = target.preview_cookie.split_once('=').unwrap_or_default();
    let mut env: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("CUTOVER_")).collect();
    env.extend(
        [
            ("CUTOVER_GATE", name),
            ("CUTOVER_RELEASE", target.release.as_str()),
            ("CUTOVER_HOST", &target.host),
            ("CUTOVER_URL", &target.url()),
            ("CUTOVER_PREVIEW_COOKIE", &target.preview_cookie),
            ("CUTOVER_PREVIEW_COOKIE_NAME", cookie),
            ("CUTOVER_PREVIEW_COOKIE_VALUE", value),
        ]
        .map(|(name, value)| (name.into(), value.into())),
    );
    env.extend(
        target
            .services
            .iter()
            .map(|(service, addr)| (variable(service).into(), format!("http://{addr}").into())),
    );
    env
}

/// The variable that tells where a service of the release answers; names are lower-case letters, digits and dashes.
fn variable(service: &str) -> String {
    format!("CUTOVER_SERVICE_{}", service.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_a_variable_each() {
        assert_eq!(variable("api"), "CUTOVER_SERVICE_API");
        assert_eq!(variable("cart-v2"), "CUTOVER_SERVICE_CART_V2");
    }

    #[test]
    fn a_gates_name_cannot_lead_its_log_elsewhere() {
        assert_eq!(file_name("../../etc/passwd"), "------etc-passwd");
        assert_eq!(file_name("e2e smoke_1"), "e2e-smoke_1");
    }
}
