//! Journal and lease.

use cutover_engine::ports::{AppendError, Journal, Lease, LeaseError};
use cutover_rollout::{Event, Millis, Record, RolloutId, step};

use crate::fake::{blue, green, stories};

/// The first records of a rollout.
fn records(rollout: &RolloutId) -> Vec<Record> {
    let plan = stories::plan(rollout, "5%, 100%", cutover_rollout::After::Park, Some(blue()), green());
    let event = Event::Open { plan: Box::new(plan), by: "ann".to_owned() };
    let opened = step(None, &event, 1_800_000_000_000).unwrap();
    let later = step(Some(&opened.state), &Event::Restarted, 1_800_000_001_000).unwrap();
    opened.records.into_iter().chain(later.records).collect()
}

/// A journal appends all or none, in sequence, keeps what it has answered for, and refuses who lost the lease.
///
/// `open` gives an empty journal with the lease of the same store; `reopen` closes it and opens it again, as after a crash.
pub async fn journal<J: Journal, L: Lease>(
    open: impl AsyncFn() -> (J, L),
    reopen: impl AsyncFn(J, L) -> (J, L),
) {
    let (journal, lease) = open().await;
    let grant = lease.acquire("one", Millis::secs(60)).await.unwrap();
    let (first, second) = (stories::rollout(1), stories::rollout(2));
    let all = records(&first);
    assert_eq!(journal.read(&first).await.unwrap(), [], "a rollout that never was has no records");
    assert_eq!(journal.newest(5).await.unwrap(), [], "an empty journal has no rollouts");

    journal.append(&first, 0, grant.epoch, &all[..2]).await.unwrap();
    assert_eq!(journal.read(&first).await.unwrap(), all[..2], "what was appended is read as it was");
    let conflict = journal.append(&first, 0, grant.epoch, &all[2..]).await;
    assert_eq!(conflict, Err(AppendError::Conflict { expected: 0, found: 2 }), "nothing is overwritten");
    let conflict = journal.append(&first, 9, grant.epoch, &all[2..]).await;
    assert_eq!(conflict, Err(AppendError::Conflict { expected: 9, found: 2 }), "there are no gaps");
    assert_eq!(journal.read(&first).await.unwrap(), all[..2], "a refused append leaves nothing");
    journal.append(&first, 2, grant.epoch, &all[2..]).await.unwrap();
    journal.append(&second, 0, grant.epoch, &records(&second)).await.unwrap();
    let newest = journal.newest(5).await.unwrap();
    assert_eq!(newest, [second.clone(), first.clone()], "the newest rollout comes first");
    assert_eq!(journal.newest(1).await.unwrap(), std::slice::from_ref(&second), "no more than asked for");

    let (journal, lease) = reopen(journal, lease).await;
    assert_eq!(journal.read(&first).await.unwrap(), all, "what was answered for outlives a crash");
    assert_eq!(journal.newest(5).await.unwrap(), newest);

    lease.release(&grant).await.unwrap();
    let next = lease.acquire("two", Millis::secs(60)).await.unwrap();
    let expected = u64::try_from(records(&second).len()).unwrap();
    let late = journal.append(&second, expected, grant.epoch, &all[..1]).await;
    assert!(
        matches!(late, Err(AppendError::Fenced { epoch }) if epoch == next.epoch),
        "who lost the lease writes nothing, though its successor has not written yet: {late:?}"
    );
}

/// A lease has one holder at a time, whose epoch is higher than that of every other before.
///
/// `open` gives a lease that was never taken; `pass` lets so much time pass for it.
pub async fn lease<L: Lease>(open: impl AsyncFn() -> L, pass: impl AsyncFn(Millis)) {
    let lease = open().await;
    let length = Millis::secs(2);
    let one = lease.acquire("one", length).await.unwrap();
    assert_eq!(one.owner, "one");
    let held = lease.acquire("two", length).await;
    assert!(
        matches!(&held, Err(LeaseError::Held { by, until }) if by == "one" && *until <= one.until),
        "somebody else is told who has it: {held:?}"
    );
    let again = lease.acquire("one", length).await.unwrap();
    assert_eq!(again.epoch, one.epoch, "its own holder keeps the epoch");

    pass(Millis(1_200)).await;
    let renewed = lease.renew(&again, length).await.unwrap();
    assert_eq!(renewed.epoch, one.epoch, "renewing keeps the epoch");
    assert!(renewed.until > one.until, "renewing makes it last longer");
    pass(Millis(1_200)).await;
    assert!(lease.acquire("two", length).await.is_err(), "it was renewed");

    pass(Millis(2_200)).await;
    let two = lease.acquire("two", length).await.unwrap();
    assert!(two.epoch > one.epoch, "a new holder has a higher epoch");
    let lost = lease.renew(&renewed, length).await;
    assert!(matches!(lost, Err(LeaseError::Held { .. })), "who lost it cannot renew it: {lost:?}");
    lease.release(&renewed).await.unwrap();
    assert!(lease.acquire("three", length).await.is_err(), "who lost it cannot give it back for another");

    lease.release(&two).await.unwrap();
    let three = lease.acquire("three", length).await.unwrap();
    assert!(three.epoch > two.epoch, "given back, it is free at once");
    pass(Millis(2_200)).await;
    let anew = lease.acquire("three", length).await.unwrap();
    assert!(anew.epoch > three.epoch, "once it ran out, the same owner is a new holder");
}
