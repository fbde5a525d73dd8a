//! Chance from a seed (splitmix64), the same on every machine.

/// A stream of numbers.
pub(super) struct Random(u64);

impl Random {
    /// The stream for one purpose: `label` and `index` keep streams of one seed apart.
    pub(super) fn new(seed: u64, label: &str, index: u64) -> Self {
        let mut random = Self(seed ^ 0x7265_686f_6d65_0001);
        for byte in label.bytes() {
            random.0 = random.next() ^ u64::from(byte);
        }
        random.0 = random.next() ^ index;
        random.next();
        random
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A size like those of mail: many small, few large. The logarithm is a sum of dice, so that
    /// nothing depends on how a machine computes an exponential.
    pub(super) fn size(&mut self, least: usize, doublings: usize) -> usize {
        let dice: usize = (0..4).map(|_| self.below(doublings / 2 + 1)).sum();
        let base = least << (dice / 2);
        base + self.below(base)
    }
}
