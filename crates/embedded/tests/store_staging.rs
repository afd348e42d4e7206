//! Staging apps: what gets into a release, and what it looks like there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod store_support;

use std::{fs, os::unix::fs::PermissionsExt, os::unix::fs::symlink, thread};

use cutover_edge::site::Site;
use cutover_engine::control::Progress;
use store_support::{PAGE, SITE_ONLY, World, script, snapshot};

#[test]
fn a_release_holds_the_site_and_a_read_only_copy_of_the_service() {
    let world = World::new();
    let staged = world.stage();
    assert!(staged.created);
    assert_eq!(staged.files, 5);
    assert_eq!(staged.id.as_str().len(), 12);
    let store = world.store();
    assert_eq!(store.list().unwrap(), [staged.id]);
    store.verify(&staged.id).unwrap();

    let release = store.load(&staged.id).unwrap();
    assert_eq!((release.files, release.bytes), (staged.files, staged.bytes));
    assert_eq!(release.snapshot, world.input().config.snapshot());
    let manifest = release.manifest.unwrap();
    assert_eq!(manifest.fallback.as_deref(), Some("/index.html"));
    assert_eq!(
        manifest.files.keys().collect::<Vec<_>>(),
        ["/assets/app-1a2b.js", "/index.html", "/robots.txt"]
    );
    let app = &manifest.files["/assets/app-1a2b.js"];
    assert!(app.fingerprinted && !app.html);
    assert!(app.br.is_some() && app.zstd.is_some() && app.gzip.is_some());
    let robots = &manifest.files["/robots.txt"];
    assert!(!robots.fingerprinted && robots.br.is_none(), "too small to compress");
    let site = Site::load(&manifest, store.blobs(), u64::MAX).unwrap();
    assert_eq!(site.len(), 3);

    let server = release.services_dir.join("api/server");
    assert_eq!(fs::read_to_string(&server).unwrap(), "#!/bin/sh\nexec true\n");
    let mode =
        |path: &str| fs::metadata(release.services_dir.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("api/server"), mode("api/lib/data.json"), mode("api/lib"), mode("api")),
        (0o555, 0o444, 0o555, 0o555)
    );
}

#[test]
fn the_same_content_is_the_same_release_wherever_it_lies() {
    let (here, there) = (World::new(), World::new());
    let first = here.stage();
    let before = snapshot(&here.state());
    let again = here.stage();
    assert_eq!(
        (again.id, again.created, again.files, again.bytes),
        (first.id, false, first.files, first.bytes)
    );
    assert_eq!(snapshot(&here.state()), before, "staging again changes nothing");
    assert_eq!(there.stage().id, first.id);
}

#[test]
fn any_difference_is_another_release() {
    let world = World::new();
    let mut ids = vec![world.stage().id];
    let mut changed = |world: &World, what: &str| {
        let staged = world.stage();
        assert!(staged.created && !ids.contains(&staged.id), "{what}");
        ids.push(staged.id);
    };
    world.write("dist/index.html", &PAGE.replace("hello", "hullo"));
    changed(&world, "a document");
    fs::rename(world.path("dist/robots.txt"), world.path("dist/humans.txt")).unwrap();
    changed(&world, "a name");
    world.write("api/lib/data.json", "{ }");
    changed(&world, "a file of the service");
    fs::set_permissions(world.path("api/server"), fs::Permissions::from_mode(0o644)).unwrap();
    changed(&world, "a mode");
    fs::create_dir(world.path("api/empty")).unwrap();
    changed(&world, "a directory");
    let mut world = world;
    world.description = world.description.replace("./server", "./server --fast");
    changed(&world, "the description");
    world.description = world.description.replace("assets/**", "assets/*.js");
    changed(&world, "what is fingerprinted");
}

#[test]
fn documents_carry_their_release_and_the_id_stays_that_of_the_originals() {
    let mut world = World::with(SITE_ONLY);
    let staged = world.stage();
    let page = world.served(&staged, "/index.html");
    let tags = format!(
        "<head><meta name=\"cutover-release\" content=\"{}\"><script src=\"/.cutover/visit.js\"></script><title>",
        staged.id
    );
    assert!(page.contains(&tags), "{page}");
    assert_eq!(world.served(&staged, "/assets/app-1a2b.js"), script(1));

    world.description = SITE_ONLY.replace("[site]", "[site]\ntabs = false");
    let plain = world.stage();
    assert_ne!(plain.id, staged.id);
    assert_eq!(world.served(&plain, "/index.html"), PAGE);
}

