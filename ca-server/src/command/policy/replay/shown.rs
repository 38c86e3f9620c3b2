//! What a replay found, for people and for scripts.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::{hex, place};
use crate::policy::{Action, PolicySet, Verdict};
use crate::replay::{Count, Report, Shift, Shifts};

/// Lines of one list that people read; the others are counted. JSON has all.
const LINES_MAX: usize = 20;

/// A report about that set.
pub(in super::super) struct Told<'a> {
    pub(in super::super) report: &'a Report,
    pub(in super::super) set: &'a PolicySet,
}

impl Told<'_> {
    /// In words.
    pub(in super::super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = self.report;
        self.head(out)?;
        if report.changed() == 0 {
            writeln!(out, "nothing would change")?;
        }
        for (shift, count) in &report.shifts {
            writeln!(out, "{}", self.sentence(*shift, count))?;
        }
        if let Some(already) = report.already.filter(|already| *already > 0) {
            writeln!(out, "{already} of these the policies in force change, too")?;
        }
        let people = report.by_person.values();
        list(
            "by person",
            people.map(|(name, shifts)| (name.as_str(), shifts)),
            out,
        )?;
        let accounts = report.by_account.iter();
        list(
            "by account",
            accounts.map(|(name, shifts)| (name.as_str(), shifts)),
            out,
        )?;
        let policies = report.by_policy.iter();
        list(
            "by policy",
            policies.map(|(id, shifts)| (id.as_str(), shifts)),
            out,
        )?;
        writeln!(out)?;
        self.break_glass(out)?;
        self.rest(out)
    }

    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = self.report;
        let records = grouped(report.tally.records);
        let Some((first, last)) = report.span else {
            return writeln!(out, "no decision of that time in {records} records");
        };
        writeln!(
            out,
            "{} by {}, {first} to {last} ({records} records), decided again by {} policies",
            counted(report.all(), "decision"),
            counted_as(number(report.people.len()), ("person", "people")),
            self.set.policies().len(),
        )
    }

    /// `12 of 8,214 logins that were permitted would need approval (records 118, 240, …)`
    fn sentence(&self, shift: Shift, count: &Count) -> String {
        let all = self.report.decisions.get(&(shift.action, shift.from));
        let was = match shift.from {
            Verdict::Permit => "that were permitted",
            Verdict::Approval => "that needed approval",
            Verdict::Deny => "that were denied",
        };
        let would = match shift.to {
            Verdict::Permit => "would be permitted",
            Verdict::Approval => "would need approval",
            Verdict::Deny => "would be denied",
        };
        format!(
            "{} of {} {} {was} {would} ({})",
            grouped(count.count),
            grouped(all.copied().unwrap_or_default()),
            what(shift.action),
            examples(count)
        )
    }

    fn break_glass(&self, out: &mut dyn Write) -> io::Result<()> {
        let of = |verdict| {
            self.report
                .decisions
                .get(&(Action::BreakGlass, verdict))
                .copied()
        };
        let lost = self.report.break_glass_lost();
        match (of(Verdict::Permit), lost.is_empty()) {
            (None, _) => writeln!(out, "nobody broke glass in this time"),
            (Some(count), true) => {
                let times = counted_as(count, ("time", "times"));
                writeln!(out, "nobody loses break-glass (taken {times})")
            }
            (Some(_), false) => {
                let names: Vec<&str> = lost.iter().map(|name| name.as_str()).collect();
                writeln!(out, "BREAK-GLASS IS LOST by {}", names.join(", "))
            }
        }
    }

    fn rest(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = self.report;
        if report.by_others > 0 {
            let count = counted(report.by_others, "decision");
            writeln!(out, "{count} would come out the same by other policies")?;
        }
        let (before, never): (Vec<&str>, Vec<&str>) = report
            .idle(self.set)
            .into_iter()
            .partition(|id| report.decided.contains(*id));
        for id in before {
            let place = place(self.set, id);
            writeln!(out, "policy {id} ({place}) decides nothing any more")?;
        }
        if !never.is_empty() {
            let count = counted_as(number(never.len()), ("policy", "policies"));
            writeln!(
                out,
                "{count} decided nothing, then or now (--json names them)"
            )?;
        }
        for (fact, count) in &report.lacking {
            let decisions = counted(count.count, "decision");
            writeln!(
                out,
                "not decided again: {decisions} whose records do not tell `{fact}` ({})",
                examples(count)
            )?;
        }
        for (count, why) in [
            (
                report.tally.untold,
                "older ones that do not say what was asked",
            ),
            (report.tally.erased, "whose content was erased"),
        ] {
            if count > 0 {
                let records = counted(count, "record");
                writeln!(out, "not decided again: {records} of the whole log, {why}")?;
            }
        }
        Ok(())
    }

    /// All of it.
    pub(in super::super) fn json(&self) -> Value {
        let report = self.report;
        let decisions = report.decisions.iter().map(|((action, recorded), count)| {
            json!({"action": action, "recorded": recorded, "count": count})
        });
        let people = report.by_person.iter().map(|(subject, (name, shifts))| {
            json!({"user": name, "subject": subject.to_string(), "changes": changes(shifts)})
        });
        let accounts = report
            .by_account
            .iter()
            .map(|(account, shifts)| json!({"account": account, "changes": changes(shifts)}));
        let policies = report.by_policy.iter().map(|(id, shifts)| {
            json!({"policy": id, "place": place(self.set, id), "changes": changes(shifts)})
        });
        let idle = report.idle(self.set).into_iter().map(|id| {
            json!({"policy": id, "place": place(self.set, id),
                   "decided_before": report.decided.contains(id)})
        });
        let lacking = report.lacking.iter().map(
            |(fact, count)| json!({"fact": fact, "count": count.count, "examples": count.examples}),
        );
        json!({
            "ok": report.changed() == 0,
            "records": report.tally.records,
            "decisions": report.all(),
            "decisions_by_action": decisions.collect::<Vec<_>>(),
            "people": report.people.len(),
            "first": report.span.map(|(first, _)| first),
            "last": report.span.map(|(_, last)| last),
            "policies": self.set.policies().len(),
            "policy_digest": hex(self.set.digest()),
            "changed": report.changed(),
            "lost": report.lost(),
            "gained": report.changed().saturating_sub(report.lost()),
            "changed_by_policies_in_force_too": report.already,
            "same_by_other_policies": report.by_others,
            "changes": changes(&report.shifts),
            "by_person": people.collect::<Vec<_>>(),
            "by_account": accounts.collect::<Vec<_>>(),
            "by_policy": policies.collect::<Vec<_>>(),
            "break_glass_lost_by": report.break_glass_lost(),
            "idle": idle.collect::<Vec<_>>(),
            "undecidable": {
                "decisions": report.undecidable,
                "by_fact": lacking.collect::<Vec<_>>(),
                "untold_records": report.tally.untold,
                "erased_records": report.tally.erased,
            },
        })
    }
}

