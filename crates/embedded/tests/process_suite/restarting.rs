//! A service that was up and ends is started again, and everybody can see how often and why.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use cutover_embedded::process::{AddressChange, ProcessState, ProcessStatus, ServiceSpec, Supervisor};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    harness::tests,
    support::{World, eventually, get, lives, number_in, options, try_get},
};

tests![
    a_service_that_ends_is_started_again,
    a_new_address_is_told,
    a_crash_loop_is_visible_and_never_given_up,
    a_killed_shim_takes_its_command_along_and_the_service_comes_back,
    a_service_that_goes_to_the_background_after_it_was_up_is_explained,
    starting_a_service_that_is_down_waits_for_it,
    a_service_waiting_for_its_next_start_can_be_stopped,
];

fn status_when(
    supervisor: &Supervisor,
    spec: &ServiceSpec,
    wanted: impl Fn(&ProcessStatus) -> bool,
) -> ProcessStatus {
    eventually(|| match supervisor.status(&spec.release).as_slice() {
        [status] if wanted(status) => Ok(status.clone()),
        status => Err(format!("{status:?}")),
    })
}

async fn a_service_that_ends_is_started_again() {
    let world = World::new();
    let supervisor = world.supervisor();
    let spec = world.spec("exec SERVE");
    let first = supervisor.start(spec.clone()).await.unwrap();
    let _ = try_get(first.addr, "/exit");
    let status = status_when(&supervisor, &spec, |status| {
        status.restarts == 1 && status.state == ProcessState::Healthy
    });
    assert_ne!(status.pid, Some(first.pid));
    assert_eq!(get(status.addr.unwrap(), "/pid"), status.pid.unwrap().to_string());
    let problem = status.problem.unwrap();
    assert!(problem.contains("exit code 7") && problem.contains("going down"), "{problem}");
    supervisor.stop_all().await;
}

async fn a_new_address_is_told() {
    let world = World::new();
    let mut options = options(&world.state());
    options.backoff.first = Duration::from_millis(500);
    options.backoff.cap = options.backoff.first;
    let supervisor = Supervisor::new(options);
    let told: Arc<Mutex<Vec<AddressChange>>> = Arc::default();
    let sink = Arc::clone(&told);
    supervisor.on_address_change(move |change| sink.lock().unwrap().push(change));
    let spec = world.spec("exec SERVE");
    let first = supervisor.start(spec.clone()).await.unwrap();
    let _ = try_get(first.addr, "/exit");
    // Somebody takes the port before it comes back.
    let _taken = eventually(|| TcpListener::bind(first.addr).map_err(|error| error.to_string()));
    let status = status_when(&supervisor, &spec, |status| {
        status.restarts >= 1 && status.state == ProcessState::Healthy
    });
    let addr: SocketAddr = status.addr.unwrap();
    assert_ne!(addr, first.addr);
    let change = AddressChange { release: spec.release, component: "api".into(), addr };
    eventually(|| match told.lock().unwrap().as_slice() {
        [one] if *one == change => Ok(()),
        told => Err(format!("{told:?}")),
    });
    supervisor.stop_all().await;
}

async fn a_crash_loop_is_visible_and_never_given_up() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "if [ -e mended ] || [ ! -e once ]; then touch once; exec SERVE; fi; echo no licence; exit 3";
    let spec = world.spec(run);
    let first = supervisor.start(spec.clone()).await.unwrap();
    let _ = try_get(first.addr, "/exit");
    let status = status_when(&supervisor, &spec, |status| {
        status.restarts >= 4 && status.state == ProcessState::Waiting
    });
    let problem = status.problem.unwrap();
    assert!(problem.contains("exit code 3") && problem.contains("no licence"), "{problem}");
    assert_eq!(status.pid, None);
    fs::write(world.file("mended"), "").unwrap();
    let status = status_when(&supervisor, &spec, |status| status.state == ProcessState::Healthy);
    assert!(get(status.addr.unwrap(), "/healthz").contains("fine"));
    supervisor.stop_all().await;
}

async fn a_killed_shim_takes_its_command_along_and_the_service_comes_back() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "(setsid sh -c 'echo $$ >> daemons; exec sleep 1000' >/dev/null 2>&1 &); exec SERVE";
    let spec = world.spec(run);
    let first = supervisor.start(spec.clone()).await.unwrap();
    let daemon = number_in(&world.file("daemons"));
    let shim = nix::unistd::Pid::from_raw(parent_of(i32::try_from(first.pid).unwrap()));
    kill(shim, Signal::SIGKILL).unwrap();
    let status = status_when(&supervisor, &spec, |status| {
        status.restarts == 1 && status.state == ProcessState::Healthy
    });
    assert!(!lives(daemon) && !lives(i32::try_from(first.pid).unwrap()));
    assert!(status.problem.unwrap().contains("shim"));
    supervisor.stop_all().await;
}

fn parent_of(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    let parent = line.trim().parse().unwrap();
    assert_ne!(Pid::from_raw(parent), nix::unistd::getpid(), "the shim is between the two");
    parent
}

async fn a_service_that_goes_to_the_background_after_it_was_up_is_explained() {
    let world = World::new();
    let supervisor = world.supervisor();
    let spec = world.spec("setsid SERVE & until [ -e go ]; do sleep 0.01; done");
    supervisor.start(spec.clone()).await.unwrap();
    fs::write(world.file("go"), "").unwrap();
    let problem = status_when(&supervisor, &spec, |status| status.restarts >= 1).problem.unwrap();
    assert!(problem.contains("exit code 0") && problem.contains("foreground"), "{problem}");
    supervisor.stop_all().await;
}

async fn starting_a_service_that_is_down_waits_for_it() {
    let world = World::new();
    let supervisor = world.supervisor();
    let spec = world.spec("exec SERVE");
    let first = supervisor.start(spec.clone()).await.unwrap();
    kill(Pid::from_raw(i32::try_from(first.pid).unwrap()), Signal::SIGKILL).unwrap();
    status_when(&supervisor, &spec, |status| status.restarts == 1);
    let again = supervisor.start(spec.clone()).await.unwrap();
    assert_ne!(again.pid, first.pid);
    assert_eq!(get(again.addr, "/pid"), again.pid.to_string());
    assert!(status_when(&supervisor, &spec, |_| true).problem.unwrap().contains("SIGKILL"));
    supervisor.stop_all().await;
}

async fn a_service_waiting_for_its_next_start_can_be_stopped() {
    let world = World::new();
    let mut options = options(&world.state());
    options.backoff.first = Duration::from_secs(3600);
    options.backoff.cap = options.backoff.first;
    let supervisor = Supervisor::new(options);
    let mut spec = world.spec("exec SERVE");
    let first = supervisor.start(spec.clone()).await.unwrap();
    let _ = try_get(first.addr, "/exit");
    status_when(&supervisor, &spec, |status| status.state == ProcessState::Waiting);
    spec.start_timeout = Duration::from_millis(100);
    let error = supervisor.start(spec.clone()).await.unwrap_err();
    assert!(error.to_string().contains("exit code 7"), "{error}");
    supervisor.stop(&spec.release, "api").await;
    assert_eq!(supervisor.status(&spec.release), []);
}
