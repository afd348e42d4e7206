//! The journal's promises, each against a real file.

use cutover_engine::control::{GateResult, Outside, Verdict};
use cutover_engine::{Error, ErrorKind};
use cutover_routing::{Entry, ReleaseId, ReleaseState, Slot, Table};
use rusqlite::Connection;

use super::*;

fn id(text: &str) -> ReleaseId {
    text.parse().unwrap()
}

fn journal() -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
    (dir, journal)
}

fn record(message: &str) -> NewRecord {
    NewRecord {
        kind: RecordKind::Note,
        operation: None,
        at: 1_700_000_000_000,
        who: "ada".into(),
        verb: "note".into(),
        release: Some(id("aaaaaaaa")),
        message: message.into(),
        reason: Some("because".into()),
        generation: Some(7),
    }
}

fn row(text: &str) -> ReleaseRow {
    ReleaseRow {
        id: id(text),
        name: Some("v1".into()),
        commit: None,
        base: "/app".into(),
        slot: Some(Slot::Green),
        staged_at: 5,
        staged_by: "ada".into(),
        outside: Some(Outside::Standby),
        barred: Some("wrong prices".into()),
        state_since: 6,
        promoted_at: Some(7),
        gates: vec![GateResult {
            name: "smoke".into(),
            verdict: Verdict::Pass,
            detail: "200".into(),
            at: 8,
            took_ms: 9,
        }],
        files: 10,
        bytes: 11,
    }
}

fn table(generation: u64) -> Table {
    let mut table = Table { generation, default: Some(id("aaaaaaaa")), ..Table::empty() };
    table.releases.insert(id("aaaaaaaa"), Entry { state: ReleaseState::Active, slot: Some(Slot::Blue) });
    table
}

fn intent(operation: &str) -> Intent {
    Intent {
        operation: operation.into(),
        at: 1,
        who: "ada".into(),
        verb: "promote".into(),
        release: Some(id("aaaaaaaa")),
        committed: None,
    }
}

#[test]
fn everything_written_is_read_back_after_reopening() {
    let (dir, journal) = journal();
    let switch = LastSwitch { from: None, to: id("aaaaaaaa"), promotion: true, at: 3 };
    let write = Write {
        table: Some(table(4)),
        releases: vec![row("aaaaaaaa"), row("bbbbbbbb")],
        last_switch: Some(Some(switch.clone())),
        meta: vec![("color", "green".into())],
        records: vec![record("one"), record("two")],
        ..Write::default()
    };
    journal.write(&write).unwrap();
    drop(journal);
    let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
    let memory = journal.read().unwrap();
    assert_eq!(memory.table, Some(table(4)));
    assert_eq!(memory.releases, [row("aaaaaaaa"), row("bbbbbbbb")]);
    assert_eq!(memory.last_switch, Some(switch));
    assert_eq!(journal.meta("color").unwrap().as_deref(), Some("green"));
    let history = journal.history(10).unwrap();
    assert_eq!(
        history.iter().map(|entry| (entry.seq, entry.message.as_str())).collect::<Vec<_>>(),
        [(2, "two"), (1, "one")]
    );
    assert_eq!(history[0].reason.as_deref(), Some("because"));
    assert_eq!(history[0].generation, Some(7));
}

#[test]
fn a_write_that_fails_leaves_nothing_behind_and_no_gap() {
    let (_dir, journal) = journal();
    journal
        .write(&Write { table: Some(table(4)), records: vec![record("one")], ..Write::default() })
        .unwrap();
    let refused = journal.write(&Write {
        table: Some(table(4)),
        releases: vec![row("bbbbbbbb")],
        records: vec![record("lost")],
        ..Write::default()
    });
    assert!(matches!(refused, Err(JournalError::NotNewer { stored: 4, new: 4 })), "{refused:?}");
    assert!(journal.read().unwrap().releases.is_empty());
    let entries = journal.write(&Write { records: vec![record("two")], ..Write::default() }).unwrap();
    assert_eq!(entries[0].seq, 2);
}

#[test]
fn the_history_cannot_be_changed_and_the_generation_cannot_go_back() {
    let (dir, journal) = journal();
    journal
        .write(&Write { table: Some(table(4)), records: vec![record("one")], ..Write::default() })
        .unwrap();
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    for statement in [
        "DELETE FROM records",
        "UPDATE records SET message = 'other'",
        "INSERT INTO records (seq, at, who, verb, message, kind) VALUES (9, 0, '', '', '', 'note')",
        "UPDATE routing SET generation = 3",
    ] {
        assert!(other.execute(statement, []).is_err(), "{statement}");
    }
}