fn changes(shifts: &Shifts) -> Vec<Value> {
    let each = shifts.iter().map(|(shift, count)| {
        json!({"action": shift.action, "from": shift.from, "to": shift.to, "loss": shift.is_loss(),
               "count": count.count, "examples": count.examples})
    });
    each.collect()
}

/// One line each, those with most changes first.
fn list<'a>(
    title: &str,
    all: impl Iterator<Item = (&'a str, &'a Shifts)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut all: Vec<_> = all.collect();
    if all.is_empty() {
        return Ok(());
    }
    let changes = |shifts: &Shifts| shifts.values().map(|one| one.count).sum::<u64>();
    all.sort_by_key(|(name, shifts)| (std::cmp::Reverse(changes(shifts)), *name));
    let shown = all.get(..LINES_MAX).unwrap_or(&all);
    let width = shown.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    writeln!(out, "\n{title}")?;
    for (name, shifts) in shown {
        let each = shifts.iter().map(|(shift, count)| {
            let Shift { action, from, to } = shift;
            let (action, count) = (action.name(), grouped(count.count));
            format!("{count} {action} {from} -> {to}")
        });
        let each: Vec<String> = each.collect();
        writeln!(out, "  {name:width$}  {}", each.join(", "))?;
    }
    let more = all.len().saturating_sub(shown.len());
    if more > 0 {
        writeln!(out, "  and {more} more (--json has all)")?;
    }
    Ok(())
}

const fn what(action: Action) -> &'static str {
    match action {
        Action::Administer => "acts of administration",
        Action::Approve => "decisions on requests",
        Action::BreakGlass => "emergencies",
        Action::Login => "logins",
        Action::ReadAudit => "readings of the log",
        Action::Review => "reviews",
        Action::Revoke => "revocations and freezes",
    }
}

/// `record 118`, `records 118, 240, …`
fn examples(count: &Count) -> String {
    let shown: Vec<String> = count.examples.iter().map(ToString::to_string).collect();
    let more = if number(shown.len()) < count.count {
        ", …"
    } else {
        ""
    };
    let word = if shown.len() == 1 && more.is_empty() {
        "record"
    } else {
        "records"
    };
    format!("{word} {}{more}", shown.join(", "))
}

fn counted(count: u64, word: &str) -> String {
    counted_as(count, (word, &format!("{word}s")))
}

fn counted_as(count: u64, (one, many): (&str, &str)) -> String {
    let word = if count == 1 { one } else { many };
    format!("{} {word}", grouped(count))
}

/// `8,214`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
