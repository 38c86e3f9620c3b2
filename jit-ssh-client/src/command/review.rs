//! `jit-ssh review ID --finding TEXT`: an emergency of somebody else, judged.

use ca_core::api::CloseReview as Body;
use secrecy::SecretString;

use super::{caller, written};
use crate::ca::Ca;
use crate::cli::CloseReview;
use crate::failure::Failure;
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &CloseReview) -> Result<(), Failure> {
    let body = Body {
        finding: written("--finding", &args.finding)?.to_owned(),
    };
    let mut caller = caller(ca, &args.sign_in).await?;
    let id = args.id;
    let call = async |token: &SecretString| ca.api.close_review(token, id, &body).await;
    caller.call(call).await?;
    ca.voice
        .result(&format!("{} review {id} is closed", tick()));
    ca.voice
        .json(&serde_json::json!({"review": id, "finding": body.finding}));
    Ok(())
}