#[test]
fn an_intent_stays_unfinished_until_its_outcome() {
    let (_dir, journal) = journal();
    journal.write(&Write { begin: Some(intent("op-1")), ..Write::default() }).unwrap();
    journal.write(&Write { begin: Some(intent("op-2")), ..Write::default() }).unwrap();
    let note = NewRecord { operation: Some("op-1".into()), ..record("still at it") };
    journal
        .write(&Write {
            committed: Some("op-1".into()),
            table: Some(table(9)),
            records: vec![note],
            ..Write::default()
        })
        .unwrap();
    assert_eq!(
        journal.read().unwrap().unfinished,
        [Intent { committed: Some(9), ..intent("op-1") }, intent("op-2")]
    );
    for (operation, kind) in [("op-1", RecordKind::Outcome), ("op-2", RecordKind::Failure)] {
        let end = NewRecord { operation: Some(operation.into()), kind, ..record("done") };
        journal.write(&Write { records: vec![end], ..Write::default() }).unwrap();
    }
    assert!(journal.read().unwrap().unfinished.is_empty());
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let rubbish = b"this is not a database, but somebody's only copy of something".repeat(100);
    std::fs::write(&path, &rubbish).unwrap();
    let error: Error = Journal::open(&path).unwrap_err().into();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Failed, "CUT0602"));
    assert!(error.message.contains("journal.db") && error.hints[0].contains("backup"), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), rubbish);
}

