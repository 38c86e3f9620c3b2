//! The outcome of cases as JUnit XML, in the form that CI systems agree on: a suite for each file, a
//! case for each case. Without times: the same policies and cases give the same bytes.

use std::collections::BTreeMap;

use super::{Report, failure, uncovered};
use crate::policy::{Outcome, PolicySet};

/// The report as a document.
pub(super) fn document(report: &Report, policies: &PolicySet) -> String {
    let mut suites: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &report.outcomes {
        suites.entry(&outcome.file).or_default().push(outcome);
    }
    let mut all = Vec::new();
    for (file, outcomes) in suites {
        let cases = outcomes.into_iter().map(|outcome| Test {
            name: &outcome.name,
            place: Some((file, outcome.line)),
            failure: (!outcome.passed).then(|| {
                let (expected, got) = (&outcome.expected, &outcome.got);
                let message = format!("expected {expected}, got {got}");
                (message, failure(outcome, policies))
            }),
        });
        all.push(suite(file, &cases.collect::<Vec<_>>()));
    }
    if report.coverage_counts {
        let missing = uncovered(&report.coverage);
        let cases: Vec<Test<'_>> = missing
            .iter()
            .map(|sentence| Test {
                name: sentence,
                place: None,
                failure: Some((sentence.clone(), String::new())),
            })
            .collect();
        all.push(suite("coverage", &cases));
    }
    suites_of(&all)
}

/// A document that says that nothing could be tested, and why.
pub(super) fn not_loaded(message: &str) -> String {
    let case = Test {
        name: "the policies and cases load",
        place: None,
        failure: Some((first_line(message).to_owned(), message.to_owned())),
    };
    suites_of(&[suite("load", &[case])])
}

struct Test<'a> {
    name: &'a str,
    place: Option<(&'a str, usize)>,
    /// In one line, and in full.
    failure: Option<(String, String)>,
}

struct Suite {
    text: String,
    tests: usize,
    failures: usize,
}

fn suite(name: &str, tests: &[Test<'_>]) -> Suite {
    let failures = tests.iter().filter(|test| test.failure.is_some()).count();
    let count = tests.len();
    let class = escaped(name);
    let mut text = format!(
        "  <testsuite name=\"{class}\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n"
    );
    for test in tests {
        let name = escaped(test.name);
        text.push_str(&format!(
            "    <testcase classname=\"{class}\" name=\"{name}\""
        ));
        if let Some((file, line)) = test.place {
            text.push_str(&format!(" file=\"{}\" line=\"{line}\"", escaped(file)));
        }
        match &test.failure {
            None => text.push_str("/>\n"),
            Some((message, whole)) => text.push_str(&format!(
                ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(message),
                escaped(whole)
            )),
        }
    }
    text.push_str("  </testsuite>\n");
    Suite {
        text,
        tests: count,
        failures,
    }
}

fn suites_of(suites: &[Suite]) -> String {
    let tests: usize = suites.iter().map(|suite| suite.tests).sum();
    let failures: usize = suites.iter().map(|suite| suite.failures).sum();
    let inside: String = suites.iter().map(|suite| suite.text.as_str()).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"ca-server policy test\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n\
         {inside}</testsuites>\n"
    )
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Text for an element or an attribute in double quotes. What XML 1.0 (§2.2) cannot hold at all
/// becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // As references, or a reader makes spaces of them in attributes.
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_ascii_control() && c != '\u{7f}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_replaced() {
        assert_eq!(
            escaped("a<b>&\"c\"\n\u{1}\u{ffff}é"),
            "a&lt;b&gt;&amp;&quot;c&quot;&#10;\u{fffd}\u{fffd}é"
        );
    }
}
