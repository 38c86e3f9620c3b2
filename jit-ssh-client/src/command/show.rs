//! `jit-ssh show ID`: one access request whole.

use secrecy::SecretString;

use super::caller;
use crate::ca::Ca;
use crate::cli::ShowRequest;
use crate::clock;
use crate::failure::Failure;
use crate::request::{commands, whole};

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &ShowRequest) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let id = args.id;
    let call = async |token: &SecretString| ca.api.access_request(token, id, None).await;
    let request = caller.call(call).await?;
    let lines = whole(&request, clock::now());
    for line in lines.iter().chain(&commands(&request)) {
        ca.voice.result(line);
    }
    ca.voice.json(&serde_json::json!(request));
    Ok(())
}
