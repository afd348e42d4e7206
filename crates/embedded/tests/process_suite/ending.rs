//! A service ends: asked first, killed at its deadline, and never outliving who started it.

use std::{fs, time::Duration};

use cutover_embedded::process::{ProcessState, Supervisor};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, getsid},
};

use crate::{
    harness::tests,
    support::{World, eventually, get, lives, number_in, options, spawn_up, try_get},
};

tests![
    a_stopped_service_is_asked_first_and_may_finish,
    whoever_ignores_the_request_is_killed_at_the_deadline,
    daemons_and_children_of_a_service_end_with_it,
    a_service_that_keeps_forking_is_ended_whole,
    what_a_crashed_command_left_running_is_ended_before_the_next_start,
    stopping_one_release_leaves_the_others,
    a_stopped_service_can_be_started_again,
    a_dropped_supervisor_ends_its_services,
    a_killed_cutover_leaves_nothing,
    a_terminals_interrupt_does_not_reach_services,
    a_full_log_begins_afresh_and_keeps_one_older_half,
];

/// Starts a process that has left the session, the process group and its parents: only its ancestry is known to the
/// kernel, through the shim.
const DAEMON: &str = "(setsid sh -c 'echo $$ > daemon; exec sleep 1000' >/dev/null 2>&1 &)";

async fn a_stopped_service_is_asked_first_and_may_finish() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "trap 'echo finished; kill $!; exit 0' TERM; SERVE & wait";
    let running = supervisor.start(world.spec(run)).await.unwrap();
    supervisor.stop_all().await;
    assert!(try_get(running.addr, "/pid").is_err());
    let log = fs::read_to_string(&running.log).unwrap();
    assert!(log.lines().any(|line| line == "finished"), "{log}");
    assert_eq!(fs::read_dir(world.state().join("run")).unwrap().count(), 0, "no record of what has ended");
    assert_eq!(world.processes(), [] as [i32; 0]);
}

async fn whoever_ignores_the_request_is_killed_at_the_deadline() {
    let world = World::new();
    let supervisor = world.supervisor();
    let mut spec = world.spec("trap '' TERM; sleep 1000 & exec SERVE");
    spec.stop_timeout = Duration::from_millis(300);
    let running = supervisor.start(spec.clone()).await.unwrap();
    supervisor.stop_release(&spec.release).await;
    assert!(!lives(i32::try_from(running.pid).unwrap()));
    assert_eq!(supervisor.status(&spec.release), []);
    assert_eq!(world.processes(), [] as [i32; 0]);
}

async fn daemons_and_children_of_a_service_end_with_it() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = format!("{DAEMON}; (sleep 1000 & echo $! > child); exec SERVE");
    supervisor.start(world.spec(&run)).await.unwrap();
    let (daemon, child) = (number_in(&world.file("daemon")), number_in(&world.file("child")));
    assert!(lives(daemon) && lives(child));
    assert_ne!(getsid(Some(Pid::from_raw(daemon))), getsid(Some(Pid::from_raw(child))));
    supervisor.stop_all().await;
    assert!(!lives(daemon) && !lives(child));
    assert_eq!(world.processes(), [] as [i32; 0]);
}

async fn a_service_that_keeps_forking_is_ended_whole() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "(trap '' TERM; while :; do (setsid sleep 1000 &); sleep 0.005; done) & exec SERVE";
    let mut spec = world.spec(run);
    spec.stop_timeout = Duration::from_millis(300);
    supervisor.start(spec).await.unwrap();
    eventually(|| match world.processes().len() {
        count if count > 10 => Ok(()),
        count => Err(format!("{count} processes")),
    });
    supervisor.stop_all().await;
    assert_eq!(world.processes(), [] as [i32; 0]);
}

async fn what_a_crashed_command_left_running_is_ended_before_the_next_start() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "if [ -e helper ]; then grep -qs '^State:.[^ZX]' /proc/$(cat helper)/status && echo alive > overlap; else sleep 1000 & echo $! > helper; fi; exec SERVE";
    let spec = world.spec(run);
    let running = supervisor.start(spec.clone()).await.unwrap();
    let helper = number_in(&world.file("helper"));
    let _ = try_get(running.addr, "/exit");
    eventually(|| match supervisor.status(&spec.release).as_slice() {
        [status] if status.restarts == 1 && status.state == ProcessState::Healthy => Ok(()),
        status => Err(format!("{status:?}")),
    });
    assert!(!lives(helper));
    assert!(!world.file("overlap").exists());
    supervisor.stop_all().await;
}

