//! A number held against its limits, wherever it comes from: the edge's own counts or a Prometheus.

use cutover_engine::control::Verdict;

use super::Found;

/// `pass` within the limits (which are themselves within), `fail` outside of them. A number that is none, and limits
/// that are none, are an `error`.
pub fn judge(min: Option<f64>, max: Option<f64>, value: f64) -> Found {
    if !value.is_finite() {
        return Found::new(Verdict::Error, format!("the value is {value}, which says nothing"));
    }
    let limits: Vec<f64> = [min, max].into_iter().flatten().collect();
    if limits.is_empty() || limits.iter().any(|limit| limit.is_nan()) {
        return Found::new(Verdict::Error, format!("{value}, but no limit is set"));
    }
    if let Some(min) = min
        && value < min
    {
        return Found::new(Verdict::Fail, format!("{value} is below {min}"));
    }
    if let Some(max) = max
        && value > max
    {
        return Found::new(Verdict::Fail, format!("{value} is above {max}"));
    }
    let within = match (min, max) {
        (Some(min), Some(max)) => format!("{value} is from {min} to {max}"),
        (Some(min), None) => format!("{value} is at least {min}"),
        (None, _) => format!("{value} is at most {}", limits[0]),
    };
    Found::new(Verdict::Pass, within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_themselves_within() {
        for (min, max, value, verdict, detail) in [
            (None, Some(0.5), 0.5, Verdict::Pass, "0.5 is at most 0.5"),
            (None, Some(0.5), 0.51, Verdict::Fail, "0.51 is above 0.5"),
            (Some(10.0), None, 10.0, Verdict::Pass, "10 is at least 10"),
            (Some(10.0), None, 9.0, Verdict::Fail, "9 is below 10"),
            (Some(1.0), Some(2.0), 1.5, Verdict::Pass, "1.5 is from 1 to 2"),
            (Some(1.0), Some(2.0), 0.0, Verdict::Fail, "0 is below 1"),
            (Some(1.0), Some(2.0), 3.0, Verdict::Fail, "3 is above 2"),
            // Limits that leave no room are never held.
            (Some(2.0), Some(1.0), 1.5, Verdict::Fail, "1.5 is below 2"),
        ] {
            assert_eq!(judge(min, max, value), Found::new(verdict, detail));
        }
    }

    #[test]
    fn what_is_no_number_is_never_healthy() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(judge(Some(0.0), Some(1.0), value).verdict, Verdict::Error, "{value}");
        }
        assert_eq!(judge(None, None, 1.0).verdict, Verdict::Error);
        assert_eq!(judge(None, Some(f64::NAN), 1.0).verdict, Verdict::Error);
        assert_eq!(judge(Some(f64::NAN), Some(1.0), 0.5).verdict, Verdict::Error);
    }
}
