//! Keeping one service up: the task that starts it, watches it, starts it again, and ends it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cutover_engine::{Error, ErrorKind};
use tokio::{sync::watch, time::sleep};

use super::{
    command::Ended,
    launch::{Launched, Launcher, Up},
    log,
    spec::{AddressChange, Backoff, ProcessState, ProcessStatus, Running, ServiceSpec},
};

/// Who wants to know of new addresses.
pub(super) type OnAddressChange = Arc<dyn Fn(AddressChange) + Send + Sync>;

/// What those who wait for a service are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not healthy, but it may become so.
    Pending,
    /// Healthy.
    Up(Running),
    /// Ended for good; nothing of it is left.
    Gone,
}

/// One supervised service, shared between its task and those who ask about it.
pub(super) struct Service {
    pub(super) spec: ServiceSpec,
    view: Mutex<View>,
    failure: Mutex<Option<Box<Error>>>,
    phase: watch::Sender<Phase>,
}

struct View {
    status: ProcessStatus,
    up_since: Option<Instant>,
}

impl Service {
    /// A service that nobody has started yet.
    pub(super) fn new(spec: ServiceSpec, launcher: &Launcher) -> Self {
        let status = ProcessStatus {
            release: spec.release,
            component: spec.component.clone(),
            state: ProcessState::Starting,
            addr: None,
            pid: None,
            restarts: 0,
            log: launcher.log(&spec),
            problem: None,
        };
        Self {
            spec,
            view: Mutex::new(View { status, up_since: None }),
            failure: Mutex::new(None),
            phase: watch::Sender::new(Phase::Pending),
        }
    }

    /// How it is now.
    pub(super) fn status(&self, backoff: &Backoff) -> ProcessStatus {
        let view = self.view();
        let mut status = view.status.clone();
        if view.up_since.is_some_and(|since| since.elapsed() >= backoff.forget_after) {
            status.problem = None;
        }
        status
    }

    /// Follows it.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Why its first start failed, or that it was stopped.
    pub(super) fn failure(&self) -> Error {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).as_deref().cloned();
        failure.unwrap_or_else(|| {
            let what =
                format!("service `{}` of release {} was stopped", self.spec.component, self.spec.release);
            Error::new(ErrorKind::Refused, "CUT0306", what).because("its release is being ended")
        })
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: ProcessState, change: impl FnOnce(&mut ProcessStatus)) {
        let mut view = self.view();
        view.status.state = state;
        if state != ProcessState::Healthy {
            view.up_since = None;
        } else if view.up_since.is_none() {
            view.up_since = Some(Instant::now());
        }
        change(&mut view.status);
    }
}

/// Says that a service is gone however its task ends, so that nobody waits for ever.
pub(super) struct Leaving<F: FnMut()> {
    pub(super) service: Arc<Service>,
    pub(super) forget: F,
}

impl<F: FnMut()> Drop for Leaving<F> {
    fn drop(&mut self) {
        (self.forget)();
        self.service.phase.send_replace(Phase::Gone);
    }
}

/// Keeps a service up until it is told to stop (or its supervisor is gone). A first start that fails is final: nobody
/// depends on the service yet. Later it is started again for as long as it takes.
pub(super) async fn keep(
    service: &Service,
    launcher: &Launcher,
    mut stop: watch::Receiver<bool>,
    changed: impl Fn(AddressChange),
) {
    let spec = &service.spec;
    let backoff = launcher.options.backoff;
    let mut last: Option<Running> = None;
    let mut failures = 0_u32;
    loop {
        let wanted = last.as_ref().map(|running| running.addr.port());
        let started = |pid| service.set(ProcessState::Starting, |status| status.pid = Some(pid));
        let problem = match launcher.launch(spec, wanted, &mut stop, started).await {
            Launched::Stopped => return,
            Launched::Failed(error) if last.is_none() => {
                *service.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
            Launched::Failed(error) => error.to_string(),
            Launched::Up(up) => {
                let running = up.running.clone();
                service.set(ProcessState::Healthy, |status| status.addr = Some(running.addr));
                service.phase.send_replace(Phase::Up(running.clone()));
                if last.as_ref().is_some_and(|last| last.addr != running.addr) {
                    changed(AddressChange {
                        release: spec.release,
                        component: spec.component.clone(),
                        addr: running.addr,
                    });
                }
                last = Some(running);
                let since = Instant::now();
                let Some(problem) = watch_over(service, *up, &mut stop).await else { return };
                if since.elapsed() >= backoff.forget_after {
                    failures = 0;
                }
                problem
            }
        };
        let pause = backoff.pause(failures);
        failures = failures.saturating_add(1);
        tracing::warn!(release = %spec.release, service = spec.component, problem, ?pause, "service will be started again");
        service.phase.send_replace(Phase::Pending);
        service.set(ProcessState::Waiting, |status| {
            status.pid = None;
            status.restarts = status.restarts.saturating_add(1);
            status.problem =
                Some(format!("{problem}; start {} after {} s", status.restarts + 1, pause.as_secs_f64()));
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = told_to_stop(&mut stop) => return,
        }
    }
}

/// Waits for the end of a healthy command: none where it was stopped, else what went wrong.
async fn watch_over(service: &Service, up: Up, stop: &mut watch::Receiver<bool>) -> Option<String> {
    let Up { mut shim, lease, running, log_from } = up;
    let since = Instant::now();
    let ended: Ended = tokio::select! {
        biased;
        () = told_to_stop(stop) => {
            service.set(ProcessState::Stopping, |_| {});
            shim.stop(service.spec.stop_timeout).await;
            drop(lease);
            return None;
        }
        ended = shim.ended() => ended,
    };
    shim.leave().await;
    let lived = Duration::from_millis(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut problem = format!("its command {ended} after {} s", lived.as_secs_f64());
    if ended == Ended::Code(0) {
        problem.push_str(" (it must stay in the foreground)");
    }
    if let Some(line) = log::last_lines(&running.log, log_from, 1).pop() {
        problem.push_str(&format!(", last log line: {line}"));
    }
    Some(problem)
}

/// Waits until a service is told to stop, or until nobody is left who could tell it.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
