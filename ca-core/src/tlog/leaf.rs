//! Placeholder.
/// x
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "placeholder")]
pub enum Kind {
    AdminAction,
    CaKey,
    UserCertificate,
    GrantReturned,
    Revocation,
    LogCreated,
    PolicyChange,
    Refusal,
    SessionClosed,
    SessionOpened,
    SecondFactorChange,
}
