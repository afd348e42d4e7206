//! The schema, its versions, and how a file is opened without ever harming what it does not understand.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::JournalError;

/// Written into the file's header (`PRAGMA application_id`): the letters `CutO`.
pub(super) const APPLICATION: i64 = 0x4375_744f;

/// One step per schema version, never changed once released; the version is the number of steps applied.
const MIGRATIONS: &[&str] = &[FIRST, ROLLOUTS];

pub(super) const FIRST: &str = "
    CREATE TABLE records (
        seq        INTEGER PRIMARY KEY,
        at         INTEGER NOT NULL,
        who        TEXT NOT NULL,
        verb       TEXT NOT NULL,
        release    TEXT,
        message    TEXT NOT NULL,
        reason     TEXT,
        generation INTEGER,
        kind       TEXT NOT NULL CHECK (kind IN ('outcome', 'failure', 'note')),
        operation  TEXT
    ) STRICT;
    CREATE INDEX records_operation ON records (operation);
    CREATE TRIGGER records_are_kept BEFORE DELETE ON records
        BEGIN SELECT RAISE (ABORT, 'the history is append-only'); END;
    CREATE TRIGGER records_stay_as_they_are BEFORE UPDATE ON records
        BEGIN SELECT RAISE (ABORT, 'the history is append-only'); END;
    CREATE TRIGGER records_have_no_gaps BEFORE INSERT ON records
        WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM records)
        BEGIN SELECT RAISE (ABORT, 'the history has no gaps'); END;

    CREATE TABLE intents (
        operation  TEXT PRIMARY KEY,
        at         INTEGER NOT NULL,
        who        TEXT NOT NULL,
        verb       TEXT NOT NULL,
        release    TEXT,
        committed  INTEGER
    ) STRICT;

    CREATE TABLE releases (
        id          TEXT PRIMARY KEY,
        name        TEXT,
        commit_id   TEXT,
        base        TEXT NOT NULL,
        slot        TEXT,
        staged_at   INTEGER NOT NULL,
        staged_by   TEXT NOT NULL,
        outside     TEXT,
        barred      TEXT,
        state_since INTEGER NOT NULL,
        promoted_at INTEGER,
        gates       TEXT NOT NULL,
        files       INTEGER NOT NULL,
        bytes       INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE routing (
        one        INTEGER PRIMARY KEY CHECK (one = 1),
        generation INTEGER NOT NULL,
        document   TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER routing_never_goes_back BEFORE UPDATE ON routing
        WHEN NEW.generation <= OLD.generation
        BEGIN SELECT RAISE (ABORT, 'the generation never goes back'); END;

    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
";

const ROLLOUTS: &str = "
    CREATE TABLE rollouts (
        number    INTEGER PRIMARY KEY,
        id        TEXT NOT NULL UNIQUE,
        opened_at INTEGER NOT NULL,
        green     TEXT NOT NULL
    ) STRICT;
    CREATE INDEX rollouts_green ON rollouts (green);

    CREATE TABLE rollout_records (
        rollout TEXT NOT NULL REFERENCES rollouts (id),
        seq     INTEGER NOT NULL,
        at      INTEGER NOT NULL,
        body    TEXT NOT NULL,
        PRIMARY KEY (rollout, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER rollout_records_are_kept BEFORE DELETE ON rollout_records
        BEGIN SELECT RAISE (ABORT, 'the records of rollouts are append-only'); END;
    CREATE TRIGGER rollout_records_stay_as_they_are BEFORE UPDATE ON rollout_records
        BEGIN SELECT RAISE (ABORT, 'the records of rollouts are append-only'); END;
    CREATE TRIGGER rollout_records_have_no_gaps BEFORE INSERT ON rollout_records
        WHEN NEW.seq <> (SELECT coalesce(max(seq), -1) + 1 FROM rollout_records WHERE rollout = NEW.rollout)
        BEGIN SELECT RAISE (ABORT, 'the records of rollouts have no gaps'); END;

    CREATE TABLE lease (
        one   INTEGER PRIMARY KEY CHECK (one = 1),
        owner TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        until INTEGER NOT NULL
    ) STRICT;
    CREATE TRIGGER lease_never_goes_back BEFORE UPDATE ON lease
        WHEN NEW.epoch < OLD.epoch
        BEGIN SELECT RAISE (ABORT, 'the epoch never goes back'); END;

    CREATE TABLE words (
        rollout TEXT NOT NULL,
        step    TEXT NOT NULL,
        gate    TEXT NOT NULL,
        at      INTEGER NOT NULL,
        who     TEXT NOT NULL,
        agrees  INTEGER NOT NULL CHECK (agrees IN (0, 1)),
        reason  TEXT,
        PRIMARY KEY (rollout, step, gate)
    ) STRICT, WITHOUT ROWID;
";

/// The newest schema this version of Cutover knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Opens or makes the file.
pub(super) fn open(path: &Path, busy: Duration) -> Result<Connection, JournalError> {
    make(path)?;
    let failed = |doing| {
        let path = path.to_owned();
        move |source| JournalError::from_sqlite(path, doing, source)
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed("opening"))?;
    connection.busy_timeout(busy).map_err(failed("opening"))?;
    // Everything up to here, and the checks that follow, only read.
    let version = check(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(failed("opening"))?;
    connection.pragma_update(None, "synchronous", "full").map_err(failed("opening"))?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed("opening"))?;
    migrate(&mut connection, version).map_err(failed("bringing up to date"))?;
    Ok(connection)
}

/// Makes an empty file for its owner only: the journal holds the keys that sign previews.
fn make(path: &Path) -> Result<(), JournalError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(JournalError::Sqlite {
            path: path.to_owned(),
            doing: "making",
            source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
        }),
    }
}

/// Reads the version; refuses what is damaged, foreign or newer.
fn check(connection: &Connection, path: &Path) -> Result<i64, JournalError> {
    let failed = |source| JournalError::from_sqlite(path.to_owned(), "reading", source);
    let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), why };
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if version == 0 && application == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION {
        return Err(damaged("it is a database, but no journal of Cutover".to_owned()));
    }
    if version > known() {
        return Err(JournalError::Newer { path: path.to_owned(), found: version, known: known() });
    }
    if version < 1 {
        return Err(damaged(format!("it says it has schema {version}")));
    }
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    Ok(version)
}

fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    for (step, statements) in (1..).zip(MIGRATIONS).skip(usize::try_from(version).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", step as i64)?;
        transaction.commit()?;
    }
    Ok(())
}
