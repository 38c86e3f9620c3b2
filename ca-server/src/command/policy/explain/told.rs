//! An answer told: to people, and to scripts.

use std::collections::BTreeSet;
use std::io::{self, Write};

use ca_core::name::Principal;
use serde_json::{Value, json};

use super::super::{hex, place};
use crate::policy::{
    Change, Condition, Finding, Hint, Judgement, Nearest, PolicySet, Question, Verdict, findings,
    hints, judge, nearest_permit,
};

/// Everything there is to say about one question.
pub(super) struct Told<'a> {
    policies: &'a PolicySet,
    question: &'a Question,
    judgement: Judgement,
    hints: Vec<Hint>,
    findings: Vec<Finding>,
    /// Where no hint says what would be permitted.
    nearest: Option<Nearest>,
}

impl<'a> Told<'a> {
    /// What `policies` say to `question`, and what keeps that from being as `wished`. `others` are
    /// accounts that hints may name.
    pub(super) fn of(
        policies: &'a PolicySet,
        question: &'a Question,
        others: &[Principal],
        wished: Verdict,
    ) -> Self {
        let judgement = judge(policies, question);
        let permitted = judgement.verdict == Verdict::Permit;
        let hints = match permitted {
            true => Vec::new(),
            false => hints(policies, question, others),
        };
        let unhelped = !permitted && hints.is_empty();
        Self {
            findings: match (permitted, wished) {
                (true, Verdict::Permit) => Vec::new(),
                (true, _) => findings(policies, question, Verdict::Deny),
                (false, _) => findings(policies, question, Verdict::Permit),
            },
            nearest: unhelped
                .then(|| nearest_permit(policies, question))
                .flatten(),
            policies,
            question,
            judgement,
            hints,
        }
    }

    pub(super) const fn verdict(&self) -> Verdict {
        self.judgement.verdict
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.judgement.denial {
            None => {
                writeln!(out, "permit")?;
                for id in &self.judgement.policies {
                    let about = self.policies.policies().get(id);
                    let reason = about.map_or("", |info| info.reason.as_str());
                    writeln!(out, "  {id} ({}): {reason}", place(self.policies, id))?;
                }
            }
            Some(denial) => {
                writeln!(out, "deny")?;
                for reason in &denial.reasons {
                    let whom = before(reason.principal.as_ref());
                    match &reason.policy {
                        Some(id) => {
                            let place = place(self.policies, id);
                            writeln!(out, "  {whom}{id} ({place}): {}", reason.sentence)?;
                        }
                        None => writeln!(out, "  {whom}{}", reason.sentence)?,
                    }
                }
            }
        }
        if let Some(obligation) = &self.judgement.obligation {
            writeln!(
                out,
                "obligation: {obligation}; approvals alone make it a permit"
            )?;
        }
        self.print_requirements(out)?;
        for finding in &self.findings {
            print_finding(finding, out)?;
        }
        for hint in &self.hints {
            writeln!(out, "hint: {hint}")?;
        }
        if self.judgement.denial.is_some() && self.hints.is_empty() {
            writeln!(
                out,
                "no approval, second factor or shorter time would change it"
            )?;
        }
        if let Some(nearest) = &self.nearest {
            writeln!(out, "it would be permitted {}", nearest.words)?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        let Judgement {
            verdict,
            policies: ids,
            obligation,
            denial,
        } = &self.judgement;
        let determining = ids.iter().filter_map(|id| {
            let info = self.policies.policies().get(id)?;
            Some(json!({"id": id, "file": info.file, "line": info.line, "reason": info.reason}))
        });
        let hint = |hint: &Hint| {
            let changes: &[Change] = &hint.changes;
            json!({"sentence": hint.to_string(), "changes": changes})
        };
        let reasons = denial
            .as_ref()
            .map_or_else(|| json!([]), |d| json!(d.reasons));
        json!({
            "decision": if *verdict == Verdict::Permit { "permit" } else { "deny" },
            "verdict": verdict,
            "obligation": obligation,
            "determining": determining.collect::<Vec<_>>(),
            "reasons": reasons,
            "findings": self.findings,
            "hints": self.hints.iter().map(hint).collect::<Vec<_>>(),
            "nearest": self.nearest,
            "requirements": self.requirements(),
            "policy_digest": hex(self.policies.digest()),
        })
    }

    /// What the approvals given so far are worth: every requirement that they meet, and those that
    /// the forbidding policies ask for.
    fn requirements(&self) -> Vec<Value> {
        let denied = self.judgement.denial.is_some();
        let ids = self.judgement.policies.iter().filter(|_| denied);
        let infos = ids.filter_map(|id| self.policies.policies().get(id));
        let asked: BTreeSet<&String> = infos.flat_map(|info| &info.requirements).collect();
        let table = self.policies.requirements().iter();
        let standing = table.filter_map(|(name, about)| {
            let missing = about.missing(self.question);
            let asked = asked.iter().any(|asked| *asked == name);
            (missing.is_none() || asked).then(|| {
                json!({"name": name, "people": about.to_string(), "met": missing.is_none(),
                       "missing": missing})
            })
        });
        standing.collect()
    }

    fn print_requirements(&self, out: &mut dyn Write) -> io::Result<()> {
        for one in self.requirements() {
            let text = |key| one.get(key).and_then(Value::as_str);
            let (name, people) = (text("name").unwrap_or(""), text("people").unwrap_or(""));
            match text("missing") {
                None => writeln!(out, "requirement {name} ({people}) is met")?,
                Some(missing) => writeln!(out, "requirement {name} ({people}) lacks {missing}")?,
            }
        }
        Ok(())
    }
}

fn before(principal: Option<&Principal>) -> String {
    principal.map_or_else(String::new, |name| format!("{name}: "))
}

/// What one policy has to do with it, and by which conditions.
fn print_finding(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let Finding {
        policy,
        file,
        line,
        principal,
        conditions,
        ..
    } = finding;
    let does = match (finding.forbids, finding.applies) {
        (true, true) => "forbids it",
        (true, false) => "does not forbid it",
        (false, true) => "permits it",
        (false, false) => "does not permit it",
    };
    let (whom, end) = (
        before(principal.as_ref()),
        if conditions.is_empty() { "" } else { ":" },
    );
    writeln!(out, "{whom}{policy} ({file}:{line}) {does}{end}")?;
    for condition in conditions {
        let Condition {
            text,
            line,
            error,
            facts,
        } = condition;
        let facts = facts
            .iter()
            .map(|(name, value)| format!("{name} is {value}"));
        let told: Vec<String> = facts.chain(error.clone()).collect();
        let dash = if told.is_empty() { "" } else { " – " };
        writeln!(out, "  {text} ({file}:{line}){dash}{}", told.join(", "))?;
    }
    Ok(())
}
