//! A service starts: what it is given, when it counts as healthy, and what is said when it never is.

use std::{
    fs,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use cutover_embedded::process::ProcessState;
use cutover_engine::ErrorKind;

use crate::{
    harness::tests,
    support::{World, eventually, get, lives, number_in},
};

tests![
    a_service_gets_its_port_its_names_its_data_directory_and_its_own_variables,
    the_environment_of_cutover_itself_is_not_inherited,
    a_service_is_up_only_once_its_health_path_answers,
    without_a_health_path_an_accepted_connection_is_enough,
    a_service_that_listens_on_ipv6_only_is_found_there,
    a_command_that_ends_early_is_reported_with_its_last_lines,
    a_command_that_is_not_found_is_explained,
    a_command_that_goes_to_the_background_is_explained_and_ended,
    a_service_that_never_becomes_healthy_is_reported_with_its_last_lines_and_ended,
    a_service_on_another_port_is_told_which_one_it_should_use,
    a_port_held_by_a_stranger_is_named_after_other_ports_were_tried,
    a_port_lost_in_a_race_is_replaced,
    an_address_in_use_is_tried_again_with_another_port,
    a_missing_directory_is_reported,
    a_state_directory_that_cannot_be_written_is_reported,
    starting_what_runs_changes_nothing,
    two_starts_at_once_make_one_process,
    a_start_that_is_given_up_leaves_nothing,
];

async fn a_service_gets_its_port_its_names_its_data_directory_and_its_own_variables() {
    let world = World::new();
    let supervisor = world.supervisor();
    let mut spec = world.spec("pwd; exec SERVE");
    spec.env = [("MODE", "test"), ("PORT", "1"), ("PATH", &std::env::var("PATH").unwrap())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let running = supervisor.start(spec.clone()).await.unwrap();
    let env = get(running.addr, "/env");
    let data = world.state().join("data/api");
    for line in [
        "MODE=test".to_owned(),
        format!("PORT={}", running.addr.port()),
        "CUTOVER_RELEASE=abcdefgh".to_owned(),
        "CUTOVER_COMPONENT=api".to_owned(),
        format!("CUTOVER_DATA={}", data.display()),
    ] {
        assert!(env.lines().any(|found| found == line), "{line} is missing in\n{env}");
    }
    assert!(data.is_dir());
    assert_eq!(get(running.addr, "/pid"), running.pid.to_string());
    assert_eq!(running.log, world.state().join("logs/abcdefgh/api.log"));
    let log = fs::read_to_string(&running.log).unwrap();
    assert!(log.contains(world.dir.path().join("service").to_str().unwrap()), "{log}");
    let [status] = <[_; 1]>::try_from(supervisor.status(&spec.release)).unwrap();
    assert_eq!(
        (status.state, status.addr, status.pid, status.restarts, status.problem),
        (ProcessState::Healthy, Some(running.addr), Some(running.pid), 0, None)
    );
    supervisor.stop_all().await;
}

async fn the_environment_of_cutover_itself_is_not_inherited() {
    let world = World::new();
    let supervisor = world.supervisor();
    let running = supervisor.start(world.spec("exec SERVE")).await.unwrap();
    let allowed = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "PORT",
        "CUTOVER_RELEASE",
        "CUTOVER_COMPONENT",
        "CUTOVER_DATA",
        "CUTOVER_INSTANCE",
        // set by the shell itself
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    ];
    for line in get(running.addr, "/env").lines() {
        let name = line.split('=').next().unwrap();
        assert!(allowed.contains(&name) || name.starts_with("LC_"), "{line}");
    }
    supervisor.stop_all().await;
}

async fn a_service_is_up_only_once_its_health_path_answers() {
    let world = World::new();
    let supervisor = world.supervisor();
    let running = supervisor.start(world.spec("exec SERVE --sick=3")).await.unwrap();
    assert_eq!(get(running.addr, "/probes"), "4");
    supervisor.stop_all().await;
}

async fn without_a_health_path_an_accepted_connection_is_enough() {
    let world = World::new();
    let supervisor = world.supervisor();
    let mut spec = world.spec("exec SERVE");
    spec.health = None;
    let running = supervisor.start(spec).await.unwrap();
    assert_eq!(get(running.addr, "/probes"), "0");
    supervisor.stop_all().await;
}

async fn a_service_that_listens_on_ipv6_only_is_found_there() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // a machine without IPv6
    }
    let world = World::new();
    let supervisor = world.supervisor();
    let running = supervisor.start(world.spec("exec SERVE --listen=[::1]:PORT")).await.unwrap();
    assert!(running.addr.is_ipv6());
    assert_eq!(get(running.addr, "/pid"), running.pid.to_string());
    supervisor.stop_all().await;
}