#[test]
fn a_file_with_a_damaged_page_is_refused_and_left_as_it_is() {
    let (dir, journal) = journal();
    let path = dir.path().join("journal.db");
    for _ in 0..200 {
        journal.write(&Write { records: vec![record(&"long ".repeat(100))], ..Write::default() }).unwrap();
    }
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn the_file_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    Connection::open(&path).unwrap().execute("CREATE TABLE theirs (x)", []).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (dir, journal) = journal();
    let path = dir.path().join("journal.db");
    drop(journal);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error: Error = Journal::open(&path).unwrap_err().into();
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Refused, "CUT0603"));
    assert!(error.message.contains("99"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    let (dir, journal) = journal();
    journal.write(&Write { table: Some(table(4)), ..Write::default() }).unwrap();
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    for document in ["{", "{\"generation\":5}", "{\"generation\":5,\"default\":\"cccccccc\"}"] {
        other.execute("UPDATE routing SET generation = generation + 1, document = ?1", [document]).unwrap();
        let read = journal.read();
        // The row moves on with each document, so that at most one of them agrees with its own generation.
        assert!(
            matches!(read, Err(JournalError::Damaged { .. })) || document == "{\"generation\":5}",
            "{document}"
        );
    }
}

#[test]
fn what_was_undone_is_forgotten() {
    let (_dir, journal) = journal();
    let switch = LastSwitch { from: None, to: id("aaaaaaaa"), promotion: true, at: 3 };
    journal
        .write(&Write {
            releases: vec![row("aaaaaaaa"), row("bbbbbbbb")],
            last_switch: Some(Some(switch)),
            ..Write::default()
        })
        .unwrap();
    journal
        .write(&Write { forget: vec![id("bbbbbbbb")], last_switch: Some(None), ..Write::default() })
        .unwrap();
    let memory = journal.read().unwrap();
    assert_eq!(memory.releases, [row("aaaaaaaa")]);
    assert_eq!(memory.last_switch, None);
}

#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, _journal) = journal();
    let mode = std::fs::metadata(dir.path().join("journal.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

mod rollouts {
    use cutover_engine::{
        ports::{self, AppendError, Journal as _, Lease as _, LeaseError},
        rollout::{After, Event, Millis, Plan, PlanInput, Record, RolloutId, Strategy, step},
    };

    use super::*;
    use crate::rollouts::{RolloutJournal, RolloutLease};

    fn records(rollout: &str) -> (RolloutId, Vec<Record>) {
        let rollout: RolloutId = rollout.parse().unwrap();
        let plan = Plan::new(&PlanInput {
            rollout: rollout.clone(),
            blue: Some(id("aaaaaaaa")),
            green: id("bbbbbbbb"),
            strategy: &Strategy::parse("5%, 100%", &[]).unwrap(),
            hold: Millis::mins(5),
            bake: Millis::mins(5),
            quiet: Millis::mins(5),
            drain_at_most: Millis::mins(50),
            after: After::Park,
            gates: &[],
        })
        .unwrap();
        let next = step(None, &Event::Open { plan: Box::new(plan), by: "ada".into() }, 7).unwrap();
        assert_eq!(next.records.len(), 2, "opened, intent");
        (rollout, next.records)
    }

    fn adapters(journal: Journal) -> (RolloutJournal, RolloutLease) {
        let journal = Arc::new(journal);
        (RolloutJournal::new(Arc::clone(&journal)), RolloutLease::new(journal))
    }

    #[tokio::test]
    async fn records_are_appended_all_or_none_and_read_back_after_reopening() {
        let (dir, journal) = journal();
        let (journal, _) = adapters(journal);
        let (first, two) = records("ro-1");
        assert!(journal.read(&first).await.unwrap().is_empty());
        journal.append(&first, 0, 1, &two[..1]).await.unwrap();
        let again = journal.append(&first, 0, 1, &two).await;
        assert_eq!(again, Err(AppendError::Conflict { expected: 0, found: 1 }));
        journal.append(&first, 1, 1, &two[1..]).await.unwrap();
        let (second, others) = records("ro-2");
        journal.append(&second, 0, 1, &others).await.unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        assert_eq!(journal.rollout(&first).unwrap(), two);
        assert_eq!(journal.rollouts(9).unwrap(), [second.clone(), first]);
        assert_eq!(journal.rollout_of(&id("bbbbbbbb")).unwrap(), Some(second));
        assert_eq!(journal.rollout_of(&id("aaaaaaaa")).unwrap(), None);
    }

    #[tokio::test]
    async fn the_records_of_a_rollout_cannot_be_changed() {
        let (dir, journal) = journal();
        let (journal, _) = adapters(journal);
        let (first, two) = records("ro-1");
        journal.append(&first, 0, 1, &two).await.unwrap();
        let other = Connection::open(dir.path().join("journal.db")).unwrap();
        for statement in [
            "DELETE FROM rollout_records",
            "UPDATE rollout_records SET body = '{}'",
            "INSERT INTO rollout_records (rollout, seq, at, body) VALUES ('ro-1', 5, 0, '{}')",
        ] {
            assert!(other.execute(statement, []).is_err(), "{statement}");
        }
    }

    #[tokio::test]
    async fn an_older_epoch_writes_nothing() {
        let (_dir, journal) = journal();
        let file = Arc::new(journal);
        let (journal, lease) = (RolloutJournal::new(Arc::clone(&file)), RolloutLease::new(Arc::clone(&file)));
        let one = lease.acquire("one", Millis::secs(60)).await.unwrap();
        let held = lease.acquire("two", Millis::secs(60)).await;
        assert!(matches!(held, Err(LeaseError::Held { by, .. }) if by == "one"));
        assert_eq!(lease.acquire("one", Millis::secs(60)).await.unwrap().epoch, one.epoch);
        file.end_lease().unwrap();
        let two = lease.acquire("two", Millis::secs(60)).await.unwrap();
        assert!(two.epoch > one.epoch);
        let (first, records) = records("ro-1");
        let fenced = journal.append(&first, 0, one.epoch, &records).await;
        assert_eq!(fenced, Err(AppendError::Fenced { epoch: two.epoch }));
        let write = Write { fence: Some(one.epoch), table: Some(table(4)), ..Write::default() };
        assert!(matches!(file.write(&write), Err(JournalError::Fenced { .. })));
        assert_eq!(file.read().unwrap().table, None);
        journal.append(&first, 0, two.epoch, &records).await.unwrap();
        assert!(matches!(lease.renew(&one, Millis::secs(60)).await, Err(LeaseError::Held { .. })));
        lease.release(&one).await.unwrap();
        let still = ports::Grant { until: 0, ..lease.renew(&two, Millis::secs(60)).await.unwrap() };
        assert_eq!(still, ports::Grant { until: 0, ..two.clone() });
        lease.release(&two).await.unwrap();
        assert!(lease.acquire("one", Millis::secs(60)).await.unwrap().epoch > two.epoch);
    }

    #[test]
    fn a_person_is_remembered_by_rollout_step_and_gate() {
        let (_dir, journal) = journal();
        let rollout: RolloutId = "ro-1".parse().unwrap();
        let here = cutover_engine::rollout::Cursor::Forward(3);
        let word = |agrees| Word { at: 5, who: "ada".into(), agrees, reason: Some("fine".into()) };
        assert_eq!(journal.word(&rollout, here, "board").unwrap(), None);
        journal.keep_word(&rollout, here, "board", &word(false)).unwrap();
        journal.keep_word(&rollout, here, "board", &word(true)).unwrap();
        assert_eq!(journal.word(&rollout, here, "board").unwrap(), Some(word(true)));
        let there = cutover_engine::rollout::Cursor::Forward(4);
        assert_eq!(journal.word(&rollout, there, "board").unwrap(), None);
    }

    #[test]
    fn a_file_without_rollouts_is_brought_up_to_date_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(schema::FIRST).unwrap();
        old.pragma_update(None, "application_id", schema::APPLICATION).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute("INSERT INTO meta (key, value) VALUES ('color', 'green')", []).unwrap();
        drop(old);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.meta("color").unwrap().as_deref(), Some("green"));
        assert!(journal.rollouts(1).unwrap().is_empty());
        let (rollout, records) = records("ro-1");
        let append = RolloutAppend { rollout: rollout.clone(), expected: 0, records: records.clone() };
        journal.write(&Write { rollout: Some(append), ..Write::default() }).unwrap();
        assert_eq!(journal.rollout(&rollout).unwrap(), records);
    }
}
