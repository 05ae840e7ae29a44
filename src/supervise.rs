//! Keeping failures where they happen: actors whose every end is reported once, and how often what failed is started
//! again. What is started, and what an end means, is for the callers to say.

pub mod pulse;
pub mod record;
pub mod restart;
pub mod watch;

pub use restart::{Decision, RestartHistory, RestartPolicy};
pub use watch::{End, start};
