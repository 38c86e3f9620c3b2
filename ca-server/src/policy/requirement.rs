//! The table of requirements: which people must approve together, under a name that policies ask for.
//!
//! Cedar has no counting and no matching of people to seats. The table holds that part and yields
//! names (`context.met`), so that policies stay plain Cedar that can be analysed. Who fills which
//! seat is `quorum`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use toml::Spanned;

use super::Source;
use super::error::{Problem, place};

/// Most people in one alternative.
const PEOPLE_MAX: usize = 8;
/// Most alternatives of one requirement.
const ALTERNATIVES_MAX: usize = 16;
/// Most requirements in the table: all of them are looked at for each question with approvals.
const REQUIREMENTS_MAX: usize = 256;
/// Longest name of a requirement or group.
const NAME_MAX: usize = 128;

/// Every requirement by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    table: BTreeMap<String, Requirement>,
}

/// Alternatives of which one must be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub(super) alternatives: Vec<Alternative>,
    line: usize,
}

/// People who must all approve; each person fills one seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alternative {
    pub(super) seats: Vec<Seats>,
}

/// So many people of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seats {
    pub(super) count: usize,
    /// Nobody in particular if `None`.
    pub(super) group: Option<String>,
}

impl fmt::Display for Seats {
    /// As in the table: `1 of security`, `2 approvals`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.group, self.count) {
            (Some(group), count) => write!(f, "{count} of {group}"),
            (None, 1) => f.write_str("1 approval"),
            (None, count) => write!(f, "{count} approvals"),
        }
    }
}

impl fmt::Display for Requirement {
    /// `1 of sre-leads and 1 of security, or 2 of security`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, alternative) in self.alternatives.iter().enumerate() {
            if at > 0 {
                f.write_str(", or ")?;
            }
            f.write_str(&words(&alternative.seats))?;
        }
        Ok(())
    }
}

/// `1 of sre-leads and 1 of security`.
pub(super) fn words(seats: &[Seats]) -> String {
    let words: Vec<String> = seats.iter().map(ToString::to_string).collect();
    words.join(" and ")
}

impl Requirement {
    /// Line of the table, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The people of each alternative: so many of a group, or of any.
    pub(crate) fn seats(&self) -> impl Iterator<Item = Vec<(usize, Option<&str>)>> {
        self.alternatives.iter().map(|one| {
            let seats = one.seats.iter();
            seats.map(|s| (s.count, s.group.as_deref())).collect()
        })
    }
}

impl Requirements {
    /// The table in `source`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(super) fn parse(source: &Source) -> Result<Self, Vec<Problem>> {
        let text = source.text.as_str();
        let document: Document = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..1);
            let length = span.end.saturating_sub(span.start);
            let message = error.message().to_owned();
            let hint = Some(EXAMPLE.to_owned());
            vec![Problem::at(
                &source.name,
                text,
                (span.start, length),
                message,
                hint,
            )]
        })?;
        let mut reading = Reading {
            source,
            problems: Vec::new(),
        };
        if document.requirements.len() > REQUIREMENTS_MAX {
            let message = format!("more than {REQUIREMENTS_MAX} requirements");
            reading.wrong(0..1, message, None);
        }
        let table = document.requirements.iter();
        let table = table
            .take(REQUIREMENTS_MAX)
            .map(|(name, alternatives)| reading.requirement(name, alternatives))
            .collect();
        if reading.problems.is_empty() {
            Ok(Self { table })
        } else {
            Err(reading.problems)
        }
    }

    /// The requirement of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Requirement> {
        self.table.get(name)
    }

    /// The requirement of this name, with the table's own copy of the name.
    pub(super) fn entry(&self, name: &str) -> Option<(&str, &Requirement)> {
        let (name, requirement) = self.table.get_key_value(name)?;
        Some((name, requirement))
    }

    /// Every requirement, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Requirement)> {
        self.table
            .iter()
            .map(|(name, requirement)| (name.as_str(), requirement))
    }

    /// These, and those of `other` that are not the same under the same name: under which name each
    /// of those stands beside these. No table and no policy can spell such a name.
    pub(crate) fn beside(&self, other: &Self) -> (Self, BTreeMap<String, String>) {
        let mut both = self.clone();
        let mut renamed = BTreeMap::new();
        for (name, requirement) in &other.table {
            let same = |own: &Requirement| own.alternatives == requirement.alternatives;
            if self.table.get(name).is_none_or(|own| !same(own)) {
                let beside = format!("{name} of the other");
                renamed.insert(name.clone(), beside.clone());
                both.table.insert(beside, requirement.clone());
            }
        }
        (both, renamed)
    }

    /// The groups that the requirements called `names` have seats for.
    pub(super) fn groups<'a>(&'a self, names: &BTreeSet<String>) -> BTreeSet<&'a str> {
        let named = names.iter().filter_map(|name| self.get(name));
        named
            .flat_map(|requirement| &requirement.alternatives)
            .flat_map(|alternative| &alternative.seats)
            .filter_map(|seats| seats.group.as_deref())
            .collect()
    }
}

