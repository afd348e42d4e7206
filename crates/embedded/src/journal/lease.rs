//! The lease: who may act, in the file that everything they write is written to.

use cutover_engine::ports::Grant;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    Journal, JournalError,
    write::{signed, unsigned},
};

/// The epoch of the newest grant; 0 before the first.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<u64> {
    let epoch: Option<i64> =
        connection.query_row("SELECT epoch FROM lease", [], |row| row.get(0)).optional()?;
    Ok(epoch.map_or(0, unsigned))
}

fn stored(connection: &Connection) -> rusqlite::Result<Option<Grant>> {
    connection
        .query_row("SELECT owner, epoch, until FROM lease", [], |row| {
            Ok(Grant { owner: row.get(0)?, epoch: unsigned(row.get(1)?), until: unsigned(row.get(2)?) })
        })
        .optional()
}

fn put(connection: &Connection, grant: &Grant) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO lease (one, owner, epoch, until) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, until = excluded.until",
        params![grant.owner, signed(grant.epoch), signed(grant.until)],
    )?;
    Ok(())
}

impl Journal {
    /// Gives the lease to `owner` until `until` where it is free, has run out at `now`, or is theirs. The inner error is
    /// the grant of whoever has it.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn lease(&self, owner: &str, now: u64, until: u64) -> Result<Result<Grant, Grant>, JournalError> {
        self.leased(|known| match known {
            Some(known) if known.owner != owner && known.until > now => Err(known),
            Some(known) if known.owner == owner && known.until > now => Ok(Grant { until, ..known }),
            known => {
                let epoch = known.map_or(0, |known| known.epoch) + 1;
                Ok(Grant { owner: owner.to_owned(), epoch, until })
            }
        })
    }

    /// Makes a grant last until `until`. The inner error is the grant of whoever has had it since.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn renew_lease(&self, grant: &Grant, until: u64) -> Result<Result<Grant, Grant>, JournalError> {
        self.leased(|known| match known {
            Some(known) if known.owner == grant.owner && known.epoch == grant.epoch => {
                Ok(Grant { until, ..known })
            }
            Some(known) => Err(known),
            None => Ok(Grant { until, ..grant.clone() }),
        })
    }

    /// Ends a grant; nothing happens where it is somebody else's by now.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn release_lease(&self, grant: &Grant) -> Result<(), JournalError> {
        let ended = |known: Option<Grant>| match known {
            Some(known) if known.owner == grant.owner && known.epoch == grant.epoch => {
                Ok(Grant { until: 0, ..known })
            }
            known => Err(known.unwrap_or_else(|| grant.clone())),
        };
        self.leased(ended).map(drop)
    }

    /// Ends whatever grant there is. For whoever knows by other means that its holder is gone.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn end_lease(&self) -> Result<(), JournalError> {
        self.connection().execute("UPDATE lease SET until = 0", []).map_err(self.failed("writing"))?;
        Ok(())
    }

    fn leased(
        &self,
        decide: impl FnOnce(Option<Grant>) -> Result<Grant, Grant>,
    ) -> Result<Result<Grant, Grant>, JournalError> {
        let mut connection = self.connection();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(self.failed("writing"))?;
        let known = stored(&transaction).map_err(self.failed("reading"))?;
        match decide(known.clone()) {
            Ok(grant) => {
                if known.as_ref() != Some(&grant) {
                    put(&transaction, &grant).map_err(self.failed("writing"))?;
                    transaction.commit().map_err(self.failed("writing"))?;
                }
                Ok(Ok(grant))
            }
            Err(other) => Ok(Err(other)),
        }
    }
}
