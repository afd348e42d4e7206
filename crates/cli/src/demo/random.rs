//! Chance for visitors: they must differ, not surprise.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Repeats itself for the same seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below a bound; 0 where the bound is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    /// One of some words.
    pub(super) fn of(&mut self, all: &'static [&'static str]) -> &'static str {
        all.get(self.below(all.len())).copied().unwrap_or("/")
    }
}
