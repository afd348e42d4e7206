//! Releases in the store over time: verified, healed, removed, and whole after any interruption.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod store_support;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use cutover_embedded::store::{StageInput, Store};
use cutover_engine::{ErrorKind, control::Progress};
use store_support::{SITE_ONLY, World, script, snapshot};

fn blob_files(state: &Path) -> Vec<PathBuf> {
    snapshot(&state.join("blobs")).into_keys().filter(|path| path.is_file()).collect()
}

#[test]
fn removing_gives_back_what_only_that_release_needed() {
    let world = World::new();
    let first = world.stage();
    world.write("dist/assets/more-5e6f.js", &script(5));
    let second = world.stage();
    let store = world.store();
    let freed = store.remove(&second.id).unwrap();
    assert!(freed > script(5).len() as u64, "{freed}");
    assert_eq!(store.list().unwrap(), [first.id]);
    store.verify(&first.id).unwrap();
    assert_eq!(store.load(&second.id).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(store.remove(&second.id).unwrap_err().kind, ErrorKind::NotFound);
    store.remove(&first.id).unwrap();
    assert_eq!(blob_files(&world.state()), Vec::<PathBuf>::new());
    assert!(world.stage().created, "it can be staged again");
}

#[test]
fn what_is_damaged_is_found_and_healed_by_staging_again() {
    let world = World::new();
    let staged = world.stage();
    let store = world.store();
    let release = store.load(&staged.id).unwrap();
    let blob = release.manifest.unwrap().files["/robots.txt"].identity.path(store.blobs());
    let service = release.services_dir.join("api/lib/data.json");
    let record = world.state().join("releases").join(staged.id.as_str()).join("release.json");
    let overwrite = |path: &Path, content: &str| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path, content).unwrap();
    };
    let damages: [&dyn Fn(); 5] = [
        &|| overwrite(&blob, "User-agent: ?\n"),
        &|| {
            fs::set_permissions(blob.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
            fs::remove_file(&blob).unwrap();
        },
        &|| overwrite(&service, "[]"),
        &|| overwrite(&record, "{ broken"),
        &|| overwrite(&record, &fs::read_to_string(&record).unwrap().replace("./server", "./evil")),
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage();
        let error = store.verify(&staged.id).unwrap_err();
        assert_eq!(error.code, "CUT0214", "{number}: {error}");
        let healed = world.stage();
        assert_eq!((healed.id, healed.created), (staged.id, true), "{number}");
        store.verify(&staged.id).unwrap();
    }
}

#[test]
fn blobs_stay_while_a_release_cannot_be_read() {
    let world = World::new();
    let first = world.stage();
    world.write("dist/robots.txt", "other");
    let second = world.stage();
    let record = world.state().join("releases").join(first.id.as_str()).join("release.json");
    fs::remove_file(&record).unwrap();
    fs::write(&record, "{").unwrap();
    let before = blob_files(&world.state());
    world.store().remove(&second.id).unwrap();
    assert_eq!(blob_files(&world.state()), before);
}

#[test]
fn stages_and_removals_at_once_never_lose_a_needed_blob() {
    let world = World::new();
    let store = world.store();
    let inputs: Vec<_> = (0..2)
        .map(|number| {
            let app = World::with(SITE_ONLY);
            app.write("dist/robots.txt", &format!("app {number}"));
            (app.input(), app)
        })
        .collect();
    thread::scope(|scope| {
        for (input, _) in &inputs {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..8 {
                    let staged = store.stage(input, &Progress::none()).unwrap();
                    store.verify(&staged.id).unwrap();
                    store.remove(&staged.id).unwrap();
                }
                let staged = store.stage(input, &Progress::none()).unwrap();
                store.verify(&staged.id).unwrap();
            });
        }
    });
    for id in store.list().unwrap() {
        store.verify(&id).unwrap();
    }
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn leftovers_of_a_stage_that_was_killed_go_when_the_store_is_opened() {
    let world = World::new();
    let staged = world.stage();
    let left = world.state().join("stage-work/12345-0/release/services/api");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("server"), "half").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o555)).unwrap();
    let orphan = world.state().join("blobs/00").join("0".repeat(64));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "orphan").unwrap();
    let store = world.store();
    assert_eq!(fs::read_dir(world.state().join("stage-work")).unwrap().count(), 0);
    assert!(!orphan.exists());
    store.verify(&staged.id).unwrap();
}

/// Stages and removes in a process that is killed at a different moment each time; what is there must always be whole.
#[test]
fn a_killed_stage_leaves_whole_releases_only() {
    let world = World::new();
    world.stage();
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "stages_and_removes_until_killed"])
            .env("STORE_TEST_APP", world.dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let begun = lines.map_while(Result::ok).find(|line| line.contains("staging"));
        assert!(begun.is_some(), "the process began to stage");
        // Different moments within a stage; nothing is asserted about how long anything takes.
        thread::sleep(Duration::from_millis(round * 7));
        child.kill().unwrap();
        child.wait().unwrap();

        let store = world.store();
        assert_eq!(fs::read_dir(world.state().join("stage-work")).unwrap().count(), 0);
        for id in store.list().unwrap() {
            store.verify(&id).unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        assert!(!world.stage().created, "round {round}: the release from before is still there");
    }
}

#[test]
#[ignore = "started by a_killed_stage_leaves_whole_releases_only in a process of its own"]
fn stages_and_removes_until_killed() {
    let Some(app) = std::env::var_os("STORE_TEST_APP") else { return };
    let app = PathBuf::from(app);
    let file = app.join("cutover.toml");
    let text = fs::read_to_string(&file).unwrap();
    let store = Store::open(&app.join(".cutover")).unwrap();
    println!("staging");
    for number in 0_u64.. {
        let text = text.replace("./server", &format!("./server {} {number}", std::process::id()));
        let config = cutover_engine::config::parse(&text, &file).unwrap();
        let staged =
            store.stage(&StageInput { config, state_dir: app.join(".cutover") }, &Progress::none()).unwrap();
        store.remove(&staged.id).unwrap();
    }
}