async fn a_command_that_ends_early_is_reported_with_its_last_lines() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = r"i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo out $i; done; printf '\033[31mno database\033[0m\n' >&2; exit 3";
    let spec = world.spec(run);
    let error = supervisor.start(spec.clone()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Failed, "CUT0302"));
    assert!(error.message.contains("`api`") && error.message.contains("abcdefgh"), "{error}");
    assert!(error.causes[0].contains("exit code 3"), "{error}");
    let lines: Vec<&str> = error.causes[1].lines().skip(1).collect();
    assert_eq!((lines.len(), lines[0], lines[19]), (20, "  | out 12", "  | no database"), "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("api.log")), "{:?}", error.hints);
    assert_eq!(supervisor.status(&spec.release), []);
    world.wait_until_empty();
}

async fn a_command_that_is_not_found_is_explained() {
    let world = World::new();
    let error = world.supervisor().start(world.spec("surely-no-such-command")).await.unwrap_err();
    assert!(error.causes[0].contains("exit code 127"), "{error}");
    assert!(error.hints[0].contains("PATH"), "{:?}", error.hints);
}

async fn a_command_that_goes_to_the_background_is_explained_and_ended() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "setsid SERVE --sick=1000000 & echo $! > pid";
    let error = supervisor.start(world.spec(run)).await.unwrap_err();
    assert_eq!(error.code, "CUT0302", "{error}");
    assert!(error.hints[0].contains("foreground"), "{:?}", error.hints);
    assert!(!lives(number_in(&world.file("pid"))));
    world.wait_until_empty();
}

async fn a_service_that_never_becomes_healthy_is_reported_with_its_last_lines_and_ended() {
    let world = World::new();
    let supervisor = world.supervisor();
    let mut spec = world.spec("echo warming up; exec SERVE --sick=1000000");
    spec.start_timeout = Duration::from_millis(700);
    let error = supervisor.start(spec).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Failed, "CUT0303"));
    assert!(error.causes[0].contains("GET /healthz answered 503"), "{error}");
    assert!(error.causes[1].contains("warming up"), "{error}");
    assert!(error.hints[0].contains("health"), "{:?}", error.hints);
    world.wait_until_empty();
}

async fn a_service_on_another_port_is_told_which_one_it_should_use() {
    let world = World::new();
    let mut spec = world.spec("exec SERVE --listen=127.0.0.1:0");
    spec.start_timeout = Duration::from_millis(700);
    let error = world.supervisor().start(spec).await.unwrap_err();
    assert_eq!(error.code, "CUT0303");
    assert!(error.causes[0].contains("nothing accepts connections"), "{error}");
    assert!(
        error.hints[0].contains("it listens on 127.0.0.1:") && error.hints[0].contains("PORT"),
        "{:?}",
        error.hints
    );
}