async fn stopping_one_release_leaves_the_others() {
    let world = World::new();
    let supervisor = world.supervisor();
    let blue = world.spec("exec SERVE");
    let mut green = blue.clone();
    green.release = "bcdefghi".parse().unwrap();
    let (kept, ended) = tokio::join!(supervisor.start(blue.clone()), supervisor.start(green.clone()));
    let (kept, ended) = (kept.unwrap(), ended.unwrap());
    assert_ne!(kept.addr, ended.addr);
    supervisor.stop_release(&green.release).await;
    assert!(try_get(ended.addr, "/pid").is_err());
    assert_eq!(get(kept.addr, "/pid"), kept.pid.to_string());
    assert_eq!(supervisor.status(&green.release), []);
    assert_eq!(supervisor.status(&blue.release).len(), 1);
    supervisor.stop_all().await;
}

async fn a_stopped_service_can_be_started_again() {
    let world = World::new();
    let supervisor = world.supervisor();
    let spec = world.spec("exec SERVE");
    let first = supervisor.start(spec.clone()).await.unwrap();
    // The second start comes while the first process is still ending, and waits for it.
    let (again, ()) = tokio::join!(
        async {
            while supervisor.status(&spec.release).iter().any(|status| status.state != ProcessState::Stopping)
            {
                tokio::task::yield_now().await;
            }
            supervisor.start(spec.clone()).await.unwrap()
        },
        supervisor.stop_release(&spec.release),
    );
    assert_ne!(again.pid, first.pid);
    supervisor.stop_all().await;
}

async fn a_dropped_supervisor_ends_its_services() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = format!("{DAEMON}; exec SERVE");
    supervisor.start(world.spec(&run)).await.unwrap();
    let daemon = number_in(&world.file("daemon"));
    drop(supervisor);
    world.wait_until_empty();
    assert!(!lives(daemon));
}

async fn a_killed_cutover_leaves_nothing() {
    let world = World::new();
    let mut up = spawn_up(&world, &format!("{DAEMON}; (sleep 1000 &); exec SERVE"));
    let daemon = number_in(&world.file("daemon"));
    assert!(world.processes().len() >= 4, "shim, server, child, daemon");
    kill(Pid::from_raw(i32::try_from(up.id()).unwrap()), Signal::SIGKILL).unwrap();
    up.wait().unwrap();
    world.wait_until_empty();
    assert!(!lives(daemon));
    assert_eq!(fs::read_dir(world.state().join("run")).unwrap().count(), 0);
}

async fn a_terminals_interrupt_does_not_reach_services() {
    let world = World::new();
    let supervisor = world.supervisor();
    let running = supervisor.start(world.spec("exec SERVE")).await.unwrap();
    let pid = Pid::from_raw(i32::try_from(running.pid).unwrap());
    assert_ne!(getsid(Some(pid)).unwrap(), getsid(None).unwrap());
    supervisor.stop_all().await;
}

async fn a_full_log_begins_afresh_and_keeps_one_older_half() {
    let world = World::new();
    let mut options = options(&world.state());
    options.log_limit = 20_000;
    let supervisor = Supervisor::new(options);
    let run = "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo line $i; done; exec SERVE";
    let running = supervisor.start(world.spec(run)).await.unwrap();
    supervisor.stop_all().await;
    let older = running.log.with_extension("log.1");
    for file in [&running.log, &older] {
        assert!(fs::metadata(file).unwrap().len() <= 20_000, "{}", file.display());
    }
    assert_eq!(fs::read_dir(running.log.parent().unwrap()).unwrap().count(), 2);
    let text = fs::read_to_string(&older).unwrap() + &fs::read_to_string(&running.log).unwrap();
    assert!(text.contains("line 5000\n"), "the newest is kept");
    let numbers: Vec<u32> =
        text.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "nothing is lost in between");
}