#[test]
fn fingerprinted_documents_and_foreign_policies_are_respected() {
    let world = World::with(SITE_ONLY);
    world.write("dist/assets/part-77.html", PAGE);
    world.write(
        "dist/strict.html",
        "<head><meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><p>",
    );
    world.write("dist/fragment.html", "<li>one</li>");
    let (staged, said) = world.stage_listening();
    assert_eq!(world.served(&staged, "/assets/part-77.html"), PAGE);
    let strict = world.served(&staged, "/strict.html");
    assert!(strict.contains("cutover-release") && !strict.contains("visit.js"), "{strict}");
    assert_eq!(world.served(&staged, "/fragment.html"), "<li>one</li>");
    assert!(said.contains("/strict.html: its Content-Security-Policy forbids visit.js"), "{said}");
    assert!(said.contains("/fragment.html: left as it is"), "{said}");
}

#[test]
fn progress_tells_what_happens() {
    let world = World::new();
    world.write("dist/.env", "SECRET=1");
    let (first, said) = world.stage_listening();
    for expected in [
        "site: 3 files",
        "1 fingerprinted",
        "hidden files are not staged: .env",
        "service api: 3 files and directories",
        "compressing 1 file",
        &format!("release {}", first.id),
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let (_, said) = world.stage_listening();
    assert!(said.contains("was staged before"), "{said}");
}

#[test]
fn unchanged_files_are_not_compressed_again() {
    let world = World::with(SITE_ONLY);
    world.stage();
    world.write("dist/robots.txt", "User-agent: nobody\n");
    let (staged, said) = world.stage_listening();
    assert!(staged.created);
    assert!(!said.contains("compressing"), "{said}");
    let manifest = world.store().load(&staged.id).unwrap().manifest.unwrap();
    assert!(manifest.files["/assets/app-1a2b.js"].br.is_some());

    fs::remove_file(world.state().join("variants.json")).unwrap();
    world.write("dist/robots.txt", "User-agent: everybody\n");
    let (_, said) = world.stage_listening();
    assert!(said.contains("compressing 1 file (0 unchanged)"), "a lost index is made again: {said}");
}

#[test]
fn hidden_files_are_never_part_of_a_site() {
    let world = World::with(SITE_ONLY);
    for name in [".env", ".git/config", "sub/.htpasswd", ".well-known/.hidden", ".DS_Store"] {
        world.write(&format!("dist/{name}"), "secret");
    }
    world.write("dist/.well-known/security.txt", "Contact: mailto:a@example.com");
    let staged = world.stage();
    assert_eq!(
        world.paths(&staged),
        ["/.well-known/security.txt", "/assets/app-1a2b.js", "/index.html", "/robots.txt"]
    );
}

#[test]
fn links_are_followed_inside_and_nowhere_else() {
    let world = World::with(SITE_ONLY);
    world.write("outside/secret.txt", "secret");
    world.write("dist/.env", "secret");
    world.write("dist/sub/page.txt", "page");
    let link = |target: &str, name: &str| symlink(target, world.path("dist").join(name)).unwrap();
    link("robots.txt", "inside.txt");
    link("sub", "linked");
    link("../outside/secret.txt", "leaves.txt");
    link("../outside", "leaves");
    symlink(world.path("outside"), world.path("dist/absolute")).unwrap();
    link("/etc/passwd", "passwd");
    link(".env", "env.txt");
    link("nowhere", "broken");
    link(".", "sub/../circle");
    link("..", "sub/up");
    let (staged, said) = world.stage_listening();
    assert_eq!(
        world.paths(&staged),
        [
            "/assets/app-1a2b.js",
            "/index.html",
            "/inside.txt",
            "/linked/page.txt",
            "/robots.txt",
            "/sub/page.txt"
        ]
    );
    for name in ["leaves.txt", "leaves", "absolute", "passwd"] {
        assert!(
            said.contains(&format!("not staged: {name} is a link that leaves the directory")),
            "{name} in {said}"
        );
    }
    for expected in [
        "env.txt is a link to .env, which is never staged",
        "broken is a link that leads nowhere",
        "circle is a link to a directory",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    for (path, bytes) in snapshot(&world.state()) {
        assert!(!bytes.windows(6).any(|window| window == b"secret"), "{}", path.display());
    }
}

#[test]
fn a_services_links_stay_links_and_stay_inside() {
    let world = World::new();
    world.write("outside/secret.txt", "secret");
    world.write("api/node_modules/tool/bin.js", "tool");
    world.write("api/.env", "secret");
    fs::create_dir_all(world.path("api/node_modules/.bin")).unwrap();
    symlink("../tool/bin.js", world.path("api/node_modules/.bin/tool")).unwrap();
    symlink(world.path("api/lib"), world.path("api/absolute")).unwrap();
    symlink("../outside/secret.txt", world.path("api/leaves")).unwrap();
    symlink(".env", world.path("api/env")).unwrap();
    let (staged, said) = world.stage_listening();
    let copy = world.store().load(&staged.id).unwrap().services_dir.join("api");
    assert_eq!(fs::read_link(copy.join("node_modules/.bin/tool")).unwrap().to_str(), Some("../tool/bin.js"));
    assert_eq!(fs::read_link(copy.join("absolute")).unwrap().to_str(), Some("lib"));
    assert!(fs::read_to_string(copy.join("absolute/data.json")).is_ok());
    for name in ["leaves", "env", ".env"] {
        assert!(fs::symlink_metadata(copy.join(name)).is_err(), "{name}");
    }
    assert!(said.contains("service api: not staged: leaves is a link that leaves the directory"), "{said}");
    world.store().verify(&staged.id).unwrap();
}

#[test]
fn names_are_served_decoded_whatever_they_contain() {
    let world = World::with(SITE_ONLY);
    let names = [
        "with space.txt",
        "100%.txt",
        "a%20b.txt",
        "\u{fc}ml\u{e4}ut.txt",
        "u\u{308}.txt",
        "q?x#y.txt",
        "日本/語.txt",
        "a+b&c=d;e.txt",
        "x../y...",
        "~a'\"<>.txt",
    ];
    for name in names {
        world.write(&format!("dist/{name}"), name);
    }
    let staged = world.stage();
    let paths = world.paths(&staged);
    for name in names {
        assert!(paths.contains(&format!("/{name}")), "{name}");
        assert_eq!(world.served(&staged, &format!("/{name}")), name);
    }
}

#[test]
fn a_bundlers_manifest_says_what_is_fingerprinted() {
    let world = World::with(
        &SITE_ONLY.replace("fingerprinted = [\"assets/**\"]", "manifest = \".vite/manifest.json\""),
    );
    world.write(
        "dist/.vite/manifest.json",
        r#"{"index.html": {"file": "assets/app-1a2b.js", "css": ["assets/gone-9z.css"]}}"#,
    );
    world.write("dist/assets/plain.js", "1");
    let (staged, said) = world.stage_listening();
    let manifest = world.store().load(&staged.id).unwrap().manifest.unwrap();
    assert!(manifest.files["/assets/app-1a2b.js"].fingerprinted);
    assert!(!manifest.files["/assets/plain.js"].fingerprinted);
    assert!(said.contains("names files that are not there: assets/gone-9z.css"), "{said}");
}

#[test]
fn an_app_of_services_alone_has_no_site() {
    let mut world = World::new();
    let start = world.description.find("[site]").unwrap();
    let end = world.description.find("[[service]]").unwrap();
    world.description.replace_range(start..end, "");
    let staged = world.stage();
    let release = world.store().load(&staged.id).unwrap();
    assert!(release.manifest.is_none());
    assert!(release.services_dir.join("api/server").exists());
}

#[test]
fn the_state_directory_is_left_out_of_a_service_around_it() {
    let mut world = World::new();
    world.description = world.description.replace("dir = \"api\"", "dir = \".\"");
    let first = world.stage();
    let again = world.stage();
    assert!(!again.created, "the store is no part of its own releases");
    let copy = world.store().load(&first.id).unwrap().services_dir.join("api");
    assert!(copy.join("api/server").exists() && !copy.join(".cutover").exists());
    // A state directory of any name.
    let elsewhere = world.path("state");
    let store = cutover_embedded::store::Store::open(&elsewhere).unwrap();
    let input = cutover_embedded::store::StageInput { state_dir: elsewhere, ..world.input() };
    let staged = store.stage(&input, &Progress::none()).unwrap();
    assert!(!store.load(&staged.id).unwrap().services_dir.join("api/state").exists());
}

#[test]
fn stages_at_once_make_one_release_of_the_same_and_two_of_different_content() {
    let world = World::new();
    let input = world.input();
    let store = world.store();
    let staged: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> =
            (0..6).map(|_| scope.spawn(|| store.stage(&input, &Progress::none()).unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(staged.iter().all(|one| one.id == staged[0].id));
    assert_eq!(staged.iter().filter(|one| one.created).count(), 1);

    // Different apps that share files, in one store.
    let others: Vec<_> = (0..4)
        .map(|number| {
            let other = World::new();
            other.write("dist/robots.txt", &format!("number {number}"));
            other
        })
        .collect();
    let inputs: Vec<_> = others.iter().map(World::input).collect();
    let mut ids: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = inputs
            .iter()
            .map(|input| scope.spawn(|| store.stage(input, &Progress::none()).unwrap().id))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    ids.push(staged[0].id);
    ids.sort();
    assert_eq!(store.list().unwrap(), ids);
    for id in ids {
        store.verify(&id).unwrap();
    }
    assert_eq!(fs::read_dir(world.state().join("stage-work")).unwrap().count(), 0);
}
