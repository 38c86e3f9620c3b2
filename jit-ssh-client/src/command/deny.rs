//! `jit-ssh deny ID --reason TEXT`: no, which ends the request.

use ca_core::api::DenyRequest;
use secrecy::SecretString;

use super::{caller, written};
use crate::ca::Ca;
use crate::cli::Deny;
use crate::failure::Failure;
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Deny) -> Result<(), Failure> {
    let body = DenyRequest {
        reason: written("--reason", &args.reason)?.to_owned(),
    };
    let mut caller = caller(ca, &args.sign_in).await?;
    let id = args.id;
    let call = async |token: &SecretString| ca.api.deny(token, id, &body).await;
    let denied = caller.call(call).await?;
    let user = &denied.user;
    ca.voice.result(&format!(
        "{} you denied request {id} of {user}; they read why",
        tick()
    ));
    ca.voice.json(&serde_json::json!(denied));
    Ok(())
}
