//! What an earlier run left behind is ended by the next one, and nothing else is.

use std::{
    fs,
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    harness::tests,
    support::{World, eventually, lives, number_in, spawn_up},
};

tests![
    what_survived_a_kill_of_cutover_and_shim_is_ended_by_the_next_run,
    a_shim_that_is_still_ending_its_command_is_waited_for,
    a_process_that_only_has_the_pid_of_a_leftover_is_left_alone,
    without_leftovers_nothing_is_done,
];

async fn what_survived_a_kill_of_cutover_and_shim_is_ended_by_the_next_run() {
    let world = World::new();
    let run =
        "(setsid sh -c 'echo $$ > daemon; exec sleep 1000' >/dev/null 2>&1 &); echo $$ > pid; exec SERVE";
    let mut up = spawn_up(&world, run);
    let (daemon, leader) = (number_in(&world.file("daemon")), number_in(&world.file("pid")));
    let record = record(&world);
    let shim = Pid::from_raw(i32::try_from(record["shim"]["pid"].as_i64().unwrap()).unwrap());
    // Both at once, so that neither can act on the other's end.
    let up_pid = Pid::from_raw(i32::try_from(up.id()).unwrap());
    for (pid, signal) in [(up_pid, Signal::SIGSTOP), (shim, Signal::SIGKILL), (up_pid, Signal::SIGKILL)] {
        kill(pid, signal).unwrap();
    }
    up.wait().unwrap();
    eventually(|| {
        if lives(leader) { Err("the kernel ends the command with its shim") } else { Ok(()) }
            .map_err(str::to_owned)
    });
    assert!(lives(daemon), "a daemon is out of everybody's reach now");

    let supervisor = world.supervisor();
    let ended = supervisor.end_leftovers().await;
    assert!(!lives(daemon));
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (ended[0].label.as_str(), &ended[0].pids[..], &ended[0].left[..]),
        ("abcdefgh/api", &[daemon][..], &[][..])
    );
    assert_eq!(supervisor.end_leftovers().await, [], "once");
    let running = supervisor.start(world.spec("exec SERVE")).await.unwrap();
    assert!(lives(i32::try_from(running.pid).unwrap()));
    supervisor.stop_all().await;
}

async fn a_shim_that_is_still_ending_its_command_is_waited_for() {
    let world = World::new();
    let mut up = spawn_up(&world, "trap '' TERM; echo $$ > pid; exec SERVE");
    let stubborn = number_in(&world.file("pid"));
    kill(Pid::from_raw(i32::try_from(up.id()).unwrap()), Signal::SIGKILL).unwrap();
    up.wait().unwrap();
    assert!(lives(stubborn), "it has ten seconds");
    // The next run does not wait that long, nor does it start beside the old process.
    let supervisor = world.supervisor();
    let running = supervisor
        .start(world.spec("grep -qs '^State:.[^ZX]' /proc/$(cat pid)/status && touch overlap; exec SERVE"))
        .await
        .unwrap();
    assert!(!lives(stubborn));
    assert!(!world.file("overlap").exists());
    assert!(lives(i32::try_from(running.pid).unwrap()));
    supervisor.stop_all().await;
}

async fn a_process_that_only_has_the_pid_of_a_leftover_is_left_alone() {
    let world = World::new();
    let mut bystander = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pid = i32::try_from(bystander.id()).unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let started: u64 = stat[stat.rfind(')').unwrap() + 2..].split(' ').nth(19).unwrap().parse().unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let dir = world.state().join("run");
    fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, boot: &str, started: u64| {
        let process = serde_json::json!({ "pid": pid, "started": started });
        let record = serde_json::json!({
            "label": name, "boot": boot, "instance": "nobody-carries-this", "shim": process, "leader": process,
        });
        fs::write(dir.join(format!("{name}.json")), record.to_string()).unwrap();
    };
    write("another-start", boot.trim(), started - 1);
    write("another-boot", "before-the-restart", started);
    fs::write(dir.join("broken.json"), "{").unwrap();
    assert_eq!(world.supervisor().end_leftovers().await, []);
    assert!(lives(pid));
    assert!(!dir.join("another-start.json").exists() && !dir.join("another-boot.json").exists());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

async fn without_leftovers_nothing_is_done() {
    let world = World::new();
    assert_eq!(world.supervisor().end_leftovers().await, []);
    assert!(!world.state().exists());
}

fn record(world: &World) -> serde_json::Value {
    serde_json::from_slice(&fs::read(world.state().join("run/abcdefgh.api.json")).unwrap()).unwrap()
}
