//! `cutover wait`: for scripts that promoted elsewhere, or let somebody else promote, and need to know how it ended.

use std::time::{Duration, Instant};

use cutover_engine::{
    config::duration,
    control::{HistoryEntry, Outside, Release},
};
use cutover_routing::{ReleaseId, ReleaseState};

use crate::{
    client::Client,
    context::Context,
    failure::{Exit, Failure},
    view::reports::{Outcome, Waited},
};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Options of `wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, its start, or name of the release
    #[arg(long, value_name = "RELEASE")]
    release: String,
    /// Longest wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    timeout: Duration,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let release = super::find_release(&client, &args.release)?.id;
    let until = Instant::now() + args.timeout;
    let outcome = loop {
        if let Some(outcome) = look(&client, release)? {
            break outcome;
        }
        if Instant::now() >= until {
            break Outcome::TimedOut;
        }
        std::thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
    };
    let (exit, message) = match outcome {
        Outcome::Active => (Exit::Done, format!("{release} is active")),
        Outcome::RolledBack => (Exit::RolledBack, format!("{release} was rolled back or withdrawn")),
        Outcome::Superseded => (Exit::Superseded, format!("{release} was superseded")),
        Outcome::TimedOut => {
            (Exit::TimedOut, format!("{release} did not become active in {}", duration::format(args.timeout)))
        }
    };
    context.show(&Waited { release, outcome, message });
    Ok(exit)
}

/// How it ended, if it has.
fn look(client: &Client, id: ReleaseId) -> Result<Option<Outcome>, Failure> {
    let release = super::find_release(client, id.as_str())?;
    Ok(match state(&release) {
        State::Active => Some(Outcome::Active),
        State::Pending => None,
        State::Withdrawn => Some(Outcome::RolledBack),
        State::Left => {
            let history: Vec<HistoryEntry> = client.get("/v1/history?limit=1000")?;
            Some(how_it_was_left(&history, id))
        }
    })
}

enum State {
    Active,
    Pending,
    Withdrawn,
    Left,
}

fn state(release: &Release) -> State {
    match (release.outside, release.state) {
        (Some(Outside::Withdrawn), _) => State::Withdrawn,
        (None, Some(ReleaseState::Active)) => State::Active,
        (None, Some(ReleaseState::Staged | ReleaseState::Candidate)) => State::Pending,
        _ => State::Left,
    }
}

/// Tells a rollback from a later release: by the first switch after the last one that made this release active.
/// `history` is newest first.
fn how_it_was_left(history: &[HistoryEntry], id: ReleaseId) -> Outcome {
    let mut after = None;
    for entry in history {
        match entry.verb.as_str() {
            "promote" | "deploy" if entry.release == Some(id) => break,
            "promote" | "deploy" => after = Some(Outcome::Superseded),
            "rollback" | "withdraw" => after = Some(Outcome::RolledBack),
            _ => {}
        }
    }
    after.unwrap_or(Outcome::Superseded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(verb: &str, release: ReleaseId) -> HistoryEntry {
        HistoryEntry {
            seq: 1,
            at: 0,
            who: String::new(),
            verb: verb.to_owned(),
            release: Some(release),
            message: String::new(),
            reason: None,
            generation: None,
        }
    }

    #[test]
    fn the_switch_right_after_the_last_promotion_decides() {
        let (a, b): (ReleaseId, ReleaseId) = ("aaaaaaaa".parse().unwrap(), "bbbbbbbb".parse().unwrap());
        let newest_first = |entries: &[HistoryEntry]| how_it_was_left(entries, a);
        assert_eq!(newest_first(&[entry("rollback", b), entry("promote", a)]), Outcome::RolledBack);
        assert_eq!(newest_first(&[entry("promote", b), entry("promote", a)]), Outcome::Superseded);
        assert_eq!(
            newest_first(&[entry("rollback", b), entry("promote", b), entry("stage", b), entry("deploy", a)]),
            Outcome::Superseded
        );
        assert_eq!(newest_first(&[]), Outcome::Superseded);
    }
}
