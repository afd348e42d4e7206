//! Journal and lease in memory. They outlive every controller, and can fail as disks do.

use cutover_engine::{
    Error, ErrorKind,
    ports::{AppendError, Grant, Journal, Lease, LeaseError},
};
use cutover_rollout::{Body, Millis, Record, RolloutId};

use super::{controller::Controller, fault::AppendFault, log::What, world};

fn failure(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "CUT0607", what)
}

impl Journal for Controller {
    async fn append(
        &self,
        rollout: &RolloutId,
        expected: u64,
        epoch: u64,
        records: &[Record],
    ) -> Result<(), AppendError> {
        self.alive().await;
        self.world.time.sleep(1).await;
        self.alive().await;
        let now = self.world.time.now();
        let (fault, doomed, full) = {
            let mut inner = self.world.lock();
            let number = inner.appends;
            inner.appends += 1;
            let doomed = inner.doomed.remove(&self.id);
            (inner.append_faults.get(&number).copied(), doomed, inner.disk_full_until > now)
        };
        if doomed == Some(true) || fault == Some(AppendFault::CrashBefore) {
            self.world.kill(self.id);
            self.alive().await;
        }
        if full || fault == Some(AppendFault::Failed) {
            self.world.note(self.id, What::NotAppended("no space left".to_owned()));
            return Err(AppendError::Failed(failure("no space left on the journal's disk")));
        }
        let appended = self.put(rollout, expected, epoch, records, now);
        if doomed == Some(false) || fault == Some(AppendFault::CrashAfter) {
            self.world.kill(self.id);
            self.alive().await;
        }
        if appended.is_ok() && fault == Some(AppendFault::FailedLanded) {
            return Err(AppendError::Failed(failure("syncing the journal")));
        }
        appended
    }

    async fn read(&self, rollout: &RolloutId) -> Result<Vec<Record>, Error> {
        self.alive().await;
        Ok(self.world.records(rollout))
    }

    async fn newest(&self, limit: usize) -> Result<Vec<RolloutId>, Error> {
        self.alive().await;
        Ok(self.world.lock().order.iter().take(limit).cloned().collect())
    }
}

impl Controller {
    fn put(
        &self,
        rollout: &RolloutId,
        expected: u64,
        epoch: u64,
        records: &[Record],
        now: u64,
    ) -> Result<(), AppendError> {
        let mut inner = self.world.lock();
        let granted = inner.lease.as_ref().map_or(0, |(_, epoch, _)| *epoch);
        let refused = if epoch < granted {
            Some(AppendError::Fenced { epoch: granted })
        } else {
            let found = inner.journal.get(rollout).map_or(0, Vec::len) as u64;
            (found != expected).then_some(AppendError::Conflict { expected, found })
        };
        if let Some(refused) = refused {
            inner.note(now, self.id, What::NotAppended(refused.to_string()));
            return Err(refused);
        }
        if expected == 0 {
            inner.order.insert(0, rollout.clone());
        }
        let lines: Vec<String> = records.iter().map(world::line).collect();
        inner.journal.entry(rollout.clone()).or_default().extend(lines);
        let what = What::Appended { rollout: rollout.clone(), epoch, records: records.to_vec() };
        inner.note(now, self.id, what);
        if let Some(Body::Opened { plan, .. }) = records.first().map(|record| &record.body) {
            inner.judged = Some(plan.green);
            inner.note_well(now);
        }
        Ok(())
    }

    fn grant(&self, owner: &str, epoch: u64, length: Millis) -> Grant {
        let until = self.world.time.now() + length.0;
        self.world.lock().lease = Some((owner.to_owned(), epoch, until));
        Grant { owner: owner.to_owned(), epoch, until }
    }

    async fn store(&self) -> Result<(), LeaseError> {
        self.alive().await;
        self.world.time.sleep(1).await;
        self.alive().await;
        let gone = self.world.lock().lease_gone_until > self.world.time.now();
        if gone { Err(LeaseError::Failed(failure("the lease's store does not answer"))) } else { Ok(()) }
    }
}

impl Lease for Controller {
    async fn acquire(&self, owner: &str, length: Millis) -> Result<Grant, LeaseError> {
        self.store().await?;
        let now = self.world.time.now();
        let held = self.world.lock().lease.clone();
        let epoch = match held {
            Some((by, _, until)) if by != owner && until > now => {
                return Err(LeaseError::Held { by, until });
            }
            Some((_, epoch, until)) if until > now => epoch,
            Some((_, epoch, _)) => epoch + 1,
            None => 1,
        };
        self.world.note(self.id, What::Leads(epoch));
        Ok(self.grant(owner, epoch, length))
    }

    async fn renew(&self, grant: &Grant, length: Millis) -> Result<Grant, LeaseError> {
        self.store().await?;
        let held = self.world.lock().lease.clone();
        match held {
            Some((owner, epoch, _)) if epoch == grant.epoch => Ok(self.grant(&owner, epoch, length)),
            Some((by, _, until)) => Err(LeaseError::Held { by, until }),
            None => Err(LeaseError::Held { by: "nobody".to_owned(), until: 0 }),
        }
    }

    async fn release(&self, grant: &Grant) -> Result<(), LeaseError> {
        self.store().await?;
        let mut inner = self.world.lock();
        if let Some((_, _, until)) = inner.lease.as_mut().filter(|(_, epoch, _)| *epoch == grant.epoch) {
            *until = 0;
        }
        Ok(())
    }
}
