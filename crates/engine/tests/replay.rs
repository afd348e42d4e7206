//! Journals of every version are finished by every later one: each prefix of each, with what was under way in place and
//! not.
//!
//! `CUTOVER_RECORD=v1 cargo test -p cutover-engine --test replay recorded` writes today's into `tests/journals/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};

use cutover_rollout::{Body, End, Record, Situation, fold};
use cutover_testkit::fake::{
    Settings, green,
    points::{Case, play},
    run::Run,
    stories,
};

fn directories() -> [PathBuf; 2] {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    [here.join("tests/journals"), here.join("../rollout/tests/journals")]
}

fn journals() -> Vec<(String, Vec<Record>)> {
    let files = directories().into_iter().flat_map(|directory| std::fs::read_dir(directory).unwrap());
    let mut journals: Vec<(String, Vec<Record>)> = files
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let records = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (path.file_name().unwrap().to_string_lossy().into_owned(), records)
        })
        .collect();
    journals.sort_by(|one, other| one.0.cmp(&other.0));
    journals
}

#[test]
fn journals_of_every_version_are_finished() {
    let story = stories::all().into_iter().next().unwrap();
    let mut finished = 0;
    let journals = journals();
    assert!(journals.len() >= 6, "{}", journals.len());
    for (name, records) in journals {
        let whole = fold(&records).unwrap().unwrap();
        let rollout = whole.plan.rollout.clone();
        for cut in 1..=records.len() {
            let state = fold(&records[..cut]).unwrap().unwrap();
            let variants: &[bool] = if state.pending.is_some() { &[false, true] } else { &[false] };
            for landed in variants {
                let (stage, world) = story.stage(Settings::default()).unwrap();
                world.remember(&rollout, &records[..cut], *landed);
                let mut run = Run::new(&world);
                let last = records[cut - 1].at;
                let rest = async {
                    world.time().sleep_until(last + 5_000).await;
                    run.rest().await
                };
                let end = stage.run(86_400_000, rest).and_then(|end| end);
                let end = end.unwrap_or_else(|why| {
                    panic!(
                        "{name} cut at {cut}, landed {landed}: {why}: {:?}",
                        world.records(&rollout).last()
                    )
                });
                let table = world.lock().table.default;
                let went = match end {
                    Some(End::RolledBack) => table == whole.plan.blue,
                    Some(End::Done { .. }) => table == Some(whole.plan.green),
                    Some(End::Superseded { .. }) => true,
                    None => false,
                };
                assert!(went, "{name} cut at {cut}, landed {landed}: {end:?}, and the default is {table:?}");
                let after = world.records(&rollout);
                assert_eq!(after[..cut], records[..cut], "history stays as it is");
                finished += 1;
            }
        }
    }
    println!("{finished} journals finished");
    assert!(finished > 500, "{finished}");
}

#[test]
fn stories_are_recorded_as_they_are() {
    let record = std::env::var("CUTOVER_RECORD").ok();
    for (name, file) in [
        ("gradual", "done"),
        ("rolled back at 25%", "rolled-back"),
        ("superseded in the bake", "superseded"),
        ("rolled back after it was done", "rolled-back-late"),
    ] {
        let story = stories::all().into_iter().find(|story| story.name == name).unwrap();
        let played = play(&story, Settings::default(), &Case::default()).unwrap();
        let ended = played.ended.unwrap();
        assert_ne!(ended.how, Situation::Held);
        let records: Vec<Record> = played
            .log
            .iter()
            .filter_map(|entry| match &entry.what {
                cutover_testkit::fake::log::What::Appended { rollout, records, .. }
                    if *rollout == stories::rollout(1) =>
                {
                    Some(records.clone())
                }
                _ => None,
            })
            .flatten()
            .collect();
        let Some(Body::Opened { plan, .. }) = records.first().map(|record| &record.body) else {
            panic!("{name} was never opened");
        };
        assert_eq!(plan.green, green());
        if let Some(version) = &record {
            let lines: Vec<String> =
                records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
            let path = directories()[0].join(format!("{version}-{file}.jsonl"));
            std::fs::write(path, lines.join("\n") + "\n").unwrap();
        }
    }
}
