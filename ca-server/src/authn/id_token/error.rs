//! Why an ID token is refused, and the names of the reasons in records.

/// Why an ID token is refused. Never carries anything out of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdTokenError {
    /// `none`, a symmetric or another algorithm, or not the one of the key.
    #[error("id token algorithm is not allowed for its key")]
    Algorithm,
    /// `aud` does not name our client.
    #[error("id token is for another client")]
    Audience,
    /// `azp` is another client, or missing beside several audiences.
    #[error("id token was issued to another client")]
    AuthorizedParty,
    /// The user claim is `email` and `email_verified` is not `true`.
    #[error("id token has an e-mail address that is not verified")]
    EmailUnverified,
    /// `exp` is past or missing.
    #[error("id token is expired")]
    Expired,
    /// The groups claim is not a bounded list of names.
    #[error("id token has unusable groups")]
    Groups,
    /// A `crit` extension or a `typ` other than JWT.
    #[error("id token header is not that of an id token")]
    Header,
    /// `iat` lies in the future or is missing.
    #[error("id token is issued in the future")]
    IssuedAt,
    /// `iss` is not the trusted issuer.
    #[error("id token is from an issuer that is not trusted")]
    Issuer,
    /// No key of the provider has this id.
    #[error("id token is signed with an unknown key")]
    KeyUnknown,
    /// Not three base64url parts with JSON objects, a repeated member, or a claim of wrong type.
    #[error("id token is malformed")]
    Malformed,
    /// The nonce commits to another session key.
    #[error("id token nonce does not match the session key")]
    Nonce,
    /// `nbf` lies in the future.
    #[error("id token is not valid yet")]
    NotYetValid,
    /// The signature is not that of the key.
    #[error("id token signature is wrong")]
    Signature,
    /// `sub` is missing or unusable.
    #[error("id token has no usable subject")]
    Subject,
    /// Longer than [`super::TOKEN_BYTES_MAX`].
    #[error("id token is too long")]
    TooLong,
    /// Issued longer ago than the issuer's configuration allows.
    #[error("id token is too old")]
    TooOld,
    /// The user claim is missing or not a user name.
    #[error("id token has no usable user name")]
    UserName,
}

impl IdTokenError {
    /// Stable name for records; never shown to the person.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Algorithm => "id-token-algorithm",
            Self::Audience => "id-token-audience",
            Self::AuthorizedParty => "id-token-authorized-party",
            Self::EmailUnverified => "id-token-email-unverified",
            Self::Expired => "id-token-expired",
            Self::Groups => "id-token-groups",
            Self::Header => "id-token-header",
            Self::IssuedAt => "id-token-issued-at",
            Self::Issuer => "id-token-issuer",
            Self::KeyUnknown => "id-token-key-unknown",
            Self::Malformed => "id-token-malformed",
            Self::Nonce => "id-token-nonce",
            Self::NotYetValid => "id-token-not-yet-valid",
            Self::Signature => "id-token-signature",
            Self::Subject => "id-token-subject",
            Self::TooLong => "id-token-too-long",
            Self::TooOld => "id-token-too-old",
            Self::UserName => "id-token-user-name",
        }
    }
}
