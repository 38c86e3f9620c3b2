//! The HTTP edge of a real server, under everything that a network can send.

use serde_json::{Value, json};

use crate::support::oidc::Provider;
use crate::support::serve::api::fresh_public_key;
use crate::support::serve::{Api, Installation};
use crate::support::signing_key::Alg;

mod bodies;
mod crowd;
mod log;
mod running;
mod secrets;
mod wishes;

/// A running CA and its provider; alice and carol (who may read the records) have sessions.
struct Scene {
    provider: Provider,
    ca: Installation,
    api: Api,
    alice: String,
    carol: String,
}

impl Scene {
    #[track_caller]
    fn of(make: impl FnOnce(&str) -> Installation) -> Self {
        let provider = Provider::with(Alg::EdDsa).start();
        let ca = make(&provider.issuer()).start();
        let api = Api::of(&ca);
        let [alice, carol] = ["alice", "carol"].map(|name| {
            let authenticator = api.enrol(&provider, name);
            api.session(&provider, name, &authenticator)
        });
        Self {
            provider,
            ca,
            api,
            alice,
            carol,
        }
    }

    /// How many certificates were issued so far.
    #[track_caller]
    fn issued(&self) -> usize {
        let events = self.api.events(&self.carol, "certificate-issued");
        events.len()
    }
}

/// A wish that is granted to alice, named `request_id`.
fn wish(request_id: &str) -> Value {
    json!({
        "environment": "staging",
        "principals": ["deploy"],
        "duration_seconds": 3600,
        "public_key": fresh_public_key(),
        "request_id": request_id,
    })
}
