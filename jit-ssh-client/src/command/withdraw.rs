//! `jit-ssh withdraw ID`: the caller's own request, taken back.

use secrecy::SecretString;

use super::caller;
use crate::ca::Ca;
use crate::cli::Withdraw;
use crate::failure::Failure;
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Withdraw) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let id = args.id;
    let call = async |token: &SecretString| ca.api.withdraw(token, id).await;
    let withdrawn = caller.call(call).await?;
    ca.voice
        .result(&format!("{} request {id} is withdrawn", tick()));
    ca.voice.json(&serde_json::json!(withdrawn));
    Ok(())
}
