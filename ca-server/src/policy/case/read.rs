//! From the text of a file to cases: tables and their rows, people, names.
//!
//! What the keys of a case mean is `facts`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ca_core::name::UserName;
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::super::error::{PolicyError, Problem, place};
use super::super::spelling::suggestion;
use super::Case;
use super::facts::{self, Wrong};

/// The groups of everybody that a file names once for all of its cases.
pub(super) type People = BTreeMap<UserName, BTreeSet<String>>;

/// Keys of a row that are not about the question.
const ANSWER: [&str; 5] = ["because", "expect", "hint", "obligation", "policy"];

/// The cases in `text`, or the first thing that is wrong with each.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Case>, PolicyError> {
    let mut reading = Reading {
        text,
        people: None,
        cases: Vec::new(),
        wrong: Vec::new(),
    };
    match DeTable::parse(text) {
        Ok(document) => reading.document(document.into_inner()),
        Err(error) => reading.wrong.push(Wrong::toml(&error, 0..1)),
    }
    reading.names();
    let Reading {
        mut wrong, cases, ..
    } = reading;
    if wrong.is_empty() {
        return Ok(cases);
    }
    // What a table shares is wrong in each of its rows.
    wrong.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
    wrong.dedup();
    let problem = |wrong: Wrong| {
        let span = (wrong.span.start, wrong.span.len());
        Problem::at(file, text, span, wrong.message, wrong.hint)
    };
    Err(PolicyError {
        problems: wrong.into_iter().map(problem).collect(),
    })
}

struct Reading<'i> {
    text: &'i str,
    people: Option<People>,
    cases: Vec<Case>,
    wrong: Vec<Wrong>,
}

impl<'i> Reading<'i> {
    fn document(&mut self, document: DeTable<'i>) {
        let (mut cases, mut tables) = (Vec::new(), Vec::new());
        for (key, value) in document {
            match key.as_ref().as_ref() {
                "people" => match People::deserialize(ValueDeserializer::from(value)) {
                    Ok(people) => self.people = Some(people),
                    Err(error) => self.wrong.push(Wrong::toml(&error, key.span())),
                },
                "case" => cases = self.list("[[case]]", value),
                "table" => tables = self.list("[[table]]", value),
                other => {
                    let message = format!("unknown key `{other}`");
                    let hint = suggestion(other, ["case", "people", "table"]);
                    self.wrong.push(Wrong::new(key.span(), message, &hint));
                }
            }
        }
        for case in cases {
            self.case(case);
        }
        for table in tables {
            self.table(table);
        }
        self.cases.sort_by_key(Case::line);
    }

