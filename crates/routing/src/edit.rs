//! The only way tables change.
//!
//! Every edit is a pure function from one valid table to the next: what it may not do it refuses, and says why. The
//! rules that keep visitors from bouncing live here: a share grows upward and shrinks from its top, the ring is
//! rotated only while nobody holds a share, and what a rollback leaves takes no visitor back.

use crate::{
    BUCKETS, Entry, MAX_GENERATION, ReleaseId, ReleaseState, Share, Slot, Table, TableError, bucket_of,
    validate::valid_audience_name,
};

/// One change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Adds a release, reachable by preview token only.
    Stage {
        /// The release.
        release: ReleaseId,
        /// Its place, where the platform has places.
        slot: Option<Slot>,
    },
    /// Lets a staged or draining release hold a share.
    MakeCandidate {
        /// The release.
        release: ReleaseId,
    },
    /// Sets how many buckets out of 10 000 go to a candidate. The first share of a rollout rotates the ring by a number
    /// drawn from the release's id.
    SetShare {
        /// The release.
        release: ReleaseId,
        /// Buckets out of 10 000; 0 takes the share away.
        width: u16,
    },
    /// Makes a candidate or draining release the default; the old default drains, all shares end.
    Promote {
        /// The release.
        release: ReleaseId,
    },
    /// Makes an earlier release (draining or closed) the default again; the default and every candidate are left. Named
    /// the default itself, only the candidates are left: a rollback before promotion.
    Rollback {
        /// The release to go back to.
        to: ReleaseId,
        /// Close what is left (pins void at once) instead of letting it drain (open pages stay whole).
        close: bool,
    },
    /// Ends a release for everybody; refuses the active one.
    Close {
        /// The release.
        release: ReleaseId,
    },
    /// Lets a closed release serve its pins again, as draining.
    Reopen {
        /// The release.
        release: ReleaseId,
    },
    /// Closes a release from any state but active.
    Withdraw {
        /// The release.
        release: ReleaseId,
    },
    /// Takes a staged or closed release out of the table.
    Retire {
        /// The release.
        release: ReleaseId,
    },
    /// Sends an audience to a candidate or the active release, or to nowhere in particular.
    SetAudience {
        /// The audience.
        name: String,
        /// Where it goes.
        release: Option<ReleaseId>,
    },
}

/// Why an edit is refused. The table is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditRefused {
    /// The table does not know the release.
    #[error("release {0} is not in the routing table")]
    Unknown(ReleaseId),
    /// The table already says so: nothing to do.
    #[error("nothing to change: {0}")]
    NoChange(String),
    /// The release's state does not allow it.
    #[error("cannot {verb} release {release}: it is {state}; {hint}")]
    WrongState {
        /// What was asked.
        verb: &'static str,
        /// Of which release.
        release: ReleaseId,
        /// What it is.
        state: ReleaseState,
        /// What would do.
        hint: &'static str,
    },
    /// The share cannot be what was asked.
    #[error("cannot set the share of release {release} to {width}: {why}")]
    Share {
        /// The release.
        release: ReleaseId,
        /// Buckets asked for.
        width: u16,
        /// Why not.
        why: String,
    },
    /// Generations only grow.
    #[error("generation {given} is not above the table's {current}, or above {MAX_GENERATION}")]
    Generation {
        /// Of the new table.
        given: u64,
        /// Of the table as it is.
        current: u64,
    },
    /// The name does not name an audience.
    #[error("not an audience name: {0:?}")]
    Audience(String),
    /// The table would break a rule.
    #[error(transparent)]
    Invalid(#[from] TableError),
}

/// Applies one edit: the next table, which is valid and has the given generation.
///
/// # Errors
/// Where the edit is not allowed in the table's state. [`EditRefused::NoChange`] means that it already is so.
pub fn edit(table: &Table, edit: &Edit, generation: u64) -> Result<Table, EditRefused> {
    if generation <= table.generation || generation > MAX_GENERATION {
        return Err(EditRefused::Generation { given: generation, current: table.generation });
    }
    let mut next = table.clone();
    next.generation = generation;
    match edit {
        Edit::Stage { release, slot } => next.stage(*release, *slot)?,
        Edit::MakeCandidate { release } => next.make_candidate(*release)?,
        Edit::SetShare { release, width } => next.set_share(*release, *width)?,
        Edit::Promote { release } => next.promote(*release)?,
        Edit::Rollback { to, close } => next.roll_back(*to, *close)?,
        Edit::Close { release } => next.close("close", *release)?,
        Edit::Withdraw { release } => next.close("withdraw", *release)?,
        Edit::Reopen { release } => next.reopen(*release)?,
        Edit::Retire { release } => next.retire(*release)?,
        Edit::SetAudience { name, release } => next.set_audience(name, *release)?,
    }
    next.validate()?;
    Ok(next)
}

