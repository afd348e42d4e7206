//! What steps spare visitors: the same bad release under the same arrivals, once in steps and once at once.
//!
//! Both are sent back by the same gates. What differs is how many visitors had met it by then.

/// What visitors had of the bad release, until it was sent back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Toll {
    /// Visitors who got a page of it.
    pub(super) met: usize,
    /// Visitors who were here between its first page and the way back.
    pub(super) all: usize,
    /// Requests that its pages lost.
    pub(super) failed: usize,
    /// From its first bad request until everybody was sent back, seconds.
    pub(super) back_s: Option<f64>,
}

impl Toll {
    fn line(&self) -> String {
        let back = self.back_s.map_or_else(
            || "nobody was sent back".to_owned(),
            |s| format!("everybody back {s:.1} s after its first bad request"),
        );
        format!(
            "{} of {} visitors met it, {} {} failed, {back}",
            self.met,
            self.all,
            self.failed,
            if self.failed == 1 { "request" } else { "requests" }
        )
    }
}

/// The two side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    pub(super) instant: Toll,
    pub(super) stepped: Toll,
}

impl Comparison {
    pub(super) fn line(&self) -> String {
        let fewer = if self.stepped.met > 0 && self.spares() {
            format!(" ({:.0}x fewer)", self.instant.met as f64 / self.stepped.met as f64)
        } else {
            String::new()
        };
        format!("instant: {}; stepped: {}{fewer}", self.instant.line(), self.stepped.line())
    }

    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !self.spares() {
            wrong.push(format!(
                "{} visitors met it in steps and {} at once: the steps spared nobody",
                self.stepped.met, self.instant.met
            ));
        }
    }

    fn spares(&self) -> bool {
        self.stepped.met < self.instant.met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toll(met: usize, all: usize) -> Toll {
        Toll { met, all, failed: met / 2, back_s: Some(2.04) }
    }

    #[test]
    fn a_comparison_says_how_many_fewer_met_it() {
        let comparison = Comparison { instant: toll(212, 340), stepped: toll(16, 343) };
        assert_eq!(
            comparison.line(),
            "instant: 212 of 340 visitors met it, 106 requests failed, everybody back 2.0 s after its first bad \
             request; stepped: 16 of 343 visitors met it, 8 requests failed, everybody back 2.0 s after its first bad \
             request (13x fewer)"
        );
        let mut wrong = Vec::new();
        comparison.check(&mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn steps_that_spare_nobody_fail_the_proof() {
        for (instant, stepped) in [(16, 212), (16, 16), (0, 0)] {
            let comparison = Comparison { instant: toll(instant, 340), stepped: toll(stepped, 340) };
            assert!(!comparison.line().contains("fewer"), "{}", comparison.line());
            let mut wrong = Vec::new();
            comparison.check(&mut wrong);
            assert_eq!(wrong.len(), 1, "{instant} at once, {stepped} in steps");
        }
    }

    #[test]
    fn a_release_that_nobody_sent_back_is_said_to_be_one() {
        let line = Toll { back_s: None, ..toll(2, 9) }.line();
        assert_eq!(line, "2 of 9 visitors met it, 1 request failed, nobody was sent back");
    }
}
