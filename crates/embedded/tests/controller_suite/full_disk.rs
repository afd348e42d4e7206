//! A full disk: nothing new comes in, and the way out stays open. The disk is a small file system in memory.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::Command,
};

use cutover_engine::{
    Control, ErrorKind,
    control::{RetireRequest, WithdrawRequest},
};
use cutover_routing::ReleaseState;

use crate::{
    harness::tests,
    support::{Place, Up, eventually, eventually_async, gapless},
};

tests!(a_release_that_fills_the_disk_can_be_left, a_start_on_a_full_disk_serves_and_can_be_rolled_back,);

/// Set where this program runs in a namespace of its own, in which it may mount.
const INSIDE: &str = "CUTOVER_TEST_MAY_MOUNT";

/// A mounted file system, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// Puts one of 6 MiB in the place of the state directory. None where this user may not; then `test` has been run in
    /// a namespace where it may, or has said that it was not.
    fn at_the_state_of(place: &Place, test: &str) -> Option<Self> {
        let at = place.state();
        fs::create_dir(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "cutover-test"]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        assert!(std::env::var_os(INSIDE).is_none(), "no file system can be mounted in a namespace either");
        let namespace = ["--user", "--map-root-user", "--mount"];
        if !Command::new("unshare").args(namespace).arg("true").status().is_ok_and(|status| status.success())
        {
            println!(
                "not run: {test}: this user may mount no file system, not even in a namespace of its own"
            );
            return None;
        }
        let inside = Command::new("unshare")
            .args(namespace)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(INSIDE, "1")
            .status();
        assert!(inside.unwrap().success(), "{test} failed in a namespace of its own");
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn reserve(&self) -> bool {
        self.0.join("reserve").exists()
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [65536, 4096, 1] {
            while file.write(&vec![0x5a; size]).is_ok_and(|written| written > 0) {}
        }
        assert_eq!(file.write(b"x").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, because a test that failed has files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn warned(up: &Up, text: &str) {
    eventually_async(|| async move {
        let warnings = up.status().await.warnings;
        if warnings.iter().any(|warning| warning.contains(text)) {
            Ok(())
        } else {
            Err(format!("{warnings:?}"))
        }
    })
    .await;
}

/// Waits until there is room again and the reserve is made again.
async fn recovered(up: &Up, disk: &Disk) {
    eventually(|| if disk.reserve() { Ok(()) } else { Err("no reserve".to_owned()) });
    eventually_async(|| async move {
        let warnings = up.status().await.warnings;
        if warnings.iter().any(|warning| warning.contains("disk")) {
            Err(format!("{warnings:?}"))
        } else {
            Ok(())
        }
    })
    .await;
}

async fn a_release_that_fills_the_disk_can_be_left() {
    let place = Place::new();
    let test = "controller_suite::full_disk::a_release_that_fills_the_disk_can_be_left";
    let Some(disk) = Disk::at_the_state_of(&place, test) else { return };
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    let second = up.release(&place, "v2").await;
    assert!(disk.reserve());
    disk.fill();
    warned(&up, "the disk is full: nothing can be staged").await;
    place.build("v3");
    let error = up.try_stage("v3").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error:?}");
    up.serves("v2");
    let back = up.rollback(false).await.unwrap();
    assert_eq!((back.to, back.changed), (Some(first), true));
    up.serves("v1");
    assert!(!disk.reserve(), "the journal had no room but this");
    warned(&up, "the room that is kept for a rollback is used").await;
    disk.empty();
    recovered(&up, &disk).await;
    // The same with a withdrawal, and with making room.
    up.promote(second).await;
    disk.fill();
    let request = || WithdrawRequest { reason: Some("it fills the disk".to_owned()), ..Default::default() };
    up.control.withdraw("ada", second.as_str(), request()).await.unwrap();
    assert_eq!(up.state(second).await, Some(ReleaseState::Closed));
    up.serves("v1");
    disk.empty();
    recovered(&up, &disk).await;
    disk.fill();
    let force = RetireRequest { force: true, reason: Some("room".to_owned()) };
    assert!(up.control.retire("ada", second.as_str(), force).await.unwrap().changed);
    disk.empty();
    gapless(&up.history().await);
    assert!(place.journal().read().unwrap().unfinished.is_empty());
    up.down().await;
}

async fn a_start_on_a_full_disk_serves_and_can_be_rolled_back() {
    let place = Place::new();
    let test = "controller_suite::full_disk::a_start_on_a_full_disk_serves_and_can_be_rolled_back";
    let Some(disk) = Disk::at_the_state_of(&place, test) else { return };
    let up = place.up().await;
    let first = up.release(&place, "v1").await;
    up.release(&place, "v2").await;
    up.down().await;
    disk.fill();
    let up = place.up().await;
    up.serves("v2");
    assert_eq!(up.rollback(false).await.unwrap().to, Some(first));
    up.serves("v1");
    disk.empty();
    recovered(&up, &disk).await;
    gapless(&up.history().await);
    up.down().await;
}
