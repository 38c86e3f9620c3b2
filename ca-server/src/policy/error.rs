//! What is wrong with a policy text, where, and what to do about it.
//!
//! Knows how to find a line and to draw a caret; does not decide what is an error.

use std::fmt;

use miette::Diagnostic;

/// Why a set of policies is not loaded: everything found, not only the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError {
    /// At least one, in the order of files and lines.
    pub problems: Vec<Problem>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One error at one place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// File name as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line itself, without its end.
    pub excerpt: String,
    /// How many characters the caret marks, at least 1.
    pub width: usize,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, the line, a caret, and the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands below its character in every terminal.
        let indent: String = self
            .excerpt
            .chars()
            .take(self.column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )?;
        writeln!(f, " {number} | {}", self.excerpt)?;
        writeln!(f, " {margin} | {indent}{}", "^".repeat(self.width))?;
        if let Some(hint) = &self.hint {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
}

/// A position in a text: line and column from 1, and the line itself.
pub(super) struct Place<'a> {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) excerpt: &'a str,
}

/// Where byte `offset` of `text` is; the end of the text if it lies beyond.
pub(super) fn place(text: &str, offset: usize) -> Place<'_> {
    let mut start = 0;
    let mut last = Place {
        line: 1,
        column: 1,
        excerpt: "",
    };
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let excerpt = line.trim_end_matches(['\n', '\r']);
        let within = offset.saturating_sub(start);
        let column = line
            .char_indices()
            .take_while(|&(byte, _)| byte < within)
            .count()
            .min(excerpt.chars().count());
        last = Place {
            line: at.saturating_add(1),
            column: column.saturating_add(1),
            excerpt,
        };
        start = start.saturating_add(line.len());
        if offset < start {
            break;
        }
    }
    last
}

impl Problem {
    /// Place and message alone: `production.cedar:15:1: the policy has no @id`.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let Self {
            file,
            line,
            column,
            message,
            ..
        } = self;
        format!("{file}:{line}:{column}: {message}")
    }

    /// A problem at `length` bytes from byte `offset` of `text`.
    pub(super) fn at(
        file: &str,
        text: &str,
        (offset, length): (usize, usize),
        message: String,
        hint: Option<String>,
    ) -> Self {
        let found = place(text, offset);
        let rest = found
            .excerpt
            .chars()
            .count()
            .saturating_sub(found.column.saturating_sub(1));
        Self {
            file: file.to_owned(),
            line: found.line,
            column: found.column,
            message,
            excerpt: found.excerpt.to_owned(),
            width: length.min(rest).max(1),
            hint,
        }
    }

    /// What Cedar reports, at the place that it points to.
    pub(super) fn cedar(file: &str, text: &str, found: &dyn Diagnostic) -> Self {
        let label = found.labels().and_then(|mut labels| labels.next());
        let span = label
            .as_ref()
            .map_or((0, 1), |label| (label.offset(), label.len()));
        let pointed = label
            .as_ref()
            .and_then(|label| label.label())
            .map(|words| format!(" ({words})"))
            .unwrap_or_default();
        let told = found.to_string();
        let message = format!("{}{pointed}", without_number(&told));
        let help = found
            .help()
            .map(|help| without_number(&help.to_string()).to_owned());
        Self::at(file, text, span, message, help)
    }
}

/// What Cedar says, without the number that it gives a policy: that says less than the place.
fn without_number(told: &str) -> &str {
    told.strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "))
        .map_or(told, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_character_that_is_meant() {
        let text = "one\n\ttwo = x\n";
        let offset = text.find('x').unwrap();
        let problem = Problem::at("a.cedar", text, (offset, 1), "no x".to_owned(), None);
        assert_eq!(
            problem.to_string(),
            "a.cedar:2:8: no x\n 2 | \ttwo = x\n   | \t      ^\n"
        );
    }

    #[test]
    fn an_offset_beyond_the_end_is_the_end() {
        let found = place("ab\ncd", 99);
        assert_eq!((found.line, found.column), (2, 3));
        let found = place("", 5);
        assert_eq!((found.line, found.column), (1, 1));
    }
}
