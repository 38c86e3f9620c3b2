//! Who may do what: decisions by Cedar policies, with their reasons and what would change them.
//!
//! Pure: texts and questions in, decisions out; no file, no clock. Knows nothing of ceilings (the
//! longest grant of an environment and its certificate profile are configuration), of sessions or of
//! how approvals are collected. Reading the texts from a folder is `policy_files`.

mod alter;
mod case;
mod clause;
mod decide;
mod error;
mod finding;
mod hint;
mod index;
mod invariant;
mod lint;
mod literal;
mod load;
mod memo;
mod mention;
mod missing;
mod period;
mod question;
mod quorum;
mod reads;
mod request;
mod requirement;
mod spelling;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use ca_core::name::Environment;
use sha2::{Digest as _, Sha256};

use self::index::Index;
use self::load::{Loaded, Rules};
use self::request::Vocabulary;

pub use self::case::{
    Case, Cases, Coverage, Nearest, Outcome, case_named, case_text, nearest_permit, run_all,
};
pub use self::decide::{Decision, Denial, Reason, ask, decide};
pub use self::error::{PolicyError, Problem};
pub use self::finding::{Condition, Finding, findings};
pub use self::hint::{Change, Hint, hints};
pub(crate) use self::invariant::permitting;
pub use self::invariant::{ALWAYS_SUFFIX, Claim, Invariant, Invariants, NEVER_SUFFIX};
pub use self::load::PolicyInfo;
#[cfg(test)]
pub(crate) use self::memo::tests as questions;
pub use self::memo::{Memo, Ruling};
pub use self::missing::{Missing, approvals_missing};
pub(crate) use self::missing::{supposing_approved, supposing_everybody_approved};
pub use self::period::{duration, words};
pub use self::question::{Action, Approval, Facts, On, Person, Question, SecondFactor};
pub use self::requirement::{Requirement, Requirements};
pub use self::verdict::{Judgement, Verdict, judge};

/// File name of the schema in a policy folder.
pub const SCHEMA_NAME: &str = "schema.cedarschema";

/// Folder of the invariants in a policy folder.
pub const INVARIANTS_NAME: &str = "invariants";

/// File name of the table of requirements in a policy folder.
pub const REQUIREMENTS_NAME: &str = "requirements.toml";

/// A file of the repository's policy folder: its name there, and its text.
macro_rules! example {
    ($name:literal) => {
        ($name, include_str!(concat!("../../policies/", $name)))
    };
}

/// The example policies as they stand in the repository: paths below the policy folder, and texts.
/// The schema comes first, then the policies, the requirements, their cases, and the invariants.
pub const EXAMPLES: [(&str, &str); 23] = [
    example!("schema.cedarschema"),
    example!("routine.cedar"),
    example!("sensitive.cedar"),
    example!("on_call.cedar"),
    example!("break_glass.cedar"),
    example!("contractors.cedar"),
    example!("machines.cedar"),
    example!("oversight.cedar"),
    example!("guardrails.cedar"),
    example!("requirements.toml"),
    example!("cases/routine.toml"),
    example!("cases/sensitive.toml"),
    example!("cases/on_call.toml"),
    example!("cases/break_glass.toml"),
    example!("cases/contractors.toml"),
    example!("cases/machines.toml"),
    example!("cases/oversight.toml"),
    example!("cases/guardrails.toml"),
    example!("invariants/emergency.always.cedar"),
    example!("invariants/emergency.never.cedar"),
    example!("invariants/everywhere.never.cedar"),
    example!("invariants/outsiders.never.cedar"),
    example!("invariants/sensitive.never.cedar"),
];

/// Whether a file of [`EXAMPLES`] holds policies.
#[must_use]
pub fn is_policy_file(name: &str) -> bool {
    name.ends_with(".cedar") && !name.contains('/')
}

/// A text and the name it goes by in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// File name.
    pub name: String,
    /// Its whole content.
    pub text: String,
}

impl Source {
    /// `text` under `name`.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// A validated set of policies, ready to be asked.
#[derive(Clone, Debug)]
pub struct PolicySet {
    schema: cedar_policy::Schema,
    cedar: cedar_policy::PolicySet,
    index: Index,
    about: BTreeMap<String, PolicyInfo>,
    vocabulary: Vocabulary,
    requirements: Requirements,
    authorizer: cedar_policy::Authorizer,
    digest: [u8; 32],
    sources: Vec<Source>,
    warnings: Vec<Problem>,
}

impl PolicySet {
    /// The policies of all `sources` under `schema`, which may ask for the `requirements` of a table
    /// (none without one). With `environments`, the names of all that
    /// exist, a policy that names another one is an error.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with every problem found: syntax, a schema that does not fit what the
    /// authority supplies, anything strict validation objects to (its warnings included), a policy
    /// without `@id` or `@reason`, an `@id` used twice, a file without a policy, a permit for
    /// everybody that does not say why, a condition that says nothing, an environment or account that cannot exist, a table that is
    /// wrong, a requirement that is not in it.
    pub fn parse(
        schema: &Source,
        sources: &[Source],
        requirements: Option<&Source>,
        environments: Option<&BTreeSet<Environment>>,
    ) -> Result<Self, PolicyError> {
        let loaded = load::load(schema, sources, requirements, environments, Rules::Now)?;
        Self::of(loaded, schema, sources, requirements)
    }

