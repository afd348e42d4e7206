//! Runs tests a few at a time and reports as Rust's own harness does.

use std::{
    panic::catch_unwind,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// A test's name and what it does, in a runtime of its own.
pub(crate) type Test = (&'static str, fn());

/// Declares the tests of a module: async functions, named by their behaviour.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const TESTS: &[crate::harness::Test] = &[$((
            concat!(module_path!(), "::", stringify!($name)),
            || crate::harness::in_runtime($name()),
        )),+];
    };
}
pub(crate) use tests;

/// No test waits for ever: what hangs is a failure with a name.
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn in_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, test).await.expect("the test hangs") });
}

/// Runs those whose name contains one of the words in `args` (all without words); `--exact` and `--list` are understood.
pub(crate) fn run(args: &[String], tests: &[Test]) -> ExitCode {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| {
        let hit = |word: &&String| {
            if has("--exact") { name == word.as_str() } else { name.contains(word.as_str()) }
        };
        words.is_empty() || words.iter().any(hit)
    };
    let chosen: Vec<Test> =
        tests.iter().filter(|(name, _)| wanted(name) && !has("--ignored")).copied().collect();
    if has("--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, test)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ok = catch_unwind(test).is_ok();
                    println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
                    failed.fetch_add(usize::from(!ok), Ordering::Relaxed);
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed,
        tests.len() - chosen.len()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
