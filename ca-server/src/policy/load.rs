//! From texts to policies that may be asked: parsed, named, validated. All of them or none.
//!
//! Refuses what Cedar only warns about (a policy that can never apply is a typing error, and if it
//! was meant to forbid, a hole); what else nobody means is `lint`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use ca_core::name::Environment;
use cedar_policy as cedar;
use cedar_policy::{
    Effect, Policy, PrincipalConstraint, Schema, ValidationError, ValidationMode,
    ValidationWarning, Validator,
};

use super::error::{PolicyError, Problem, place};
use super::lint::{lint, spelt, written};
use super::literal;
use super::mention::Mentions;
use super::request::Vocabulary;
use super::requirement::Requirements;
use super::{PolicySet, Source};

/// Where a policy stands and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyInfo {
    /// File name.
    pub file: String,
    /// Line of its first character, annotations included, from 1.
    pub line: usize,
    /// Its `@reason`: one sentence for people.
    pub reason: String,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// Requirements that its conditions ask for.
    pub requirements: BTreeSet<String>,
}

/// What loading yields.
pub(super) struct Loaded {
    pub(super) schema: Schema,
    pub(super) policies: Vec<Policy>,
    pub(super) about: BTreeMap<String, PolicyInfo>,
    pub(super) vocabulary: Vocabulary,
    pub(super) requirements: Requirements,
    /// What may be wrong, by file and line.
    pub(super) warnings: Vec<Problem>,
}

const REASON: &str = "write @reason(\"…\") above it: one sentence, shown to whoever it refuses";
const IMPOSSIBLE: &str = "it would never apply: see whether the action is done to such a resource, and whether the \
     conditions contradict each other";
const ID: &str = "write @id(\"…\") above it: a short name, used in denials and in the log";

/// By which rules policies are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// Those for policies that are to come into force.
    Now,
    /// Those that every set met that ever was in force. What was accepted once can be asked again.
    Ever,
}

/// Everything in `sources` and the table of requirements, or everything that is wrong with it.
pub(super) fn load(
    schema: &Source,
    sources: &[Source],
    requirements: Option<&Source>,
    environments: Option<&BTreeSet<Environment>>,
    rules: Rules,
) -> Result<Loaded, PolicyError> {
    let one = |problem| PolicyError {
        problems: vec![problem],
    };
    let (schema_text, schema_name) = (schema.text.as_str(), schema.name.as_str());
    let schema = Schema::from_cedarschema_str(schema_text)
        .map(|(schema, _)| schema)
        .map_err(|error| one(Problem::cedar(schema_name, schema_text, &error)))?;
    let vocabulary = Vocabulary::new(&schema)
        .map_err(|error| one(Problem::cedar(schema_name, schema_text, &*error)))?;
    let absent = |()| match rules {
        Rules::Now => vocabulary.check_absent(&schema),
        Rules::Ever => Ok(()),
    };
    let fits = vocabulary.check(&schema).and_then(absent);
    fits.map_err(|error| {
        let message = format!("the schema does not fit what the authority supplies: {error}");
        let hint = "start from the schema that `ca-server init` writes".to_owned();
        one(Problem::at(
            schema_name,
            schema_text,
            (0, 1),
            message,
            Some(hint),
        ))
    })?;
    let validator = Validator::new(schema.clone());
    let mut loading = Loading::default();
    let table = requirements.map_or_else(|| Ok(Requirements::default()), Requirements::parse);
    // Without its table no policy is blamed for the names that it asks for.
    let known = Known {
        environments,
        requirements: table.as_ref().ok(),
        lint: (rules == Rules::Now).then_some(&vocabulary),
    };
    for source in sources {
        loading.file(source, &validator, &known);
    }
    let mut warnings = std::mem::take(&mut loading.warnings);
    warnings.sort_by(by_place);
    loading
        .problems
        .extend(table.as_ref().err().into_iter().flatten().cloned());
    let (policies, about) = loading.finish()?;
    Ok(Loaded {
        schema,
        policies,
        about,
        vocabulary,
        requirements: table.unwrap_or_default(),
        warnings,
    })
}

/// The statements in `sources`, each with what it says of itself and the file that it is in: held
/// to the same rules as the policies of `policies`, and to nothing that only policies must be.
pub(super) fn invariants<'a>(
    policies: &PolicySet,
    sources: &'a [Source],
    environments: Option<&BTreeSet<Environment>>,
) -> Result<Vec<(Policy, PolicyInfo, &'a Source)>, PolicyError> {
    let validator = Validator::new(policies.schema.clone());
    let known = Known {
        environments,
        requirements: Some(&policies.requirements),
        lint: None,
    };
    let mut loading = Loading::default();
    for source in sources {
        loading.file(source, &validator, &known);
    }
    let (found, mut about) = loading.finish()?;
    let told = found.into_iter().filter_map(|policy| {
        let info = about.remove(&policy.id().to_string())?;
        let source = sources.iter().find(|source| source.name == info.file)?;
        Some((policy, info, source))
    });
    Ok(told.collect())
}

/// What policies may name.
struct Known<'a> {
    environments: Option<&'a BTreeSet<Environment>>,
    requirements: Option<&'a Requirements>,
    /// With it, what Cedar accepts and nobody means is looked for, too.
    lint: Option<&'a Vocabulary>,
}

fn by_place(a: &Problem, b: &Problem) -> Ordering {
    (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column))
}