    fn of(
        loaded: Loaded,
        schema: &Source,
        sources: &[Source],
        requirements: Option<&Source>,
    ) -> Result<Self, PolicyError> {
        let index =
            Index::new(&loaded.policies, &loaded.vocabulary).map_err(|error| PolicyError {
                problems: vec![Problem::cedar(&schema.name, &schema.text, &*error)],
            })?;
        let cedar = cedar_policy::PolicySet::from_policies(loaded.policies).map_err(|error| {
            PolicyError {
                problems: vec![Problem::cedar(&schema.name, &schema.text, &error)],
            }
        })?;
        let sources: Vec<Source> = std::iter::once(schema)
            .chain(sources)
            .chain(requirements)
            .cloned()
            .collect();
        let digest = Self::digest_of(&sources);
        Ok(Self {
            schema: loaded.schema,
            cedar,
            index,
            about: loaded.about,
            vocabulary: loaded.vocabulary,
            requirements: loaded.requirements,
            authorizer: cedar_policy::Authorizer::new(),
            digest,
            sources,
            warnings: loaded.warnings,
        })
    }

    /// A set that was in force, from texts in the order of its digest, as [`PolicySet::sources`]
    /// gives them: told apart by their names.
    ///
    /// # Errors
    ///
    /// [`PolicyError`], as [`PolicySet::parse`], except for what only later versions refuse.
    pub fn from_sources(sources: &[Source]) -> Result<Self, PolicyError> {
        let named = |name: &str| sources.iter().find(|source| source.name == name);
        let nothing = Source::new(SCHEMA_NAME, "");
        let policies = sources
            .iter()
            .filter(|source| source.name != SCHEMA_NAME && source.name != REQUIREMENTS_NAME);
        let policies: Vec<Source> = policies.cloned().collect();
        let schema = named(SCHEMA_NAME).unwrap_or(&nothing);
        let table = named(REQUIREMENTS_NAME);
        let loaded = load::load(schema, &policies, table, None, Rules::Ever)?;
        Self::of(loaded, schema, &policies, table)
    }

    /// What [`PolicySet::digest`] is for these texts.
    #[must_use]
    pub fn digest_of(sources: &[Source]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for source in sources {
            for part in [&source.name, &source.text] {
                // Lengths first, so that no two lists of texts are the same bytes.
                let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
                hash.update(length.to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        hash.finalize().into()
    }

    /// The texts of the schema, all policies and the table of requirements, in the order that the
    /// digest takes them.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// SHA-256 over the names and texts of the schema, all sources and the table of requirements, in
    /// the order given: which policies a decision was made by.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The schema, for analysis.
    pub(crate) const fn schema(&self) -> &cedar_policy::Schema {
        &self.schema
    }

    /// All policies under their `@id`s, for analysis.
    pub(crate) const fn cedar(&self) -> &cedar_policy::PolicySet {
        &self.cedar
    }

    /// For each resource of `question`, whether `other` policies allow it as Cedar decides: put to
    /// them exactly as it would be to these, under these requirements.
    pub(crate) fn allowed_by(
        &self,
        other: &cedar_policy::PolicySet,
        question: &Question,
    ) -> Vec<bool> {
        let met = self.met(question);
        let Ok(requests) = self.vocabulary.requests(question, &met) else {
            return Vec::new();
        };
        let allowed = |(_, request): &(_, cedar_policy::Request)| {
            let response = self
                .authorizer
                .is_authorized(request, other, &requests.entities);
            response.decision() == cedar_policy::Decision::Allow
        };
        requests.each.iter().map(allowed).collect()
    }

    /// What may be wrong with the policies, by file and line.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The table of requirements.
    #[must_use]
    pub const fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// Names of the requirements that the approvals of `question` meet.
    #[must_use]
    pub fn met(&self, question: &Question) -> BTreeSet<&str> {
        self.requirements.met(&question.approvers())
    }

    /// Requirements that no policy asks for.
    #[must_use]
    pub fn unused_requirements(&self) -> Vec<(&str, &Requirement)> {
        let used = |name: &str| self.about.values().any(|p| p.requirements.contains(name));
        let all = self.requirements.iter();
        all.filter(|(name, _)| !used(name)).collect()
    }

    /// Every policy by its `@id`.
    #[must_use]
    pub const fn policies(&self) -> &BTreeMap<String, PolicyInfo> {
        &self.about
    }
}
