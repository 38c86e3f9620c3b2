//! `GET /v1/discovery`: what a client must know before it can ask for anything. Public.

use axum::Json;
use axum::extract::State;
use ca_core::api::{DiscoveredEnvironment, DiscoveredIssuer, DiscoveredLog, Discovery};

use super::Shared;
use crate::authn::id_token::IssuerConfig;
use crate::ca::{Signing, host_ca_key};
use crate::ledger::Ledger;

pub(super) async fn show(State(edge): Shared) -> Json<Discovery> {
    let ca = &edge.ca;
    Json(Discovery {
        issuers: ca.providers.issuers().map(issuer).collect(),
        environments: ca.environments.values().map(environment).collect(),
        log: log(&ca.ledger),
        server_time: ca.clock.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn issuer(config: &IssuerConfig) -> DiscoveredIssuer {
    DiscoveredIssuer {
        issuer: config.issuer.clone(),
        client_id: config.client_id.clone(),
        scopes: config.scopes.clone(),
    }
}

fn environment(signing: &Signing) -> DiscoveredEnvironment {
    let rules = &signing.rules;
    DiscoveredEnvironment {
        name: rules.name.clone(),
        ca_public_key: signing.signer.public_key().to_string(),
        host_ca_public_key: host_ca_key(signing),
        host_patterns: rules.host_patterns.clone(),
        default_principals: rules.default_principals.as_slice().to_vec(),
        default_duration_seconds: rules.default_duration_seconds,
        duration_seconds_max: rules.profile.max_duration_seconds.get().into(),
    }
}

fn log(ledger: &Ledger) -> DiscoveredLog {
    let verifier = ledger.verifier();
    DiscoveredLog {
        origin: verifier.name().to_string(),
        verifier_key: verifier.to_string(),
        epoch: ledger.epoch(),
    }
}
