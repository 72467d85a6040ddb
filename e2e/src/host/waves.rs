//! Update waves: when a published release becomes visible to a host.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Seeds run from 0 up to this number; a host's is generated at its first boot.
pub const SEEDS: u32 = 2_048;

/// The schedule of one release: from which seed on a wave starts, and when. Empty: visible to all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waves(BTreeMap<u32, Timestamp>);

impl Waves {
    /// Waves by the seed they begin at.
    #[must_use]
    pub fn new(starts: impl IntoIterator<Item = (u32, Timestamp)>) -> Self {
        Self(starts.into_iter().collect())
    }

    /// One schedule for all hosts but those with seed 0: nothing before `start`.
    #[must_use]
    pub fn not_before(start: Timestamp) -> Self {
        Self::new([(0, start)])
    }

    /// Whether a host with `seed` sees the release at `now`.
    ///
    /// Two oddities are the real host's: a seed at or before the first key is in a wave without a start and sees the
    /// release at once, and inside a wave the place is counted with the absolute seed, so it may fall after the wave's
    /// end (then the end decides).
    #[must_use]
    pub fn ready(&self, seed: u32, now: Timestamp) -> bool {
        let Some((first_seed, start)) = self.0.range(..seed).next_back() else {
            return true;
        };
        let next = self.0.iter().find(|(key, _)| (seed..=SEEDS).contains(*key));
        let Some((next_seed, end)) = next else {
            return now >= *start;
        };
        let per_seed = (end.as_nanosecond() - start.as_nanosecond()) / i128::from(next_seed - first_seed);
        let place = start.as_nanosecond() + per_seed * i128::from(seed);
        now >= *end || (now >= *start && now.as_nanosecond() >= place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn without_waves_everybody_is_ready() {
        assert!(Waves::default().ready(1_000, at(0)));
    }

    #[test]
    fn seed_zero_is_ready_before_the_first_wave_starts() {
        let waves = Waves::not_before(at(1_000));
        assert!(waves.ready(0, at(0)));
        assert!(!waves.ready(1, at(999)));
        assert!(waves.ready(1, at(1_000)));
    }

    #[test]
    fn inside_a_wave_hosts_follow_one_by_one() {
        // One seed a millisecond.
        let waves = Waves::new([(0, at(0)), (SEEDS, at(2_048))]);
        for seed in [1, 100, 2_047] {
            assert!(!waves.ready(seed, at(u64::from(seed) - 1)), "{seed}");
            assert!(waves.ready(seed, at(u64::from(seed))), "{seed}");
        }
    }

    #[test]
    fn a_later_wave_counts_the_absolute_seed() {
        let waves = Waves::new([(0, at(0)), (1_000, at(1_000)), (1_100, at(1_200))]);
        // Two milliseconds a seed: seed 1010 would be due at 1000 + 2 * 1010, after the end at 1200.
        assert!(!waves.ready(1_010, at(999)));
        assert!(!waves.ready(1_010, at(1_199)));
        assert!(waves.ready(1_010, at(1_200)));
    }

    #[test]
    fn the_last_wave_is_ready_when_it_starts() {
        let waves = Waves::new([(0, at(0)), (512, at(500))]);
        assert!(!waves.ready(2_047, at(499)));
        assert!(waves.ready(2_047, at(500)));
    }

    #[test]
    fn a_wave_that_ends_before_it_starts_is_ready_at_its_end() {
        let waves = Waves::new([(1_000, at(1_000)), (1_100, at(500))]);
        assert!(!waves.ready(1_050, at(499)));
        assert!(waves.ready(1_050, at(500)));
    }

    #[test]
    fn a_seed_out_of_range_is_in_the_last_wave() {
        let waves = Waves::new([(0, at(0)), (SEEDS, at(500))]);
        assert!(waves.ready(u32::MAX, at(500)));
    }
}
