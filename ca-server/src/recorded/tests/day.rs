//! A day of a real authority: every kind of decision there is, by policies that each look at one
//! value of one fact.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ca_core::api::{self, RequestCertificate};
use ca_core::digest::Digest;

use crate::ca::example::{Example, SESSION_KEY, start_time};
use crate::ca::{Answer, Ca, Caller, Failure, Switch};
use crate::policy::{EXAMPLES, PolicySet, SCHEMA_NAME};
use crate::store::Store;

pub(crate) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// Every window that is asked for or agreed to, seconds.
const DURATIONS: [u64; 12] = [
    600, 660, 720, 780, 900, 960, 1020, 1080, 1200, 1260, 1800, 3600,
];

/// Who gets what: `deploy` at once, `root` with an approval and a second factor that is younger
/// than 300 s, `closed` never. Emergencies as often as somebody likes.
const DOORS: &str = r#"
@id("root-needs-another") @reason("root needs another person and a fresh code")
forbid (principal, action == Action::"login", resource == Account::"prod/root")
when { context.approvals == 0 || context.mfa_age > 300 };

@id("closed") @reason("nobody gets closed")
forbid (principal, action in [Action::"login", Action::"break_glass"], resource == Account::"prod/closed");

@id("sre-may-not") @reason("sre watches over nothing")
forbid (principal in Group::"sre", action in [Action::"approve", Action::"review", Action::"revoke",
        Action::"read_audit", Action::"administer"], resource);
"#;

/// One condition for each value of each fact that shows in this test.
pub(crate) fn prints() -> Vec<String> {
    let mut all = Vec::new();
    // Everything here happens at whole tens of seconds.
    for seconds in (0..80).flat_map(|tens| [tens * 10, tens * 10 + 1]) {
        let time = start_time().plus(Duration::from_secs(seconds));
        all.push(format!("context.mfa_age >= {seconds}"));
        all.push(format!("context.now >= datetime(\"{time}\")"));
    }
    for seconds in DURATIONS {
        all.push(format!("context.duration == {seconds}"));
    }
    for count in 0..3 {
        all.push(format!("context.approvals == {count}"));
        all.push(format!("context.unreviewed == {count}"));
    }
    for group in ["engineering", "sre", "security", "approver"] {
        all.push(format!("context.approver_groups.contains(\"{group}\")"));
        all.push(format!("principal in Group::\"{group}\""));
    }
    for name in ["alice", "bob", "carol", "dave"] {
        all.push(format!("principal.name == \"{name}\""));
    }
    for (fact, value) in [
        ("mfa_kind", "\"totp\""),
        ("reason", "\"INC-42\""),
        ("ticket", "\"T-1\""),
        ("source", "ip(\"192.0.2.7\")"),
        ("token_bound", "true"),
        ("on_call", "true"),
        ("on_call", "false"),
    ] {
        all.push(format!("context has {fact} && context.{fact} == {value}"));
    }
    all.push("context has holder".to_owned());
    all.push("context has holder && context.holder != principal".to_owned());
    all
}

/// A folder with these policies.
fn write(folder: &Path, conditions: &[String]) {
    let (_, schema) = EXAMPLES[0];
    std::fs::write(folder.join(SCHEMA_NAME), schema).unwrap();
    std::fs::write(folder.join("day.cedar"), policies(conditions)).unwrap();
}

/// The doors, and policies of those conditions: as permits, and as forbids of what is shut.
pub(crate) fn policies(conditions: &[String]) -> String {
    let shut = "resource == Account::\"prod/closed\" || (resource == Account::\"prod/root\" && \
                action == Action::\"login\" && (context.approvals == 0 || context.mfa_age > 300))";
    let mut text = DOORS.to_owned();
    for (number, condition) in conditions.iter().enumerate() {
        let annotated = |name: &str| format!("@id(\"{name}-{number}\") @reason(\"a print\")\n");
        let (permit, forbid) = (annotated("permit"), annotated("forbid"));
        let barred = annotated("barred");
        writeln!(
            text,
            "{permit}@everybody(\"so that every fact shows\")\n\
             permit (principal, action, resource) when {{ {condition} }};"
        )
        .unwrap();
        writeln!(
            text,
            "{forbid}forbid (principal, action in [Action::\"login\", Action::\"break_glass\"], \
             resource is Account) when {{ ({shut}) && {condition} }};"
        )
        .unwrap();
        writeln!(
            text,
            "{barred}forbid (principal in Group::\"sre\", action in [Action::\"approve\", \
             Action::\"review\", Action::\"revoke\", Action::\"read_audit\", \
             Action::\"administer\"], resource) when {{ {condition} }};"
        )
        .unwrap();
    }
    text
}