const EXAMPLE: &str = "write: name = [[\"1 of sre-leads\", \"1 of security\"], [\"3 approvals\"]] \
                       under [requirements]";

type Written = Spanned<Vec<Spanned<Vec<Spanned<String>>>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    requirements: BTreeMap<Spanned<String>, Written>,
}

struct Reading<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn wrong(&mut self, span: std::ops::Range<usize>, message: String, hint: Option<&str>) {
        let Source { name, text } = self.source;
        let width = span.end.saturating_sub(span.start);
        let hint = hint.map(str::to_owned);
        let problem = Problem::at(name, text, (span.start, width), message, hint);
        self.problems.push(problem);
    }

    fn requirement(&mut self, name: &Spanned<String>, written: &Written) -> (String, Requirement) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let called = name.as_ref();
        if called.is_empty() || called.len() > NAME_MAX || !called.chars().all(plain) {
            let message = format!("{called:?} is no plain name for a requirement");
            let hint = format!("at most {NAME_MAX} letters, digits, underscores and dashes");
            self.wrong(name.span(), message, Some(&hint));
        }
        let count = written.as_ref().len();
        if count == 0 {
            let message = format!("requirement {called:?} has no alternative: it is never met");
            self.wrong(written.span(), message, Some(EXAMPLE));
        } else if count > ALTERNATIVES_MAX {
            let message = format!("more than {ALTERNATIVES_MAX} alternatives");
            self.wrong(written.span(), message, None);
        }
        let alternatives = written.as_ref().iter().take(ALTERNATIVES_MAX);
        let requirement = Requirement {
            alternatives: alternatives.map(|one| self.alternative(one)).collect(),
            line: place(&self.source.text, name.span().start).line,
        };
        (called.to_owned(), requirement)
    }

    fn alternative(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Alternative {
        let mut seats: Vec<Seats> = Vec::new();
        for text in written.as_ref() {
            match read_seats(text.as_ref()) {
                Err(message) => self.wrong(text.span(), message, None),
                Ok(more) if seats.iter().any(|known| known.group == more.group) => {
                    let message = format!("{:?} asks for the same people again", text.as_ref());
                    let hint = "name each group once, with the number of people in all";
                    self.wrong(text.span(), message, Some(hint));
                }
                Ok(more) => seats.push(more),
            }
        }
        let people: usize = seats.iter().map(|seats| seats.count).sum();
        if written.as_ref().is_empty() {
            let message = "an alternative without people is met by nobody at all".to_owned();
            self.wrong(written.span(), message, Some(EXAMPLE));
        } else if people > PEOPLE_MAX {
            let message = format!("{people} people in one alternative: at most {PEOPLE_MAX}");
            self.wrong(written.span(), message, None);
        }
        // Groups before anybody: then what stays open is what is easiest to fill.
        seats.sort_by_key(|seats| seats.group.is_none());
        Alternative { seats }
    }
}

/// `2 of GROUP`, or `2 approvals` for people of any group. What follows `of` is the group, whatever
/// it is called.
fn read_seats(text: &str) -> Result<Seats, String> {
    let form = || format!("{text:?} is neither \"N of GROUP\" nor \"N approvals\"");
    let (number, rest) = text.split_once(' ').ok_or_else(form)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(form());
    }
    // A number too long for `usize` is too large as well.
    let count = number.parse().unwrap_or(usize::MAX);
    if count == 0 || count > PEOPLE_MAX {
        return Err(format!(
            "{number} people: at least 1 and at most {PEOPLE_MAX}"
        ));
    }
    let group = match rest {
        "approval" | "approvals" => None,
        _ => Some(rest.strip_prefix("of ").ok_or_else(form)?.to_owned()),
    };
    let odd = |group: &String| {
        let blank = group.is_empty() || group.trim() != group;
        blank || group.len() > NAME_MAX || group.chars().any(char::is_control)
    };
    if group.as_ref().is_some_and(odd) {
        return Err(form());
    }
    Ok(Seats { count, group })
}

#[cfg(test)]
mod tests;
