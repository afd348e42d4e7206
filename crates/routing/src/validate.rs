//! What makes a table well formed.
//!
//! A table that breaks a rule here is never published, and an edge that is given one keeps what it has. `decide` does
//! not rely on it: whatever the table says, it serves no release that is not servable in it.

use crate::{BUCKETS, MAX_GENERATION, ReleaseId, ReleaseState, Share, Table, TableError};

/// Longest compact form in bytes: what CloudFront's key-value store holds under one key. It bounds the number of
/// releases, shares and audiences of every table.
pub const MAX_COMPACT: usize = 1024;

/// Longest audience name, in characters.
pub const MAX_AUDIENCE_NAME: usize = 32;

impl Table {
    /// Checks that the table can be published.
    ///
    /// # Errors
    /// The first rule that is broken, in words.
    pub fn validate(&self) -> Result<(), TableError> {
        if self.generation > MAX_GENERATION {
            return invalid(format!("generation {} is above {MAX_GENERATION}", self.generation));
        }
        if self.offset >= BUCKETS {
            return invalid(format!("offset {} is not below {BUCKETS}", self.offset));
        }
        self.validate_default()?;
        self.validate_shares()?;
        self.validate_audiences()?;
        let size = self.to_compact().len();
        if size > MAX_COMPACT {
            return invalid(format!(
                "its compact form has {size} bytes, the most is {MAX_COMPACT}; retire closed releases"
            ));
        }
        Ok(())
    }

    fn validate_default(&self) -> Result<(), TableError> {
        let active: Vec<&ReleaseId> = self
            .releases
            .iter()
            .filter(|(_, entry)| entry.state == ReleaseState::Active)
            .map(|(id, _)| id)
            .collect();
        match (&self.default, active.as_slice()) {
            (None, []) => Ok(()),
            (None, [one, ..]) => invalid(format!("release {one} is active but there is no default")),
            (Some(default), []) => invalid(format!("the default {default} is not active")),
            (Some(default), [one]) if default == *one => Ok(()),
            (Some(default), [one]) => invalid(format!("the default is {default} but {one} is active")),
            (Some(_), _) => invalid("more than one release is active".to_owned()),
        }
    }

    fn validate_shares(&self) -> Result<(), TableError> {
        for (index, share) in self.shares.iter().enumerate() {
            let Share { release, first, width } = share;
            if u32::from(*first) + u32::from(*width) > u32::from(BUCKETS) {
                return invalid(format!("the share of {release} ends beyond bucket {}", BUCKETS - 1));
            }
            match (self.state(release), width) {
                (None, _) => {
                    return invalid(format!(
                        "the share of {release} names a release that is not in the table"
                    ));
                }
                (Some(ReleaseState::Candidate), _) | (Some(ReleaseState::Draining), 0) => {}
                (Some(state), _) => {
                    return invalid(format!(
                        "release {release} is {state} and holds a share; only a candidate may"
                    ));
                }
            }
            if *width > 0 && self.default.is_none() {
                return invalid(format!(
                    "release {release} holds a share but there is no default for the rest"
                ));
            }
            for other in &self.shares[..index] {
                if other.release == *release {
                    return invalid(format!("release {release} holds two shares"));
                }
                if overlap(share, other) {
                    return invalid(format!("the shares of {release} and {} overlap", other.release));
                }
            }
        }
        Ok(())
    }