async fn a_port_held_by_a_stranger_is_named_after_other_ports_were_tried() {
    let world = World::new();
    let supervisor = world.supervisor();
    let ports = world.file("ports");
    let stranger = {
        let ports = ports.clone();
        // Takes every port the command is given, in the command's place.
        tokio::task::spawn_blocking(move || {
            let mut held: Vec<TcpListener> = Vec::new();
            let deadline = Instant::now() + Duration::from_secs(30);
            while held.len() < 3 && Instant::now() < deadline {
                let text = fs::read_to_string(&ports).unwrap_or_default();
                let complete = text.lines().count() - usize::from(!text.is_empty() && !text.ends_with('\n'));
                if let Some(port) = text.lines().take(complete).nth(held.len()) {
                    held.push(TcpListener::bind(("127.0.0.1", port.parse::<u16>().unwrap())).unwrap());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            held
        })
    };
    let error = supervisor.start(world.spec("echo $PORT >> ports; exec sleep 100")).await.unwrap_err();
    assert_eq!(error.code, "CUT0304", "{error}");
    assert!(error.causes[0].contains(&format!("pid {}", std::process::id())), "{error}");
    assert_eq!(stranger.await.unwrap().len(), 3);
    let tried = fs::read_to_string(&ports).unwrap();
    let mut tried: Vec<&str> = tried.lines().collect();
    tried.dedup();
    assert_eq!(tried.len(), 3, "another port each time");
    world.wait_until_empty();
}

async fn a_port_lost_in_a_race_is_replaced() {
    let world = World::new();
    let supervisor = world.supervisor();
    let first = world.file("first");
    let stranger = tokio::task::spawn_blocking(move || {
        let port = number_in(&first);
        TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).unwrap()
    });
    let run = "if [ -e first ]; then exec SERVE; fi; echo $PORT > first; exec sleep 100";
    let running = supervisor.start(world.spec(run)).await.unwrap();
    assert_ne!(stranger.await.unwrap().local_addr().unwrap().port(), running.addr.port());
    supervisor.stop_all().await;
}

async fn an_address_in_use_is_tried_again_with_another_port() {
    let world = World::new();
    let supervisor = world.supervisor();
    let run = "echo $PORT >> ports; if [ -e once ]; then exec SERVE; fi; touch once; echo 'listen EADDRINUSE'; exit 1";
    let running = supervisor.start(world.spec(run)).await.unwrap();
    let ports = fs::read_to_string(world.file("ports")).unwrap();
    assert_eq!(ports.lines().count(), 2);
    assert_eq!(ports.lines().last().unwrap(), running.addr.port().to_string());
    // A command that insists on a port of its own is told so in the end.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = world.spec(&format!("exec SERVE --listen={}", taken.local_addr().unwrap()));
    spec.component = "stubborn".into();
    let error = supervisor.start(spec).await.unwrap_err();
    assert_eq!(error.code, "CUT0302", "{error}");
    assert!(error.hints[0].contains("PORT"), "{:?}", error.hints);
    supervisor.stop_all().await;
}

async fn a_missing_directory_is_reported() {
    let world = World::new();
    let mut spec = world.spec("exec SERVE");
    spec.dir = world.dir.path().join("nowhere");
    let error = world.supervisor().start(spec).await.unwrap_err();
    assert_eq!(error.code, "CUT0301");
    assert!(error.to_string().contains("nowhere"), "{error}");
    world.wait_until_empty();
}

async fn a_state_directory_that_cannot_be_written_is_reported() {
    let world = World::new();
    fs::write(world.state(), "a file").unwrap();
    let error = world.supervisor().start(world.spec("exec SERVE")).await.unwrap_err();
    assert_eq!(error.code, "CUT0305");
    let mut spec = world.spec("exec SERVE");
    spec.component = "../../elsewhere".into();
    let error = world.supervisor().start(spec).await.unwrap_err();
    assert!(error.to_string().contains("not a name"), "{error}");
}

async fn starting_what_runs_changes_nothing() {
    let world = World::new();
    let supervisor = world.supervisor();
    let first = supervisor.start(world.spec("exec SERVE")).await.unwrap();
    let second = supervisor.start(world.spec("exec SERVE")).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(get(first.addr, "/pid"), first.pid.to_string());
    supervisor.stop_all().await;
}

async fn two_starts_at_once_make_one_process() {
    let world = World::new();
    let supervisor = Arc::new(world.supervisor());
    let spec = world.spec("echo started >> starts; exec SERVE");
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let (supervisor, spec) = (Arc::clone(&supervisor), spec.clone());
            tokio::spawn(async move { supervisor.start(spec).await.unwrap() })
        })
        .collect();
    let mut pids = Vec::new();
    for start in starts {
        pids.push(start.await.unwrap().pid);
    }
    pids.dedup();
    assert_eq!(pids.len(), 1);
    assert_eq!(fs::read_to_string(world.file("starts")).unwrap(), "started\n");
    supervisor.stop_all().await;
}

async fn a_start_that_is_given_up_leaves_nothing() {
    let world = World::new();
    let supervisor = world.supervisor();
    let spec = world.spec("echo $$ > pid; exec SERVE --sick=1000000");
    let release = spec.release;
    let pid_file = world.file("pid");
    tokio::select! {
        _ = supervisor.start(spec) => panic!("it is never healthy"),
        // Looked at before the start is dropped, which is when this branch is entered.
        lived = tokio::task::spawn_blocking(move || lives(number_in(&pid_file))) => assert!(lived.unwrap()),
    }
    world.wait_until_empty();
    eventually(|| match supervisor.status(&release) {
        status if status.is_empty() => Ok(()),
        status => Err(format!("{status:?}")),
    });
}
