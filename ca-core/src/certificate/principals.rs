//! The list of login names in a certificate.
//!
//! A list from end to end: never joined and split, so a comma can never add a name.

use serde::{Deserialize, Serialize};

use crate::name::Principal;

/// Most principals in one certificate. `sshd` stops at 256; people never need so many.
pub const PRINCIPALS_MAX: usize = 32;

/// 1 to [`PRINCIPALS_MAX`] different names, in the order they were given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Principal>", into = "Vec<Principal>")]
pub struct Principals(Vec<Principal>);

/// Why a list of names cannot go into a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalsError {
    /// OpenSSH before 10.3 reads an empty list as "every account".
    #[error("at least one principal is needed")]
    Empty,
    /// More than [`PRINCIPALS_MAX`].
    #[error("{count} principals, at most {PRINCIPALS_MAX} are allowed")]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// The same name twice.
    #[error("principal {0:?} appears twice")]
    Duplicate(Principal),
}

impl Principals {
    /// The list `names`, order kept.
    ///
    /// # Errors
    ///
    /// [`PrincipalsError`] when it is empty, too long or repeats a name.
    pub fn new(names: Vec<Principal>) -> Result<Self, PrincipalsError> {
        if names.is_empty() {
            return Err(PrincipalsError::Empty);
        }
        if names.len() > PRINCIPALS_MAX {
            return Err(PrincipalsError::TooMany { count: names.len() });
        }
        let repeated = names
            .iter()
            .enumerate()
            .find(|&(at, name)| names.iter().take(at).any(|earlier| earlier == name));
        match repeated {
            Some((_, name)) => Err(PrincipalsError::Duplicate(name.clone())),
            None => Ok(Self(names)),
        }
    }

    /// The names in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Principal] {
        &self.0
    }
}

impl TryFrom<Vec<Principal>> for Principals {
    type Error = PrincipalsError;
    fn try_from(names: Vec<Principal>) -> Result<Self, PrincipalsError> {
        Self::new(names)
    }
}

impl From<Principals> for Vec<Principal> {
    fn from(list: Principals) -> Self {
        list.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Principal> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_order_given_is_the_order_kept() {
        let list = Principals::new(names(&["root", "deploy", "app"])).unwrap();
        assert_eq!(list.as_slice(), names(&["root", "deploy", "app"]));
    }

    #[test]
    fn an_empty_a_repeating_and_an_overlong_list_are_refused() {
        assert_eq!(Principals::new(vec![]), Err(PrincipalsError::Empty));
        assert_eq!(
            Principals::new(names(&["root", "app", "root"])),
            Err(PrincipalsError::Duplicate("root".parse().unwrap()))
        );
        let many: Vec<Principal> = (0..33).map(|n| format!("u{n}").parse().unwrap()).collect();
        assert!(Principals::new(many[..32].to_vec()).is_ok());
        assert_eq!(
            Principals::new(many),
            Err(PrincipalsError::TooMany { count: 33 })
        );
        assert!(serde_json::from_str::<Principals>("[]").is_err());
        assert!(serde_json::from_str::<Principals>(r#"["a,root"]"#).is_err());
    }
}
