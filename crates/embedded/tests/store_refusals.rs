//! Apps that cannot be staged: each with an error that says what to do, and a store as it was before.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod store_support;

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, os::unix::fs::symlink, process::Command};

use cutover_embedded::store::{StageInput, Store};
use cutover_engine::{ErrorKind, control::Progress};
use store_support::{SITE_ONLY, World, script};

fn has_hint(error: &cutover_engine::Error, text: &str) -> bool {
    error.hints.iter().any(|hint| hint.contains(text))
}

#[test]
fn a_missing_or_empty_build_output() {
    let world = World::new();
    fs::remove_dir_all(world.path("dist")).unwrap();
    let error = world.refused();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Invalid, "CUT0201"));
    assert!(error.message.contains("does not exist") && error.message.contains("dist"), "{error}");
    assert!(has_hint(&error, "build the app first"));

    fs::create_dir(world.path("dist")).unwrap();
    world.write("dist/.gitkeep", "");
    assert!(world.refused().message.contains("no files to stage"));

    fs::remove_dir_all(world.path("dist")).unwrap();
    world.write("dist", "a file");
    assert!(world.refused().message.contains("no directory"));
}

#[test]
fn a_missing_service_or_fallback() {
    let world = World::new();
    fs::rename(world.path("api"), world.path("gone")).unwrap();
    let error = world.refused();
    assert!(error.message.contains("service api") && error.message.contains("does not exist"), "{error}");
    fs::rename(world.path("gone"), world.path("api")).unwrap();

    fs::remove_file(world.path("dist/index.html")).unwrap();
    let error = world.refused();
    assert_eq!(error.code, "CUT0205");
    assert!(error.message.contains("index.html"), "{error}");
}