    fn validate_audiences(&self) -> Result<(), TableError> {
        for (name, release) in &self.audiences {
            if !valid_audience_name(name) {
                return invalid(format!(
                    "audience name {name:?}: expected 1 to {MAX_AUDIENCE_NAME} characters out of a-z A-Z 0-9 _ -"
                ));
            }
            match self.state(release) {
                Some(ReleaseState::Candidate | ReleaseState::Active) => {}
                Some(state) => {
                    return invalid(format!(
                        "audience {name} is sent to {release}, which is {state} and takes no visitors"
                    ));
                }
                None => {
                    return invalid(format!(
                        "audience {name} is sent to {release}, which is not in the table"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// True for what may name an audience in a table.
pub(crate) fn valid_audience_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_AUDIENCE_NAME).contains(&name.len()) && name.bytes().all(inside)
}

fn overlap(one: &Share, other: &Share) -> bool {
    let end = |share: &Share| u32::from(share.first) + u32::from(share.width);
    one.width > 0 && other.width > 0 && u32::from(one.first) < end(other) && u32::from(other.first) < end(one)
}

fn invalid(what: String) -> Result<(), TableError> {
    Err(TableError::Invalid(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Slot};

    fn id(text: &str) -> ReleaseId {
        text.parse().unwrap()
    }

    fn table() -> Table {
        let entry = |state| Entry { state, slot: None };
        Table {
            generation: 5,
            default: Some(id("blue0001")),
            releases: [
                (id("blue0001"), entry(ReleaseState::Active)),
                (id("green002"), entry(ReleaseState::Candidate)),
                (id("drain003"), entry(ReleaseState::Draining)),
                (id("stage004"), entry(ReleaseState::Staged)),
                (id("close005"), entry(ReleaseState::Closed)),
            ]
            .into(),
            ..Table::empty()
        }
    }

    fn share(release: &str, first: u16, width: u16) -> Share {
        Share { release: id(release), first, width }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Table), part: &str) {
        let mut table = table();
        change(&mut table);
        let error = table.validate().unwrap_err().to_string();
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }

    #[test]
    fn well_formed_tables_pass() {
        table().validate().unwrap();
        Table::empty().validate().unwrap();
        let mut full = table();
        full.shares = vec![share("green002", 0, 10_000), share("drain003", 0, 0)];
        full.audiences.insert("staff".into(), id("green002"));
        full.validate().unwrap();
    }

    #[test]
    fn the_default_is_the_one_active_release() {
        refused(|t| t.default = None, "no default");
        refused(|t| t.default = Some(id("green002")), "is active");
        refused(|t| t.default = Some(id("missing9")), "is active");
        refused(|t| t.releases.values_mut().for_each(|e| e.state = ReleaseState::Active), "more than one");
        refused(|t| t.releases.values_mut().for_each(|e| e.state = ReleaseState::Closed), "is not active");
    }

    #[test]
    fn shares_are_inside_disjoint_and_of_candidates() {
        refused(|t| t.shares = vec![share("green002", 1, 10_000)], "beyond");
        refused(|t| t.shares = vec![share("green002", u16::MAX, u16::MAX)], "beyond");
        refused(|t| t.shares = vec![share("green002", 0, 5), share("green002", 5, 5)], "two shares");
        for (release, part) in
            [("blue0001", "active"), ("stage004", "staged"), ("close005", "closed"), ("drain003", "draining")]
        {
            refused(|t| t.shares = vec![share(release, 0, 1)], part);
        }
        refused(|t| t.shares = vec![share("missing9", 0, 0)], "not in the table");
        refused(
            |t| {
                t.releases
                    .insert(id("green003"), Entry { state: ReleaseState::Candidate, slot: Some(Slot::Blue) });
                t.shares = vec![share("green002", 0, 6), share("green003", 5, 5)];
            },
            "overlap",
        );
    }

    #[test]
    fn audiences_are_sent_where_visitors_may_come() {
        for release in ["stage004", "close005", "drain003", "missing9"] {
            refused(|t| t.audiences = [("staff".into(), id(release))].into(), "audience staff");
        }
        for name in ["", "two words", "a\"b", "ü", &"x".repeat(33)] {
            refused(|t| t.audiences = [(name.into(), id("green002"))].into(), "audience name");
        }
    }

    #[test]
    fn numbers_and_size_are_bounded() {
        refused(|t| t.generation = MAX_GENERATION + 1, "generation");
        refused(|t| t.offset = 10_000, "offset");
        refused(
            |t| {
                for n in 0..60 {
                    let entry = Entry { state: ReleaseState::Closed, slot: None };
                    t.releases.insert(id(&format!("closed{n:010}")), entry);
                }
            },
            "1024",
        );
    }
}