#[derive(Default)]
struct Loading {
    policies: Vec<Policy>,
    about: BTreeMap<String, PolicyInfo>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Loading {
    /// Everything that was read, or everything that is wrong with it, by place.
    fn finish(mut self) -> Result<(Vec<Policy>, BTreeMap<String, PolicyInfo>), PolicyError> {
        if self.problems.is_empty() {
            return Ok((self.policies, self.about));
        }
        self.problems.sort_by(by_place);
        Err(PolicyError {
            problems: self.problems,
        })
    }

    fn file(&mut self, source: &Source, validator: &Validator, known: &Known<'_>) {
        let (name, text) = (source.name.as_str(), source.text.as_str());
        let set = match cedar::PolicySet::from_str(text) {
            Ok(set) => set,
            Err(errors) => {
                let found = errors.iter().map(|error| Problem::cedar(name, text, error));
                return self.problems.extend(found);
            }
        };
        if set.num_of_policies() == 0 {
            let message = "the file holds no policy".to_owned();
            let hint = "remove the file if that is meant; an empty one may be half written";
            let problem = Problem::at(name, text, (0, 1), message, Some(hint.to_owned()));
            self.problems.push(problem);
        }
        for template in set.templates() {
            let message = format!(
                "policy template {:?} is never used",
                template.id().to_string()
            );
            self.problems
                .push(Problem::at(name, text, (0, 1), message, None));
        }
        self.validate(source, &set, validator);
        for policy in set.policies() {
            let span = policy.as_ref().loc().map_or(0..text.len(), |loc| {
                loc.span.offset()..loc.span.offset().saturating_add(loc.span.len())
            });
            if let Some(known) = known.environments {
                let found = literal::unknown(policy, (source, span.clone()), known);
                self.problems.extend(found);
            }
            if let Some(vocabulary) = known.lint {
                let found = lint(policy, (source, span.start), vocabulary);
                self.problems.extend(found.problems);
                self.warnings.extend(found.warnings);
            }
            let mentions = Mentions::of(policy);
            if let Some(known) = known.requirements {
                let found = literal::unknown_requirements(&mentions, (source, span), known);
                self.problems.extend(found);
            }
            if known.lint.is_none() {
                self.open(source, policy);
            }
            self.policy(source, policy, mentions.requirements);
        }
    }

    /// What strict validation objects to, its warnings included.
    fn validate(
        &mut self,
        Source { name, text }: &Source,
        set: &cedar::PolicySet,
        validator: &Validator,
    ) {
        let result = validator.validate(set, ValidationMode::Strict);
        // A policy that names what there is not applies to nothing; that is all there is to say.
        let misspelt: Vec<&cedar::PolicyId> = result
            .validation_errors()
            .filter(|error| {
                let unknown = matches!(error, ValidationError::UnrecognizedEntityType(_));
                unknown || matches!(error, ValidationError::UnrecognizedActionId(_))
            })
            .map(ValidationError::policy_id)
            .collect();
        for error in result.validation_errors() {
            self.problems.push(Problem::cedar(name, text, error));
        }
        for warning in result.validation_warnings() {
            let impossible = matches!(
                warning,
                ValidationWarning::ImpossiblePolicy(_)
                    | ValidationWarning::InvalidActionApplication(_)
            );
            if impossible && misspelt.contains(&warning.policy_id()) {
                continue;
            }
            let mut problem = Problem::cedar(name, text, warning);
            if impossible && problem.hint.is_none() {
                problem.hint = Some(IMPOSSIBLE.to_owned());
            }
            self.problems.push(problem);
        }
    }

    /// What ever was refused as a permit for everybody.
    fn open(&mut self, Source { name, text }: &Source, policy: &Policy) {
        let open = policy.effect() == Effect::Permit
            && policy.principal_constraint() == PrincipalConstraint::Any
            && !policy.has_non_scope_constraint();
        if open {
            let start = policy.as_ref().loc().map_or(0, |loc| loc.span.offset());
            let message = "the policy permits everybody under every circumstance".to_owned();
            let hint = "name a group (`principal in Group::\"…\"`) or add a condition".to_owned();
            let problem = Problem::at(name, text, (start, 1), message, Some(hint));
            self.problems.push(problem);
        }
    }

    fn policy(&mut self, source: &Source, policy: &Policy, requirements: BTreeSet<String>) {
        let (name, text) = (source.name.as_str(), source.text.as_str());
        let start = policy.as_ref().loc().map_or(0, |loc| loc.span.offset());
        let width = text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .map_or(1, str::len);
        let mut wrong = |message: String, hint: &str| {
            let hint = Some(hint.to_owned());
            self.problems
                .push(Problem::at(name, text, (start, width), message, hint));
        };
        let reason = written(policy, "reason");
        if reason.is_none() {
            wrong(
                "the policy has no @reason".to_owned(),
                &spelt(policy, "reason", REASON),
            );
        }
        if reason.is_some_and(|reason| reason.chars().any(char::is_control)) {
            wrong(
                "the @reason holds a control character".to_owned(),
                "one line of plain words: it is shown on people's terminals",
            );
        }
        let Some(id) = written(policy, "id") else {
            return wrong("the policy has no @id".to_owned(), &spelt(policy, "id", ID));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if id.len() > 64 || !id.chars().all(plain) {
            return wrong(
                format!("@id {id:?} is not a plain name"),
                "at most 64 letters, digits, dots, underscores and dashes",
            );
        }
        if let Some(first) = self.about.get(id) {
            let message = format!("@id {id:?} is taken by {}:{}", first.file, first.line);
            return wrong(message, "give one of the two another @id");
        }
        let about = PolicyInfo {
            file: name.to_owned(),
            line: place(text, start).line,
            reason: reason.unwrap_or_default().to_owned(),
            forbids: policy.effect() == Effect::Forbid,
            requirements,
        };
        self.about.insert(id.to_owned(), about);
        self.policies.push(policy.new_id(cedar::PolicyId::new(id)));
    }
}