#[test]
fn the_project_itself_instead_of_the_build_output() {
    let world =
        World::with(&SITE_ONLY.replace("\"dist\"", "\"build\"").replace("fallback = \"index.html\"", ""));
    // However it is spelt: this is the directory of the description.
    symlink(".", world.path("build")).unwrap();
    world.write(".env", "SECRET=1");
    world.write("key.pem", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n");
    let error = world.refused();
    assert_eq!(error.code, "CUT0202");
    assert!(error.message.contains("the app description (cutover.toml)"), "{error}");
    assert!(has_hint(&error, "dir = \"dist\""));
}

#[test]
fn secrets_among_the_files() {
    for (name, content) in [
        ("id_rsa", "anything"),
        ("deep/er/server.key", "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----"),
        ("store.p12", "binary"),
        ("terraform.tfstate", "{}"),
        ("old/cutover.toml", "app = 'x'"),
    ] {
        let world = World::with(SITE_ONLY);
        world.write(&format!("dist/{name}"), content);
        let error = world.refused();
        assert_eq!(error.code, "CUT0202", "{name}");
        assert!(error.message.contains(name), "{error}");
    }
}

#[test]
fn reserved_addresses() {
    for name in ["_r/abc/x.js", ".cutover/visit.js"] {
        let world = World::with(SITE_ONLY);
        world.write(&format!("dist/{name}"), "x");
        let error = world.refused();
        assert_eq!(error.code, "CUT0203", "{name}");
        assert!(error.message.contains("reserved"), "{error}");
    }
}

#[test]
fn a_site_inside_the_state_directory() {
    let world = World::with(&SITE_ONLY.replace("\"dist\"", "\".cutover/dist\""));
    world.store();
    world.write(".cutover/dist/index.html", "x");
    let error = world.refused();
    assert!(error.message.contains("state directory"), "{error}");
}

#[test]
fn names_that_no_address_can_spell() {
    for name in [&b"caf\xe9.txt"[..], b"back\\slash.txt", b"new\nline.txt", b"bell\x07.txt"] {
        let world = World::with(SITE_ONLY);
        fs::write(world.path("dist").join(OsStr::from_bytes(name)), "x").unwrap();
        let error = world.refused();
        assert_eq!(error.code, "CUT0204", "{name:?}");
        assert!(has_hint(&error, "rename"));
    }
}

#[test]
fn a_fingerprinted_path_with_other_bytes() {
    let world = World::with(SITE_ONLY);
    let first = world.stage();
    world.write("dist/assets/app-1a2b.js", &script(2));
    let error = world.refused();
    assert_eq!(error.code, "CUT0206");
    assert!(error.message.contains("/assets/app-1a2b.js"), "{error}");
    assert!(has_hint(&error, "narrow `fingerprinted`"));
    // It is remembered after the release is gone, because browsers remember it too.
    world.store().remove(&first.id).unwrap();
    assert_eq!(world.refused().code, "CUT0206");
    // A new name for the new bytes, or the old bytes: both are fine.
    fs::rename(world.path("dist/assets/app-1a2b.js"), world.path("dist/assets/app-3c4d.js")).unwrap();
    world.stage();
    world.write("dist/assets/app-1a2b.js", &script(1));
    world.stage();
}

#[test]
fn a_bundlers_manifest_that_is_not_there_or_not_one() {
    let world = World::with(&SITE_ONLY.replace("[site]", "[site]\nmanifest = \".vite/manifest.json\""));
    let error = world.refused();
    assert_eq!(error.code, "CUT0211");
    assert!(has_hint(&error, "build.manifest"));
    world.write("dist/.vite/manifest.json", "[1, 2");
    assert_eq!(world.refused().code, "CUT0211");
    fs::remove_file(world.path("dist/.vite/manifest.json")).unwrap();
    world.write("manifest.json", "{}");
    symlink("../../manifest.json", world.path("dist/.vite/manifest.json")).unwrap();
    assert!(world.refused().to_string().contains("outside"));
}

#[test]
fn a_damaged_ledger() {
    let world = World::new();
    world.store();
    fs::write(world.state().join("ledger.json"), "{").unwrap();
    let error = world.refused();
    assert_eq!(error.code, "CUT0216");
}

#[test]
fn another_content_under_the_same_id() {
    let world = World::new();
    let staged = world.stage();
    let record = world.state().join("releases").join(staged.id.as_str()).join("release.json");
    let text = fs::read_to_string(&record).unwrap();
    let digest = text.split("\"digest\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    fs::remove_file(&record).unwrap();
    fs::write(&record, text.replace(&digest, &"0".repeat(64))).unwrap();
    let error = world.refused();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0209"));
}

#[test]
fn a_state_directory_that_is_a_file() {
    let world = World::new();
    world.write(".cutover", "a file");
    let error = Store::open(&world.state()).unwrap_err();
    assert_eq!(error.code, "CUT0215");
}

/// A limit on the size of files is met in the middle of staging, in a process of its own because the limit is one of processes.
#[test]
fn a_file_that_must_not_grow() {
    let world = World::with(SITE_ONLY);
    world.write("dist/large.bin", &"no pattern to speak of ".repeat(40_000));
    world.input();
    world.store();
    let before = store_support::snapshot(&world.state());
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact --ignored --nocapture stages_and_prints_the_error"])
        .arg(std::env::current_exe().unwrap())
        .env("STORE_TEST_APP", world.dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("CUT0208") && said.contains("nothing was staged"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("ulimit"), "{said}");
    assert_eq!(store_support::snapshot(&world.state()), before);
    world.stage();
}

#[test]
#[ignore = "started by a_file_that_must_not_grow in a process of its own"]
fn stages_and_prints_the_error() {
    let Some(app) = std::env::var_os("STORE_TEST_APP") else { return };
    let app = std::path::PathBuf::from(app);
    let file = app.join("cutover.toml");
    let config = cutover_engine::config::parse(&fs::read_to_string(&file).unwrap(), &file).unwrap();
    let store = Store::open(&app.join(".cutover")).unwrap();
    let error =
        store.stage(&StageInput { config, state_dir: app.join(".cutover") }, &Progress::none()).unwrap_err();
    println!("{} {error} {:?}", error.code, error.hints);
}

/// A disk that is full: a small file system in memory, where the machine lets us mount one.
#[test]
fn a_full_disk() {
    let world = World::with(SITE_ONLY);
    let disk = world.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "cutover-test"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!(
            "not run: this user may not mount a file system; the limit on file sizes is tested beside this"
        );
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let state = disk.join("state");
        let store = Store::open(&state).unwrap();
        let input = StageInput { state_dir: state.clone(), ..world.input() };
        let good = store.stage(&input, &Progress::none()).unwrap();
        let before = store_support::snapshot(&state);

        let noise: String =
            (0..60_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        world.write("dist/large.txt", &noise);
        let error = store
            .stage(&StageInput { state_dir: state.clone(), ..world.input() }, &Progress::none())
            .unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Failed, "CUT0208"), "{error}");
        assert!(has_hint(&error, "make room on the disk"), "{error:?}");
        assert_eq!(store_support::snapshot(&state), before, "nothing was changed and the room is free again");
        store.verify(&good.id).unwrap();

        fs::remove_file(world.path("dist/large.txt")).unwrap();
        world.write("dist/small.txt", "fits");
        assert!(
            store
                .stage(&StageInput { state_dir: state.clone(), ..world.input() }, &Progress::none())
                .unwrap()
                .created
        );
    });
    let unmounted = Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