impl Table {
    fn known(&self, release: ReleaseId) -> Result<ReleaseState, EditRefused> {
        self.state(&release).ok_or(EditRefused::Unknown(release))
    }

    fn set_state(&mut self, release: ReleaseId, state: ReleaseState) {
        if let Some(entry) = self.releases.get_mut(&release) {
            entry.state = state;
        }
    }

    fn stage(&mut self, release: ReleaseId, slot: Option<Slot>) -> Result<(), EditRefused> {
        match self.state(&release) {
            None => {
                self.releases.insert(release, Entry { state: ReleaseState::Staged, slot });
                Ok(())
            }
            Some(ReleaseState::Staged) => {
                Err(EditRefused::NoChange(format!("release {release} is already staged")))
            }
            Some(state) => Err(wrong("stage", release, state, "it is in the table already")),
        }
    }

    fn make_candidate(&mut self, release: ReleaseId) -> Result<(), EditRefused> {
        match self.known(release)? {
            ReleaseState::Staged | ReleaseState::Draining => {
                self.drop_share(release);
                self.set_state(release, ReleaseState::Candidate);
                Ok(())
            }
            ReleaseState::Candidate => {
                Err(EditRefused::NoChange(format!("release {release} is already a candidate")))
            }
            state @ ReleaseState::Active => {
                Err(wrong("make a candidate of", release, state, "it has all visitors already"))
            }
            state @ ReleaseState::Closed => {
                Err(wrong("make a candidate of", release, state, "reopen it first"))
            }
        }
    }

    fn set_share(&mut self, release: ReleaseId, width: u16) -> Result<(), EditRefused> {
        let refuse = |why: String| Err(EditRefused::Share { release, width, why });
        let state = self.known(release)?;
        if state != ReleaseState::Candidate {
            return Err(wrong("set the share of", release, state, "only a candidate may hold a share"));
        }
        if width > BUCKETS {
            return refuse(format!("the most is {BUCKETS}"));
        }
        let held = self.shares.iter().position(|share| share.release == release);
        if held.map_or(0, |at| self.shares[at].width) == width {
            return Err(EditRefused::NoChange(format!("the share of release {release} is already {width}")));
        }
        if width == 0 {
            self.drop_share(release);
            return Ok(());
        }
        if self.default.is_none() {
            return refuse("there is no default release for the rest; promote one first".to_owned());
        }
        let index = held.unwrap_or_else(|| {
            if self.shares.iter().all(|share| share.width == 0) {
                self.offset = bucket_of(release.as_str());
            }
            let first = self.shares.iter().map(|share| share.first + share.width).max().unwrap_or(0);
            self.shares.push(Share { release, first, width: 0 });
            self.shares.len() - 1
        });
        let first = self.shares[index].first;
        let above = self.shares.iter().filter(|share| share.width > 0 && share.first > first);
        let room = above.map(|share| share.first).min().unwrap_or(BUCKETS) - first;
        if width > room {
            return refuse(format!("it grows upward from bucket {first} and has room for {room}"));
        }
        self.shares[index].width = width;
        Ok(())
    }

    fn promote(&mut self, release: ReleaseId) -> Result<(), EditRefused> {
        match self.known(release)? {
            ReleaseState::Candidate | ReleaseState::Draining => {}
            ReleaseState::Active => {
                return Err(EditRefused::NoChange(format!("release {release} is already active")));
            }
            state @ ReleaseState::Staged => {
                return Err(wrong("promote", release, state, "make it a candidate first"));
            }
            state @ ReleaseState::Closed => return Err(wrong("promote", release, state, "reopen it first")),
        }
        if let Some(old) = self.default {
            self.set_state(old, ReleaseState::Draining);
            self.drop_audiences(old);
        }
        self.shares.retain(|share| share.width == 0 && share.release != release);
        self.set_state(release, ReleaseState::Active);
        self.default = Some(release);
        Ok(())
    }

