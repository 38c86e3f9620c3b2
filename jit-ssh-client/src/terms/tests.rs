//! Which request a login means, and what activates it.

use super::*;
use crate::config::{ConfigFile, Surroundings, resolve};
use crate::pins::tests::discovery;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

pub(crate) fn request(id: u64) -> AccessRequest {
    serde_json::from_value(serde_json::json!({
        "id": id, "revision": id, "status": "waiting", "user": "alice", "environment": "prod",
        "principals": ["root"], "duration_seconds": 3600, "reason": "disk full",
        "digest": Digest::of(&id.to_be_bytes()),
        "opened_at": "2027-01-15T08:00:00Z", "expires_at": "2027-01-15T16:00:00Z",
        "needs": "1 of sre-leads and 1 of security", "approvals_missing": 2, "approvals": [],
        "mine": true, "may_decide": false,
    }))
    .unwrap()
}

fn config(folder: &std::path::Path) -> Config {
    let file = ConfigFile {
        ca_url: "https://ca.example.com".into(),
        ca_certificate: None,
        state_dir: Some(folder.join("state")),
        browser: None,
    };
    resolve(&Surroundings::default(), folder.join("c.toml"), file).unwrap()
}

pub(crate) fn wish() -> Wish {
    Wish {
        environment: discovery().environments.remove(0),
        principals: Vec::new(),
        duration: None,
        reason: None,
        ticket: None,
        not_before: None,
        ground: Ground::Policy,
    }
}

fn means(requests: &[AccessRequest], wish: &Wish) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    let found = meant(&config(folder.path()), requests, wish, NOW).unwrap();
    found.map(|request| request.id)
}

#[test]
fn a_bare_login_means_the_open_request_and_the_usable_one_first() {
    let (older, newer) = (request(17), request(20));
    assert_eq!(means(&[newer.clone(), older.clone()], &wish()), Some(20));
    let approved = AccessRequest {
        status: RequestStatus::Approved,
        ..older
    };
    assert_eq!(means(&[newer.clone(), approved.clone()], &wish()), Some(17));
    let later = AccessRequest {
        not_before: Some(NOW.plus(Duration::from_secs(60))),
        ..approved
    };
    assert_eq!(means(&[newer, later], &wish()), Some(20));
}

#[test]
fn what_is_over_somebody_elses_or_of_another_environment_is_not_meant() {
    let over = [
        RequestStatus::Activated,
        RequestStatus::Denied,
        RequestStatus::Expired,
        RequestStatus::Withdrawn,
    ];
    for status in over {
        let request = AccessRequest {
            status,
            ..request(17)
        };
        assert_eq!(means(&[request], &wish()), None, "{status:?}");
    }
    let foreign = AccessRequest {
        mine: false,
        ..request(17)
    };
    let elsewhere = AccessRequest {
        environment: "staging".parse().unwrap(),
        ..request(17)
    };
    let late = AccessRequest {
        expires_at: NOW,
        ..request(17)
    };
    assert_eq!(means(&[foreign, elsewhere, late], &wish()), None);
}

#[test]
fn each_flag_that_contradicts_the_request_means_another_one() {
    let same = Wish {
        principals: vec!["root".parse().unwrap()],
        duration: Some(Duration::from_secs(3600)),
        reason: Some("disk full".into()),
        ..wish()
    };
    assert_eq!(means(&[request(17)], &same), Some(17));
    let others = [
        Wish {
            principals: vec!["deploy".parse().unwrap()],
            ..wish()
        },
        Wish {
            duration: Some(Duration::from_secs(60)),
            ..wish()
        },
        Wish {
            reason: Some("curiosity".into()),
            ..wish()
        },
        Wish {
            ticket: Some("OPS-7".into()),
            ..wish()
        },
        Wish {
            not_before: Some(NOW),
            ..wish()
        },
    ];
    for other in others {
        assert_eq!(means(&[request(17)], &other), None, "{other:?}");
    }
}

#[test]
fn a_request_that_an_approver_shortened_is_activated_with_the_terms_it_was_opened_with() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let asked = Wish {
        principals: vec!["root".parse().unwrap()],
        duration: Some(Duration::from_secs(7200)),
        reason: Some("disk full".into()),
        ..wish()
    };
    remember(&config, &request(17), &asked, NOW).unwrap();
    let shortened = AccessRequest {
        duration_seconds: 600,
        ..request(17)
    };
    let found = meant(&config, std::slice::from_ref(&shortened), &asked, NOW).unwrap();
    assert_eq!(found.map(|request| request.id), Some(17));
    let environment = wish().environment;
    let activated = activation(&config, &shortened, environment.clone(), NOW).unwrap();
    assert_eq!(activated.duration, Some(Duration::from_secs(7200)));
    assert_eq!(activated.ground, Ground::Request(17));
    // Opened on another machine: what the request says is all there is.
    let foreign = AccessRequest {
        digest: Digest::of(b"another"),
        ..shortened
    };
    let activated = activation(&config, &foreign, environment, NOW).unwrap();
    assert_eq!(activated.duration, Some(Duration::from_secs(600)));
    assert_eq!(activated.reason.as_deref(), Some("disk full"));
}
