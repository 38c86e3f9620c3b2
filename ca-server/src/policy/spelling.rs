//! Which known word somebody meant who wrote another one.
//!
//! For hints only: nothing is ever taken to be what it resembles.

/// The known word nearest to `word`, if it is near enough to be the same one misspelt; the first of
/// several as near, rather one with the same first letter.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = word.chars().count().div_ceil(3);
    let near = known.into_iter().map(|one| (distance(word, one), one));
    let (_, best) = near
        .filter(|&(steps, _)| steps <= most)
        .min_by_key(|&(steps, one)| (steps, one.chars().next() != word.chars().next()))?;
    Some(best)
}

/// `did you mean "x"?`, or what there is.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(one) => format!("did you mean {one:?}?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// How many letters must be written otherwise, left out, added, or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut left = None;
    for (at, letter) in one.chars().enumerate() {
        let mut row = vec![at.saturating_add(1)];
        for (column, &wanted) in other.iter().enumerate() {
            let cost = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let same = usize::from(letter != wanted);
            let mut least = cost(&last, column).saturating_add(same);
            least = least.min(cost(&last, column.saturating_add(1)).saturating_add(1));
            least = least.min(cost(&row, column).saturating_add(1));
            let previous = column.checked_sub(1);
            let swapped =
                previous.and_then(|at| other.get(at)) == Some(&letter) && left == Some(wanted);
            if let (true, Some(previous)) = (swapped, previous) {
                least = least.min(cost(&before_last, previous).saturating_add(1));
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
        left = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_what_a_typist_does_wrong() {
        for (one, other, steps) in [
            ("expect", "expect", 0),
            ("expcet", "expect", 1),
            ("expects", "expect", 1),
            ("usr", "user", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), steps, "{one} {other}");
            assert_eq!(distance(other, one), steps, "{other} {one}");
        }
    }

    #[test]
    fn what_resembles_nothing_is_answered_with_what_there_is() {
        assert_eq!(
            suggestion("usr", ["name", "user"]),
            "did you mean \"user\"?"
        );
        assert_eq!(
            suggestion("zebra", ["name", "user"]),
            "there are: name, user"
        );
    }
}
