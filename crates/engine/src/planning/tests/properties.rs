//! Whatever can be written gives errors with their places, or a plan.

use proptest::{
    collection,
    prelude::{ProptestConfig, TestCaseError, prop_assert, prop_assert_eq, proptest},
    sample,
};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_can_be_read_gives_a_plan(
        rollout in sample::subsequence(vec![
            "hold = \"90s\"\n", "bake = \"0s\"\n", "bake = \"5m\"\n", "low_traffic = \"synthetic\"\n", "low_traffic = \"extend 5m\"\n",
            "after = \"standby\"\n", "drain = { quiet = \"30s\", at_most = \"1h\" }\n", "slow = \"300ms\"\n",
        ], 0..4),
        profile in sample::select(vec!["", "profile = \"standard\"\n", "profile = \"paranoid\"\n", "profile = \"quick\"\n"]),
        strategy in sample::select(vec![
            "", "strategy = \"instant\"\n", "strategy = \"5%, 25% for 9m, 100%\"\n", "strategy = \"staff, 5%, 100% for 1h\"\n",
            "strategy = \"linear(1%, 1m)\"\n", "strategy = \"canary(10%, 5m)\"\n", "strategy = \"staff, 100%\"\n", "strategy = \"9%\"\n",
        ]),
        kinds in collection::vec((
            sample::select(vec![
                "http = { path = \"/\" }", "run = \"x\"\njunit = \"a/*.xml\"", "compare = { metric = \"slow\", worse_by = \"2x\" }",
                "compare = { metric = \"errors\", worse_by = \"1%\", false_alarms = \"0.01%\" }", "metrics = { edge = \"p99\", max = 1 }",
                "approval = {}", "load = { paths = [\"/\"] }",
            ]),
            sample::select(vec![
                "", "at = [\"before\"]", "at = [\"steps\"]", "at = [\"5%\", \"bake\"]", "at = [\"staff\"]", "at = [\"100%\"]", "at = [\"bake\"]",
            ]),
        ), 0..4),
        override_with in sample::select(vec!["-", "instant", "5%, 100%", "staff, linear(20%, 1m)"]),
        skip_gates: bool,
    ) {
        let mut text = format!("{HEAD}[rollout]\n{profile}{strategy}{}", rollout.concat());
        for (number, (kind, at)) in kinds.iter().enumerate() {
            text += &gate(&format!("g{number}"), &format!("{kind}\n{at}"));
        }
        if let Ok(config) = config::parse(&text, Path::new("/srv/cutover.toml")) {
            let snapshot = config.snapshot();
            let plan = with(&snapshot, &Overrides { strategy: None, skip_gates }).map_err(|why| TestCaseError::fail(format!("{why}\n{text}")))?;
            prop_assert!(plan.sealed());
            let left_out = left_out(&snapshot, &Overrides { strategy: None, skip_gates: false });
            prop_assert!(left_out.is_empty(), "{left_out:?} never run in {text}");
            forecast(&snapshot, &plan, &Traffic { per_second: Some(10.0), errors: 0.01, slow: 0.1 });
            if override_with != "-" {
                let strategy = Some(read_strategy(&snapshot, override_with).unwrap());
                match with(&snapshot, &Overrides { strategy, skip_gates }) {
                    Ok(plan) => prop_assert!(plan.sealed()),
                    Err(why) => prop_assert!(override_with != "instant" && !why.hints.is_empty(), "{why}"),
                }
            }
        }
    }

    /// Slips of the pen in the description that has everything: an error or a plan, never a panic.
    #[test]
    fn a_slip_of_the_pen_is_an_error_or_a_plan(
        at: sample::Index,
        length in 0_usize..12,
        with_text in sample::select(vec!["", "\"", "0", "9", "%", "-", ",", "\n", "[", "]", "= ", "staff", "100%", "0s", "ß", "{{", "1e400", "nan"]),
    ) {
        let reference = include_str!("../../../../../docs/configuration.md");
        let mut text = reference.rsplit("```toml\n").next().unwrap().split("```").next().unwrap().to_owned();
        let from = at.index(text.len());
        let to = (from + length).min(text.len());
        text.replace_range(from..to, with_text);
        if let Ok(config) = config::parse(&text, Path::new("/srv/cutover.toml")) {
            let snapshot = config.snapshot();
            let back: Snapshot = serde_json::from_slice(&snapshot.canonical_bytes()).unwrap();
            prop_assert_eq!(&back, &snapshot);
            let plan = with(&snapshot, &Overrides::default()).map_err(|why| TestCaseError::fail(format!("{why}\n{text}")))?;
            forecast(&snapshot, &plan, &Traffic { per_second: Some(10.0), errors: 0.01, slow: 0.1 });
        }
    }
}
