//! Whether somebody's ways to a target became more or fewer.

use serde::Serialize;

use super::fewest::serves_for;
use super::way::Way;

/// What became of somebody's access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// There was no way, and there is one.
    Gained,
    /// There was a way, and there is none.
    Lost,
    /// Whatever was possible still is, and more.
    More,
    /// Nothing new is possible, and less than before.
    Less,
    /// Some of it is more, some less.
    Different,
}

impl Change {
    /// In one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::More => "more",
            Self::Less => "less",
            Self::Different => "different",
        }
    }
}

/// What became of `before`; nothing where it is the same access, whichever policies it is thanks to.
#[must_use]
pub fn compare(before: &[Way], after: &[Way]) -> Option<Change> {
    if before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.is_like(b)) {
        return None;
    }
    let kept = within(before, after);
    let within_before = within(after, before);
    Some(match (before, after) {
        ([], _) => Change::Gained,
        (_, []) => Change::Lost,
        _ if kept && within_before => return None,
        _ if kept => Change::More,
        _ if within_before => Change::Less,
        _ => Change::Different,
    })
}

/// Whether everything that `few` are good for one of `many` is good for, too.
fn within(few: &[Way], many: &[Way]) -> bool {
    let served = |way: &Way| many.iter().any(|other| serves_for(other, way));
    few.iter().all(served)
}
