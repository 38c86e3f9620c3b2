//! Who may do what: decisions by Cedar policies, with their reasons and what would change them.
//!
//! Pure: texts and questions in, decisions out; no file, no clock. Knows nothing of ceilings (the
//! longest grant of an environment and its certificate profile are configuration), of sessions or of
//! how approvals are collected. Reading the texts from a folder is `policy_files`.

mod case;
mod decide;
mod error;
mod hint;
mod index;
mod literal;
mod load;
mod mention;
mod missing;
mod question;
mod quorum;
mod request;
mod requirement;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use ca_core::name::Environment;
use sha2::{Digest as _, Sha256};

use self::index::Index;
use self::request::Vocabulary;

pub use self::case::{Case, CaseError, Cases, Outcome, duration, words};
pub use self::decide::{Decision, Denial, Reason, ask, decide};
pub use self::error::{PolicyError, Problem};
pub use self::hint::{Change, Hint, hints};
pub use self::load::PolicyInfo;
pub use self::missing::{Missing, approvals_missing};
pub(crate) use self::missing::{supposing_approved, supposing_everybody_approved};
pub use self::question::{Action, Approval, Facts, On, Person, Question, SecondFactor};
pub use self::requirement::{Requirement, Requirements};
pub use self::verdict::{Judgement, Verdict, judge};

/// File name of the schema in a policy folder.
pub const SCHEMA_NAME: &str = "schema.cedarschema";

/// File name of the table of requirements in a policy folder.
pub const REQUIREMENTS_NAME: &str = "requirements.toml";

/// The example policies as they stand in the repository: paths below the policy folder, and texts.
/// The schema comes first, then the policies, the requirements, and their cases.
pub const EXAMPLES: [(&str, &str); 8] = [
    (
        SCHEMA_NAME,
        include_str!("../../policies/schema.cedarschema"),
    ),
    (
        "baseline.cedar",
        include_str!("../../policies/baseline.cedar"),
    ),
    (
        "break_glass.cedar",
        include_str!("../../policies/break_glass.cedar"),
    ),
    (
        "production.cedar",
        include_str!("../../policies/production.cedar"),
    ),
    (
        REQUIREMENTS_NAME,
        include_str!("../../policies/requirements.toml"),
    ),
    (
        "cases/baseline.toml",
        include_str!("../../policies/cases/baseline.toml"),
    ),
    (
        "cases/break_glass.toml",
        include_str!("../../policies/cases/break_glass.toml"),
    ),
    (
        "cases/production.toml",
        include_str!("../../policies/cases/production.toml"),
    ),
];

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
    /// everybody without condition, an environment or account that cannot exist, a table that is
    /// wrong, a requirement that is not in it.
    pub fn parse(
        schema: &Source,
        sources: &[Source],
        requirements: Option<&Source>,
        environments: Option<&BTreeSet<Environment>>,
    ) -> Result<Self, PolicyError> {
        let loaded = load::load(schema, sources, requirements, environments)?;
        let index =
            Index::new(&loaded.policies, &loaded.vocabulary).map_err(|error| PolicyError {
                problems: vec![Problem::cedar(&schema.name, &schema.text, &*error)],
            })?;
        let cedar = cedar_policy::PolicySet::from_policies(loaded.policies).map_err(|error| {
            PolicyError {
                problems: vec![Problem::cedar(&schema.name, &schema.text, &error)],
            }
        })?;
        let mut hash = Sha256::new();
        for source in std::iter::once(schema).chain(sources).chain(requirements) {
            for part in [&source.name, &source.text] {
                // Lengths first, so that no two lists of texts are the same bytes.
                let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
                hash.update(length.to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        Ok(Self {
            schema: loaded.schema,
            cedar,
            index,
            about: loaded.about,
            vocabulary: loaded.vocabulary,
            requirements: loaded.requirements,
            authorizer: cedar_policy::Authorizer::new(),
            digest: hash.finalize().into(),
        })
    }

    /// SHA-256 over the names and texts of the schema, all sources and the table of requirements, in
    /// the order given: which policies a decision was made by.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The schema, for analysis.
    #[expect(dead_code, reason = "for proofs")]
    pub(crate) const fn schema(&self) -> &cedar_policy::Schema {
        &self.schema
    }

    /// All policies under their `@id`s, for analysis.
    pub(crate) const fn cedar(&self) -> &cedar_policy::PolicySet {
        &self.cedar
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
