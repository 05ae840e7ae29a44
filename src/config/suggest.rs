//! The key that somebody may have meant. Knows distances between words and nothing of the configuration.

/// The candidate nearest to `word`, if it is near enough to be a slip of the hand.
pub(super) fn closest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, left out or changed to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *against);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let keys = ["heartbeat", "max_replay_gap", "env"];
        for (word, expected) in [
            ("hartbeat", Some("heartbeat")),
            ("heart_beat", Some("heartbeat")),
            ("max_replay", None),
            ("max_replay_gaps", Some("max_replay_gap")),
            ("evn", None),
            ("enw", Some("env")),
            ("colour", None),
        ] {
            assert_eq!(closest(word, keys.into_iter()), expected, "{word}");
        }
    }
}