/// An authority with those policies, while things happen.
pub(crate) struct Day {
    pub(crate) example: Example,
    _policies: tempfile::TempDir,
}

impl Day {
    /// Before anything happened, with policies of those conditions beside the doors.
    pub(crate) async fn begin(conditions: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), conditions);
        Self {
            example: Example::start_with(folder.path()).await,
            _policies: folder,
        }
    }

    pub(crate) fn ca(&self) -> Arc<Ca> {
        Arc::clone(&self.example.ca)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.example.ca.store.as_ref()
    }

    pub(crate) fn set(&self) -> Arc<PolicySet> {
        self.example.ca.policies.current()
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Caller {
        let body = api::OpenSession {
            id_token: self.example.id_token(name).await,
            session_public_key: SESSION_KEY.to_owned(),
            totp: Some(self.example.code(name)),
            recovery_code: None,
        };
        let opened = self.ca().log_in(body, SOURCE).await.unwrap();
        Caller {
            session: Digest::of(opened.token.as_bytes()),
            source: SOURCE,
        }
    }

    pub(crate) fn wish(&self, account: &str, seconds: u64) -> RequestCertificate {
        RequestCertificate {
            environment: "prod".to_owned(),
            principals: vec![account.to_owned()],
            duration_seconds: Some(seconds),
            reason: Some("INC-42".to_owned()),
            ticket: Some("T-1".to_owned()),
            not_before: None,
            access_request: None,
            public_key: SESSION_KEY.to_owned(),
            request_id: format!("request-{:016}", self.example.ca.ledger.size()),
        }
    }

    pub(crate) async fn get(
        &self,
        caller: Caller,
        wish: RequestCertificate,
    ) -> Result<Answer, Failure> {
        let answer = self.ca().issue(caller, wish).await;
        self.example.pass(10);
        answer
    }

    /// The open request that this makes.
    async fn asks(&self, caller: Caller, wish: RequestCertificate) -> api::AccessRequest {
        match self.get(caller, wish).await {
            Ok(Answer::Waits(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    async fn approve(&self, caller: Caller, request: &api::AccessRequest, seconds: u64) {
        let body = api::Approve {
            digest: request.digest,
            duration_seconds: Some(seconds),
        };
        let approved = self.ca().approve(caller, request.id, body).await;
        approved.unwrap();
        self.example.pass(10);
    }

    /// Every kind of decision there is, with facts that differ from one to the next.
    pub(crate) async fn passes(&self) {
        self.example.enrol("bob").await;
        self.example.enrol("dave").await;
        self.example.pass(30);
        let (alice, bob) = (self.sign_in("alice").await, self.sign_in("bob").await);
        self.example.pass(10);
        let (carol, dave) = (self.sign_in("carol").await, self.sign_in("dave").await);
        self.example.pass(10);
        self.certificates(alice, bob).await;
        self.requests((alice, bob), carol, dave).await;
        self.emergencies(bob, carol).await;
        self.watching(bob, carol).await;
    }

    async fn certificates(&self, alice: Caller, bob: Caller) {
        assert!(self.get(alice, self.wish("deploy", 600)).await.is_ok());
        let mut plain = self.wish("deploy", 1800);
        (plain.reason, plain.ticket) = (None, Some("  ".to_owned()));
        assert!(self.get(bob, plain).await.is_ok());
        let mut both = self.wish("deploy", 3600);
        both.principals.push("other".to_owned());
        assert!(self.get(bob, both.clone()).await.is_ok());
        both.request_id.push('x');
        both.principals.push("closed".to_owned());
        denied(self.get(bob, both).await);
        denied(self.get(alice, self.wish("closed", 660)).await);
    }

    async fn requests(&self, (alice, bob): (Caller, Caller), carol: Caller, dave: Caller) {
        let wish = self.wish("root", 3600);
        let request = self.asks(alice, wish.clone()).await;
        self.approve(carol, &request, 3600).await;
        self.approve(dave, &request, 1200).await;
        let barred = api::Approve {
            digest: request.digest,
            duration_seconds: None,
        };
        denied(self.ca().approve(bob, request.id, barred).await);
        let used = activating(&wish, &request);
        let issued = self.get(alice, used).await;
        assert!(matches!(issued, Ok(Answer::Issued(_))), "{issued:?}");

        let refused = self.asks(alice, self.wish("root", 1260)).await;
        let body = api::DenyRequest {
            reason: "not now".to_owned(),
        };
        self.ca().deny(dave, refused.id, body).await.unwrap();

        let later = |mut wish: RequestCertificate| {
            let now = self.example.ca.clock.now();
            wish.not_before = Some(now.plus(Duration::from_secs(150)));
            wish
        };
        self.asks(alice, later(self.wish("deploy", 900))).await;
        self.asks(alice, later(self.wish("root", 960))).await;
        denied(self.get(alice, later(self.wish("closed", 1020))).await);

        let wish = self.wish("root", 1080);
        let request = self.asks(alice, wish.clone()).await;
        self.approve(carol, &request, 1080).await;
        self.example.pass(300);
        denied(self.get(alice, activating(&wish, &request)).await);
    }

    async fn emergencies(&self, bob: Caller, carol: Caller) {
        for account in ["root", "deploy"] {
            let wish = self.wish(account, 660);
            self.ca().break_glass(bob, wish).await.unwrap();
            self.example.pass(10);
        }
        denied(self.ca().break_glass(bob, self.wish("closed", 720)).await);
        let reviews = self.ca().reviews(carol).await.unwrap().reviews;
        let finding = || api::CloseReview {
            finding: "as it should be".to_owned(),
        };
        self.ca()
            .close_review(carol, reviews[0].id, finding())
            .await
            .unwrap();
        self.example.pass(10);
        self.ca()
            .break_glass(bob, self.wish("root", 780))
            .await
            .unwrap();
    }

    async fn watching(&self, bob: Caller, carol: Caller) {
        let freeze = |user: Option<&str>, environment: Option<&str>| api::Freeze {
            user: user.map(str::to_owned),
            environment: environment.map(str::to_owned),
            reason: "a lost laptop".to_owned(),
        };
        for target in [freeze(Some("alice"), None), freeze(None, Some("prod"))] {
            for switch in [Switch::On, Switch::Off] {
                self.example.pass(10);
                let frozen = self.ca().freeze(carol, (target.clone(), switch)).await;
                frozen.unwrap();
            }
        }
        denied(
            self.ca()
                .freeze(bob, (freeze(None, Some("prod")), Switch::On))
                .await,
        );
        let revoke = || api::Revoke {
            person: Some("alice".to_owned()),
            ..api::Revoke::default()
        };
        denied(self.ca().revoke(bob, revoke()).await);
        self.ca().revoke(carol, revoke()).await.unwrap();
        denied(self.ca().read_audit(bob, api::AuditQuery::default()).await);
        let search = api::AuditQuery::default();
        self.ca().read_audit(carol, search).await.unwrap();
        let ticket = || api::IssueTicket {
            user: "erin".parse().unwrap(),
        };
        denied(self.ca().issue_ticket(bob, ticket()).await);
        self.ca().issue_ticket(carol, ticket()).await.unwrap();
        let token = api::IssueJoinToken {
            environment: "prod".to_owned(),
            names: vec!["web1.prod.example.com".to_owned()],
        };
        self.ca().issue_join_token(carol, token).await.unwrap();
        // Giving back asks nobody.
        let mine = api::Revoke {
            mine: Some("prod".to_owned()),
            ..api::Revoke::default()
        };
        self.ca().revoke(bob, mine).await.unwrap();
    }
}

fn activating(wish: &RequestCertificate, request: &api::AccessRequest) -> RequestCertificate {
    RequestCertificate {
        access_request: Some(request.id),
        request_id: format!("{}-used", wish.request_id),
        ..wish.clone()
    }
}

#[track_caller]
pub(crate) fn denied<T: std::fmt::Debug>(answer: Result<T, Failure>) {
    assert!(matches!(answer, Err(Failure::Denied { .. })), "{answer:?}");
}
