//! A decision in the log explained: what was asked and answered then, by which set, and what the set
//! in the folder says to the same question.

use std::io::Write;

use anyhow::Context as _;
use ca_core::name::Subject;
use serde_json::{Value, json};

use super::super::{PolicySetting, hex};
use super::told::Told;
use super::{exit_code, wrong};
use crate::policy::{On, PolicySet, Question, Verdict, words};
use crate::policy_record;
use crate::recorded::{At, Decision, decision_at};

/// Digits of a digest that tell sets apart.
const DIGITS: usize = 12;

pub(super) fn run(
    index: u64,
    policies: &PolicySet,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let source = setting.log()?;
    let store = source.store.as_ref();
    let found = decision_at(store, index, &mut |_, _| {}).context("cannot read the log")?;
    let decisions = match found {
        At::Decisions(decisions) => decisions,
        other => return Ok(wrong(&nothing(index, &other), json, out)?),
    };
    let mut documents = Vec::new();
    let mut verdict = Verdict::Permit;
    for decision in &decisions {
        verdict = verdict.max(decision.verdict);
        let same = policies.digest() == *decision.policy_digest.as_bytes();
        let then = match same {
            true => None,
            // A set that this version cannot read is none to explain by; what it said is recorded.
            false => {
                policy_record::rebuild(store, decision.policy_digest).unwrap_or_else(|error| {
                    tracing::warn!("the set of then: {error}");
                    None
                })
            }
        };
        let of = Of {
            decision,
            now: policies,
            then: then.as_ref(),
            same,
        };
        if json {
            documents.push(of.json(setting));
        } else {
            of.print(setting, out)?;
        }
    }
    if json {
        writeln!(out, "{}", json!({"index": index, "decisions": documents}))?;
    }
    Ok(exit_code(verdict))
}

/// Why a record has no decision to explain.
fn nothing(index: u64, at: &At) -> String {
    match at {
        At::Beyond(0) => "the log is empty".to_owned(),
        At::Beyond(size) => {
            let last = size.saturating_sub(1);
            format!("there is no record {index}: the last one is {last}")
        }
        At::Erased => format!("the content of record {index} was erased"),
        At::Untold(kind) => {
            format!("record {index} ({kind}) is of a version that did not record what was asked")
        }
        At::Other(kind) => format!("record {index} ({kind}) holds no decision of policy"),
        At::Decisions(_) => String::new(),
    }
}

/// One decision, with the sets to hold it against.
struct Of<'a> {
    decision: &'a Decision,
    now: &'a PolicySet,
    /// The set that decided, if it is another and the log holds it.
    then: Option<&'a PolicySet>,
    /// Whether the set in the folder is the one that decided.
    same: bool,
}

impl Of<'_> {
    fn told<'a>(&'a self, policies: &'a PolicySet, setting: &PolicySetting) -> Told<'a> {
        let question = &self.decision.question;
        let others = setting.accounts_beside(question);
        Told::of(policies, question, others, Verdict::Permit)
    }

    fn print(&self, setting: &PolicySetting, out: &mut dyn Write) -> anyhow::Result<()> {
        let Decision {
            index,
            record,
            time,
            person,
            question,
            verdict,
            policies,
            policy_digest,
            lacking,
        } = self.decision;
        writeln!(out, "record {index} ({record}) of {time}")?;
        writeln!(out, "  {} asked to {}", person.user, asked(question))?;
        let by: Vec<&str> = policies.iter().map(String::as_str).collect();
        let by = match by.as_slice() {
            [] => "no policy".to_owned(),
            ids => ids.join(", "),
        };
        writeln!(out, "  decided: {verdict} by {by}")?;
        let digest = short(*policy_digest.as_bytes());
        let folder = setting.policy_dir.display();
        if self.same {
            writeln!(out, "  by set {digest}, the one in {folder}")?;
        } else {
            let other = short(self.now.digest());
            writeln!(out, "  by set {digest}; the one in {folder} is {other}")?;
        }
        if !lacking.is_empty() {
            let lacking: Vec<&str> = lacking.iter().copied().collect();
            let lacking = lacking.join(", ");
            writeln!(
                out,
                "  the record does not tell {lacking}: what looks at that may be explained wrongly"
            )?;
        }
        if self.same {
            writeln!(out)?;
            return Ok(self.told(self.now, setting).print(out)?);
        }
        match self.then {
            Some(then) => {
                writeln!(out, "\nthen, by set {digest} from the log:")?;
                self.told(then, setting).print(out)?;
            }
            None => writeln!(
                out,
                "\nthe log does not hold set {digest} in a form that can be read"
            )?,
        }
        writeln!(out, "\nnow, by the set in {folder}:")?;
        Ok(self.told(self.now, setting).print(out)?)
    }

    fn json(&self, setting: &PolicySetting) -> Value {
        let decision = self.decision;
        json!({
            "record": decision.record,
            "time": decision.time,
            "person": decision.person.user,
            "asked": asked(&decision.question),
            "verdict": decision.verdict,
            "policies": decision.policies,
            "policy_digest": hex(*decision.policy_digest.as_bytes()),
            "lacking": decision.lacking,
            "same_set": self.same,
            "then": self.then.map(|then| self.told(then, setting).json()),
            "now": self.told(self.now, setting).json(),
        })
    }
}

fn short(digest: [u8; 32]) -> String {
    hex(digest).chars().take(DIGITS).collect()
}

/// `login to prod as root for 1 h`.
fn asked(question: &Question) -> String {
    let mut text = question.action.name().to_owned();
    match &question.on {
        On::Accounts {
            environment,
            principals,
        } => {
            let names: Vec<&str> = principals.iter().map(|name| name.as_str()).collect();
            text.push_str(&format!(" in {environment} as {}", names.join(", ")));
        }
        On::Environment(environment) => text.push_str(&format!(" in {environment}")),
        On::Authority => {}
    }
    let facts = &question.facts;
    if matches!(&question.on, On::Accounts { .. }) {
        text.push_str(&format!(" for {}", words(facts.duration)));
    }
    if let Some(holder) = &facts.holder {
        let whose = match *holder == question.who.subject {
            true => "their own".to_owned(),
            false => Subject::to_string(holder),
        };
        text.push_str(&format!(" (held by {whose})"));
    }
    text
}
