//! What goes wrong with a call, and where a controller dies.

use cutover_rollout::Act;

/// What the far side makes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It happens, and the answer says so.
    Ok,
    /// Refused for now; it does not happen.
    Throttled,
    /// Refused for good; it does not happen.
    RefusedForGood,
    /// It happens; the answer is a failure of the server.
    FailedApplied,
    /// It does not happen; the answer is a failure of the server.
    FailedNotApplied,
    /// No answer ever comes; it happens so many milliseconds after it was sent, whatever has become of its sender.
    LandsLater(u64),
    /// No answer ever comes, and it never happens.
    Lost,
    /// It happens and is answered, but so many looks still show what was before.
    StaleReads(u32),
}

/// The points of an effect at which its controller can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// The intent is in the journal; nothing was sent.
    BeforeSend,
    /// It was sent, and has not happened.
    Sent,
    /// It has happened, and nothing was answered.
    Applied,
    /// It was answered; the outcome is not in the journal.
    Answered,
    /// The outcome is in the journal; nothing has followed from it.
    Recorded,
}

/// All of them, in order.
pub const POINTS: [Point; 5] =
    [Point::BeforeSend, Point::Sent, Point::Applied, Point::Answered, Point::Recorded];

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// What the far side makes of it.
    pub answer: Answer,
    /// Where the controller dies, if it does.
    pub crash: Option<Point>,
}

/// What goes wrong with one append to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppendFault {
    /// It fails, and nothing is there: a full disk.
    Failed,
    /// It fails, and the records are there all the same.
    FailedLanded,
    /// The controller dies before.
    CrashBefore,
    /// The controller dies when the records are there.
    CrashAfter,
}

/// All of them.
pub const APPEND_FAULTS: [AppendFault; 4] =
    [AppendFault::Failed, AppendFault::FailedLanded, AppendFault::CrashBefore, AppendFault::CrashAfter];

/// All that can go wrong with a single call whose deadline is `call` milliseconds and that may land `late` milliseconds
/// after it.
pub fn faults_of(act: &Act, call: u64, late: u64) -> Vec<Fault> {
    let only = |answer| Fault { answer, crash: None };
    let dying = |answer, point| Fault { answer, crash: Some(point) };
    let gate = matches!(act, Act::Gate(_));
    let mut faults = vec![dying(Answer::Ok, Point::BeforeSend)];
    let mut answers = vec![Answer::Ok];
    if !gate {
        // Before the deadline, just after it, when somebody else has gone on, as late as it can be.
        let late = late.saturating_sub(500);
        let landings = [call / 3, call + 1, call + late / 2, call + 3 * late / 4, call + late];
        for landing in landings {
            faults.push(only(Answer::LandsLater(landing)));
            faults.push(dying(Answer::LandsLater(landing), Point::Sent));
        }
        answers.extend([
            Answer::Throttled,
            Answer::RefusedForGood,
            Answer::FailedApplied,
            Answer::FailedNotApplied,
            Answer::StaleReads(1),
            Answer::StaleReads(3),
        ]);
        faults.push(dying(Answer::StaleReads(2), Point::Applied));
    }
    faults.push(dying(Answer::Lost, Point::Sent));
    faults.push(dying(Answer::Ok, Point::Applied));
    for answer in answers {
        if answer != Answer::Ok {
            faults.push(only(answer));
        }
        faults.push(dying(answer, Point::Answered));
        faults.push(dying(answer, Point::Recorded));
    }
    faults
}