    /// The tables in `value`, which should hold nothing else.
    fn list(&mut self, form: &str, value: Spanned<DeValue<'i>>) -> Vec<Spanned<DeTable<'i>>> {
        let mut tables = Vec::new();
        let span = value.span();
        let items = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            other => vec![Spanned::new(span, other)],
        };
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Spanned::new(span, table)),
                other => {
                    let message = format!("a {} where {form} should be", other.type_str());
                    let hint = "docs/policy.md shows the form of cases and of tables with rows";
                    self.wrong.push(Wrong::new(span, message, hint));
                }
            }
        }
        tables
    }

    fn case(&mut self, case: Spanned<DeTable<'i>>) {
        let span = case.span();
        let mut written = case.into_inner();
        match self.name(&mut written) {
            Ok(Some(name)) => self.add(name, written, span),
            Ok(None) => self.nameless(written, span, "the case"),
            Err(wrong) => self.wrong.push(wrong),
        }
    }

    fn table(&mut self, table: Spanned<DeTable<'i>>) {
        let span = table.span();
        let mut shared = table.into_inner();
        let name = match self.name(&mut shared) {
            Ok(Some(name)) => name,
            Ok(None) => return self.nameless(shared, span, "the table"),
            Err(wrong) => return self.wrong.push(wrong),
        };
        let rows = match take(&mut shared, "rows") {
            Some(rows) => self.list("rows = [{ … }, { … }]", rows),
            None => Vec::new(),
        };
        if rows.is_empty() {
            // A misspelt `rows` is better named as what it is.
            let unknown = facts::keys(Spanned::new(span.clone(), DeValue::Table(shared)));
            let message = "the table has no `rows`".to_owned();
            let hint = "write rows = [{ for = \"1h\", expect = \"permit\" }], one for each case";
            let none = || Wrong::new(span, message, hint);
            return self.wrong.push(unknown.err().unwrap_or_else(none));
        }
        for (at, row) in rows.into_iter().enumerate() {
            let span = row.span();
            let mut row = row.into_inner();
            let own = match self.name(&mut row) {
                Ok(own) => own,
                Err(wrong) => {
                    self.wrong.push(wrong);
                    continue;
                }
            };
            let own = own.unwrap_or_else(|| self.words(&row, at));
            let mut written = shared.clone();
            for (key, value) in row {
                // Taken out first: a key that stays would keep the place of the shared one.
                written.remove(&key);
                written.insert(key, value);
            }
            self.add(format!("{name}: {own}"), written, span);
        }
    }

    /// Takes the name out of a case, table or row.
    fn name(&self, written: &mut DeTable<'i>) -> Result<Option<String>, Wrong> {
        let Some(name) = take(written, "name") else {
            return Ok(None);
        };
        match name.as_ref() {
            // It stands alone on lines that people and CI read.
            DeValue::String(text)
                if !text.trim().is_empty() && !text.trim().chars().any(char::is_control) =>
            {
                Ok(Some(text.trim().to_owned()))
            }
            _ => {
                let message = "the name is no line of text, or nothing is in it".to_owned();
                let hint = "write name = \"root in prod waits for an approval\"";
                Err(Wrong::new(name.span(), message, hint))
            }
        }
    }

    fn nameless(&mut self, written: DeTable<'i>, span: Range<usize>, what: &str) {
        let mut written = written;
        let _rows = take(&mut written, "rows");
        // A misspelt `name` is better named as what it is.
        let unknown = facts::keys(Spanned::new(span.clone(), DeValue::Table(written)));
        let message = format!("{what} has no `name`");
        let hint = "write name = \"…\": what it claims, in plain words";
        let none = || Wrong::new(span, message, hint);
        self.wrong.push(unknown.err().unwrap_or_else(none));
    }

    fn add(&mut self, name: String, written: DeTable<'i>, span: Range<usize>) {
        let line = place(self.text, span.start).line;
        let written = Spanned::new(span, DeValue::Table(written));
        match facts::case(written, self.people.as_ref()) {
            Ok((question, others, expected)) => self.cases.push(Case {
                name,
                line,
                question,
                others,
                expected,
            }),
            Err(wrong) => self.wrong.push(wrong),
        }
    }

    /// What row `at` (from 0) changes: `for 2h, on_call true`.
    fn words(&self, row: &DeTable<'i>, at: usize) -> String {
        let mut told: Vec<(usize, String)> = Vec::new();
        for (key, value) in row {
            let name = key.as_ref().as_ref();
            if !ANSWER.contains(&name) {
                let words = format!("{name} {}", words(value.as_ref()));
                told.push((key.span().start, words));
            }
        }
        if told.is_empty() {
            return format!("row {}", at.saturating_add(1));
        }
        told.sort();
        let told: Vec<String> = told.into_iter().map(|(_, words)| words).collect();
        told.join(", ")
    }

    /// Refuses two cases of one name: reports and `--case` go by it.
    fn names(&mut self) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for case in &self.cases {
            if let Some(line) = first.get(case.name()) {
                let message = format!("the name {:?} is taken by line {line}", case.name());
                let hint = "give each case, and each row that looks like another, its own name";
                let before = self.text.split_inclusive('\n').take(case.line - 1);
                let start = before.map(str::len).sum();
                self.wrong.push(Wrong::new(start..start + 1, message, hint));
            } else {
                first.insert(case.name(), case.line());
            }
        }
    }
}

/// Takes the value of `key` out of `table`.
fn take<'i>(table: &mut DeTable<'i>, key: &str) -> Option<Spanned<DeValue<'i>>> {
    let name = table.keys().find(|name| name.as_ref() == key)?.clone();
    table.remove(&name)
}

/// A value as a person would say it: without quotes and brackets.
fn words(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) if items.is_empty() => "none".to_owned(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().map(|one| words(one.as_ref())).collect();
            items.join(" and ")
        }
        // Of the tables in a case, those are people who approve.
        DeValue::Table(fields) => {
            let user = fields.iter().find(|(key, _)| key.as_ref() == "user");
            user.map_or_else(String::new, |(_, name)| words(name.as_ref()))
        }
    }
}
