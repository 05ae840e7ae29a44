//! Numbers that look random and are the same for the same seed, and how many of something a run takes. What is done with
//! them is not known here.

/// How much a storm does: what a run of all tests has time for, or with `SEAWALL_STORM=full` what a night has.
pub(crate) fn size<T>(usual: T, full: T) -> T {
    let is_full = std::env::var("SEAWALL_STORM").is_ok_and(|size| size == "full");
    if is_full { full } else { usual }
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed that an environment variable gives.
    pub(crate) fn given_seed(variable: &str) -> Option<u64> {
        let seed = std::env::var(variable).ok()?;
        Some(seed.parse().unwrap_or_else(|_| panic!("{variable}={seed} is not a number")))
    }

    /// A seed that was never used.
    pub(crate) fn fresh_seed() -> u64 {
        u64::from_le_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().expect("16 bytes"))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }
}
