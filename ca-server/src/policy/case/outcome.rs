//! What became of a case: asked, compared with what it expects, told.

use std::collections::BTreeSet;

use super::super::PolicySet;
use super::super::alter::{self, Budget};
use super::super::decide::ask;
use super::super::hint::hints;
use super::super::question::Question;
use super::super::verdict::{Judgement, Verdict, judge};
use super::write::lines;
use super::{Case, Expected, listed};

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// File of the case.
    pub file: String,
    /// Line where the case begins, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// What should have been: `deny by prod-root-needs-approval`.
    pub expected: String,
    /// What was, with the deciding policies, in the same words.
    pub got: String,
    /// Whether that is what was expected.
    pub passed: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Ids of the deciding policies.
    pub policies: BTreeSet<String>,
    /// What approvals must still come.
    pub obligation: Option<String>,
    /// The reasons given, by the deciding policies or for want of one.
    pub reasons: BTreeSet<String>,
    /// What would be permitted. Looked for only where the case names a hint or fails.
    pub hints: Vec<String>,
    /// The smallest change to the question that would give what is expected. Looked for by
    /// [`super::run_all`] only, and only where the case fails.
    pub nearest: Option<Nearest>,
}

/// A change to a question.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Nearest {
    /// What follows "as expected": `for 1 h, approved by 1 of approver`.
    pub words: String,
    /// The keys of the case that change, one a line, as TOML.
    pub toml: String,
}

/// Asks `case` of `policies`.
pub(super) fn run(file: &str, case: &Case, policies: &PolicySet) -> Outcome {
    let judgement = judge(policies, &case.question);
    let reasons = reasons(policies, &judgement);
    let Judgement {
        verdict,
        policies: ids,
        obligation,
        ..
    } = judgement;
    let mut outcome = Outcome {
        file: file.to_owned(),
        line: case.line,
        name: case.name.clone(),
        expected: case.expected.words(),
        got: String::new(),
        passed: false,
        verdict,
        policies: ids,
        obligation,
        reasons,
        hints: Vec::new(),
        nearest: None,
    };
    let hinted = || {
        let found = hints(policies, &case.question, &case.others);
        found.iter().map(ToString::to_string).collect()
    };
    let mut looked = false;
    if verdict != Verdict::Permit && case.expected.hint.is_some() {
        outcome.hints = hinted();
        looked = true;
    }
    outcome.passed = case.expected.fits(&outcome);
    if verdict != Verdict::Permit && !outcome.passed && !looked {
        outcome.hints = hinted();
    }
    outcome.got = outcome.words();
    let met: BTreeSet<String> = policies
        .met(&case.question)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if !met.is_empty() {
        outcome.got.push_str(&format!(", met {}", listed(&met)));
    }
    outcome
}

/// The smallest change to the question of a failing `case` that would give what it expects. Hints
/// are not held against it: they depend on the question more than on the policies.
pub(super) fn nearest(case: &Case, policies: &PolicySet, budget: &mut Budget) -> Option<Nearest> {
    let expected = &case.expected;
    let wanted = |question: &Question| {
        let permit = expected.verdict == Verdict::Permit;
        if permit && !ask(policies, question).is_permit() {
            // Without asking what approvals would help.
            return false;
        }
        let judgement = judge(policies, question);
        expected.verdict == judgement.verdict
            && expected.explained(
                &judgement.policies,
                &reasons(policies, &judgement),
                judgement.obligation.as_ref(),
            )
    };
    // As it stands only a hint is missing.
    if wanted(&case.question) {
        return None;
    }
    changed(policies, &case.question, &wanted, budget)
}

/// The smallest change to `question` that makes it as `wanted`.
pub(super) fn changed(
    policies: &PolicySet,
    question: &Question,
    wanted: &dyn Fn(&Question) -> bool,
    budget: &mut Budget,
) -> Option<Nearest> {
    let found = alter::nearest(policies, question, wanted, budget)?;
    let before = lines(question);
    let changed = lines(&found.question);
    let changed = changed.iter().filter(|line| !before.contains(line));
    let toml = changed.map(|line| format!("{} = {}\n", line.key, line.value));
    Some(Nearest {
        words: found.words,
        toml: toml.collect(),
    })
}

/// Every sentence that explains the answer.
fn reasons(policies: &PolicySet, judgement: &Judgement) -> BTreeSet<String> {
    match &judgement.denial {
        Some(denial) => denial
            .reasons
            .iter()
            .map(|why| why.sentence.clone())
            .collect(),
        None => {
            let about = |id| policies.policies().get(id);
            let permits = judgement.policies.iter().filter_map(about);
            permits.map(|info| info.reason.clone()).collect()
        }
    }
}

impl Expected {
    fn fits(&self, outcome: &Outcome) -> bool {
        let hinted = |hint| outcome.hints.contains(hint);
        let obligation = outcome.obligation.as_ref();
        self.verdict == outcome.verdict
            && self.explained(&outcome.policies, &outcome.reasons, obligation)
            && self.hint.as_ref().is_none_or(hinted)
    }

    /// Whether policy, reason and obligation are those expected.
    fn explained(
        &self,
        policies: &BTreeSet<String>,
        reasons: &BTreeSet<String>,
        obligation: Option<&String>,
    ) -> bool {
        let named = |(id, _): &(String, _)| policies.contains(id);
        self.policy.as_ref().is_none_or(named)
            && self
                .because
                .as_ref()
                .is_none_or(|why| reasons.contains(why))
            && (self.obligation.is_none() || self.obligation.as_ref() == obligation)
    }

    fn words(&self) -> String {
        let mut text = self.verdict.to_string();
        if let Some((id, _)) = &self.policy {
            text.push_str(&format!(" by {id}"));
        }
        for (what, words) in [
            ("because", &self.because),
            ("obligation", &self.obligation),
            ("hint", &self.hint),
        ] {
            text.extend(words.iter().map(|words| format!(", {what} {words:?}")));
        }
        text
    }
}

impl Outcome {
    fn words(&self) -> String {
        let by = match self.policies.is_empty() {
            true => "no policy".to_owned(),
            false => listed(&self.policies),
        };
        let mut text = format!("{} by {by}", self.verdict);
        text.extend(
            self.obligation
                .iter()
                .map(|words| format!(", obligation {words:?}")),
        );
        text.extend(self.hints.iter().map(|words| format!(", hint {words:?}")));
        text
    }
}