    fn roll_back(&mut self, to: ReleaseId, close: bool) -> Result<(), EditRefused> {
        match self.known(to)? {
            ReleaseState::Draining | ReleaseState::Closed | ReleaseState::Active => {}
            state @ (ReleaseState::Staged | ReleaseState::Candidate) => {
                return Err(wrong("roll back to", to, state, "it never was the default; promote it instead"));
            }
        }
        let left: Vec<ReleaseId> = self
            .releases
            .iter()
            .filter(|(id, entry)| {
                **id != to && matches!(entry.state, ReleaseState::Active | ReleaseState::Candidate)
            })
            .map(|(id, _)| *id)
            .collect();
        if left.is_empty() && self.default == Some(to) {
            return Err(EditRefused::NoChange(format!("already on release {to}")));
        }
        self.drop_share(to);
        for release in left {
            self.drop_share(release);
            self.drop_audiences(release);
            if close {
                self.set_state(release, ReleaseState::Closed);
            } else {
                self.set_state(release, ReleaseState::Draining);
                self.recall(release);
            }
        }
        self.set_state(to, ReleaseState::Active);
        self.default = Some(to);
        Ok(())
    }

    fn close(&mut self, verb: &'static str, release: ReleaseId) -> Result<(), EditRefused> {
        match self.known(release)? {
            state @ ReleaseState::Active => {
                Err(wrong(verb, release, state, "it has the visitors; roll back or promote another first"))
            }
            ReleaseState::Closed => {
                Err(EditRefused::NoChange(format!("release {release} is already closed")))
            }
            _ => {
                self.drop_share(release);
                self.drop_audiences(release);
                self.set_state(release, ReleaseState::Closed);
                Ok(())
            }
        }
    }

    fn reopen(&mut self, release: ReleaseId) -> Result<(), EditRefused> {
        match self.known(release)? {
            ReleaseState::Closed => {
                self.set_state(release, ReleaseState::Draining);
                self.recall(release);
                Ok(())
            }
            ReleaseState::Draining => {
                Err(EditRefused::NoChange(format!("release {release} is already open")))
            }
            state => Err(wrong("reopen", release, state, "it is not closed")),
        }
    }

    fn retire(&mut self, release: ReleaseId) -> Result<(), EditRefused> {
        match self.known(release)? {
            ReleaseState::Staged | ReleaseState::Closed => {
                self.releases.remove(&release);
                Ok(())
            }
            state @ ReleaseState::Active => {
                Err(wrong("retire", release, state, "promote another and close it first"))
            }
            state => Err(wrong("retire", release, state, "close it first")),
        }
    }

    fn set_audience(&mut self, name: &str, release: Option<ReleaseId>) -> Result<(), EditRefused> {
        if !valid_audience_name(name) {
            return Err(EditRefused::Audience(name.to_owned()));
        }
        if self.audiences.get(name).copied() == release {
            return Err(EditRefused::NoChange(match release {
                Some(release) => format!("audience {name} is already sent to release {release}"),
                None => format!("audience {name} is not sent anywhere"),
            }));
        }
        let Some(release) = release else {
            self.audiences.remove(name);
            return Ok(());
        };
        match self.known(release)? {
            ReleaseState::Candidate | ReleaseState::Active => {
                self.audiences.insert(name.to_owned(), release);
                Ok(())
            }
            state => Err(wrong(
                "send an audience to",
                release,
                state,
                "only a candidate or the active release takes one",
            )),
        }
    }

    /// Marks a draining release as recalled: a share of width 0 holds none of its visitors by policy.
    fn recall(&mut self, release: ReleaseId) {
        self.shares.push(Share { release, first: 0, width: 0 });
    }

    fn drop_share(&mut self, release: ReleaseId) {
        self.shares.retain(|share| share.release != release);
    }

    fn drop_audiences(&mut self, release: ReleaseId) {
        self.audiences.retain(|_, to| *to != release);
    }
}

fn wrong(verb: &'static str, release: ReleaseId, state: ReleaseState, hint: &'static str) -> EditRefused {
    EditRefused::WrongState { verb, release, state, hint }
}

/// 2025-01-01T00:00:00Z in Unix seconds.
pub const GENERATION_EPOCH: u64 = 1_735_689_600;

/// The generation of the next table: above everything `observed` in any store, edge or router, and at least the seconds
/// since 2025-01-01T00:00Z, so that a controller restored from an old backup can still act.
pub fn next_generation(observed: u64, now_unix: u64) -> u64 {
    observed.saturating_add(1).max(now_unix.saturating_sub(GENERATION_EPOCH))
}
