//! Results that cannot be written.

use std::{fs::File, io::Read, process::Stdio};

use crate::{
    scripted::{Scripted, holding},
    support::Sandbox,
};

/// Where nothing can be written: as on a full disk.
const FULL: &str = "/dev/full";

fn full() -> Stdio {
    File::options().write(true).open(FULL).unwrap().into()
}

#[test]
fn a_result_that_is_lost_on_a_full_disk_is_a_failure() {
    if !std::path::Path::new(FULL).exists() {
        return;
    }
    let sandbox = Sandbox::with_site();
    let scripted = Scripted::play(&sandbox, vec![holding()]);
    for words in [
        &["releases"][..],
        &["releases", "--output", "json"],
        &["status"],
        &["status", "--watch"],
        &["status", "--watch", "--output", "json"],
        &["pause", "--reason", "lunch"],
        &["explain", "error", "CUT0908"],
        &["init", "--help"],
        &["--version"],
    ] {
        let done = sandbox.command(words).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{words:?}: {err}");
        assert!(err.contains("CUT0908") && err.contains("No space left"), "{words:?}: {err}");
    }
    assert_eq!(scripted.play.said.lock().unwrap().last().unwrap(), r#"pause Some("lunch")"#, "it was done");
}

#[test]
fn a_reader_that_has_gone_has_seen_what_it_wanted() {
    let sandbox = Sandbox::with_site();
    let _scripted = Scripted::play(&sandbox, vec![holding()]);
    for words in [&["releases"][..], &["status", "--watch", "--output", "json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = sandbox.command(words).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{words:?}");
    }
}
