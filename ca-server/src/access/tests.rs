//! Claims about access requests: the decisions as they are made, on states folded from what they
//! recorded.

use ca_core::certificate::principals::Principals;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::event::{
    CertificatesRevoked, Event, FreezeLifted, FreezeTarget, Frozen, LogCreated, RequestApproved,
    RequestExpired, RequestWithdrawn, RevocationCause, SessionOpened,
};
use ca_core::name::Subject;
use ca_core::serial::Serial;
use ca_core::tlog::hash::EMPTY_ROOT;

use super::request::{self, NotDecided, Rulebook};
use super::{vote, *};
use crate::authn::session::actor;
use crate::issuance::{self, Particulars};
use crate::policy::{EXAMPLES, Source};
use crate::recordable::Recordable as _;
use crate::state::{AccessRequest, Snapshot, State};

mod model;
mod refusals;
mod windows;

/// Vault needs a lead and security. Nothing here is about second factors: the examples have that.
const POLICIES: &str = r#"
@id("vault") @reason("sre may ask for vault for up to 2 h")
permit (principal in Group::"sre", action == Action::"login", resource == Account::"prod/vault")
when { context.duration <= 7200 };

@id("two-keys") @reason("vault needs a lead and security")
forbid (principal, action == Action::"login", resource == Account::"prod/vault")
unless { context.met.contains("two-keys") };

@id("deploy") @reason("sre uses deploy")
permit (principal in Group::"sre", action == Action::"login", resource == Account::"prod/deploy")
when { context.duration <= 7200 };

@id("approvers") @reason("leads and security decide")
permit (principal, action == Action::"approve", resource)
when { principal in Group::"leads" || principal in Group::"security" };

@id("emergencies") @reason("sre on call breaks glass")
permit (principal in Group::"sre", action == Action::"break_glass", resource in Environment::"prod")
when { context.on_call && context.unreviewed == 0 };
"#;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxwGDKHPDlVPr9UiYQyU47HsSTyYowW55+GBRGgUfIq";
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// How long a request that is not scheduled stays open here.
const REQUEST_LIFE: Duration = Duration::from_secs(4 * 3600);
const EPOCH: u32 = 3;

fn policies() -> PolicySet {
    let (name, text) = EXAMPLES[0];
    let table = "[requirements]\ntwo-keys = [[\"1 of leads\", \"1 of security\"]]\n";
    PolicySet::parse(
        &Source::new(name, text),
        &[Source::new("vault.cedar", POLICIES)],
        Some(&Source::new(policy::REQUIREMENTS_NAME, table)),
        None,
    )
    .unwrap()
}

fn rules() -> EnvironmentRules {
    let vault = vec!["vault".parse().unwrap()];
    let profile = serde_json::json!({ "max_duration_seconds": 28_800 });
    EnvironmentRules {
        name: "prod".parse().unwrap(),
        profile: serde_json::from_value(profile).unwrap(),
        authority_key: KEY.parse().unwrap(),
        host_patterns: Vec::new(),
        default_principals: Principals::new(vault.clone()).unwrap(),
        accounts: vault,
        default_duration_seconds: 3600,
        hosts: crate::environment::HostRules {
            certificate_life: Duration::from_secs(86_400),
            staleness: ca_core::api::Staleness::BestEffort,
            stale_after_seconds: 300,
            warn_before_seconds: Vec::new(),
            break_glass_key: None,
        },
    }
}

fn person(name: &str) -> Person {
    Person {
        subject: Subject::new("https://id.example", name).unwrap(),
        user: name.parse().unwrap(),
    }
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A log that is only remembered, the state it folds to, and a clock that moves when told.
struct Stage {
    rules: EnvironmentRules,
    policies: PolicySet,
    on_call: OnCall,
    state: State,
    record: Vec<(Timestamp, Event)>,
    now: Timestamp,
}

impl Stage {
    fn new() -> Self {
        let mut stage = Self {
            rules: rules(),
            policies: policies(),
            on_call: OnCall::default(),
            state: State::default(),
            record: Vec::new(),
            now: Timestamp::from_unix_seconds(1_800_000_000),
        };
        stage.apply(Event::LogCreated(LogCreated {
            origin: "log.example/3".to_owned(),
            epoch: EPOCH,
            log_key: String::new(),
        }));
        stage
    }

    fn apply(&mut self, event: Event) {
        self.state.apply(self.now, &event);
        self.record.push((self.now, event));
    }

    fn book(&self) -> Rulebook<'_> {
        Rulebook {
            rules: &self.rules,
            policies: &self.policies,
            on_call: &self.on_call,
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    /// The serial of the next record.
    fn serial(&self) -> Serial {
        Serial::new(EPOCH, self.state.size()).unwrap()
    }

    /// A session of ten days: how they end is not what these claims are about.
    fn sign_in(&mut self, name: &str, in_groups: &[&str]) -> Digest {
        let session = Digest::of(&self.state.size().to_be_bytes());
        self.apply(Event::SessionOpened(Box::new(SessionOpened {
            person: person(name),
            groups: groups(in_groups),
            session,
            id_token: Digest::of(session.to_string().as_bytes()),
            id_token_expires: self.now.plus(Duration::from_secs(300)),
            token_bound: true,
            second_factor: ca_core::api::SecondFactor::Totp,
            totp_step: Some(self.state.size()),
            recovery_code: None,
            expires: self.now.plus(Duration::from_secs(864_000)),
            source: SOURCE,
        })));
        session
    }

    fn actor(&self, session: Digest) -> Actor {
        actor(&self.state, session, self.now).unwrap()
    }

    fn request(&self, index: u64) -> &AccessRequest {
        self.state.access_request(index).unwrap()
    }

    /// Opens a request if it takes one; its index.
    fn open(&mut self, session: Digest, wish: &Wish) -> Option<u64> {
        let actor = self.actor(session);
        let missing = request::needs(&actor, wish, self.book(), self.now)?;
        let expires = match wish.not_before {
            Some(start) => start.plus(wish.duration),
            None => self.now.plus(REQUEST_LIFE),
        };
        let index = self.state.size();
        let names = (missing, format!("request-{index}"), Digest::of(b"body"));
        let opened = request::open(&actor, wish, names, self.book(), (self.serial(), expires));
        self.apply(Event::RequestOpened(Box::new(opened)));
        Some(index)
    }

    /// A yes to `seen`, if it may be said.
    fn approve_seen(
        &mut self,
        session: Digest,
        index: u64,
        seen: (Digest, Option<u64>),
    ) -> Result<RequestApproved, NotDecided> {
        let (actor, at) = (self.actor(session), (SOURCE, self.now));
        let request = self.request(index);
        let approved = vote::approve((&self.state, &actor), request, seen, self.book(), at)?;
        self.apply(Event::RequestApproved(Box::new(approved.clone())));
        Ok(approved)
    }

    /// A yes to all of it.
    fn approve(&mut self, session: Digest, index: u64) -> Result<RequestApproved, NotDecided> {
        let seen = self.request(index).digest;
        self.approve_seen(session, index, (seen, None))
    }

    fn deny(&mut self, session: Digest, index: u64) -> Result<(), NotDecided> {
        let (actor, at) = (self.actor(session), (SOURCE, self.now));
        let reason = "not today".to_owned();
        let denied = vote::deny(&actor, self.request(index), reason, self.book(), at)?;
        self.apply(Event::RequestDenied(denied));
        Ok(())
    }

    fn withdraw(&mut self, session: Digest, index: u64) -> Result<(), NotDecided> {
        let request = self.request(index);
        request::withdraw(&self.actor(session), request, self.now)?;
        let withdrawn = RequestWithdrawn {
            request: request.number,
            person: request.person.clone(),
            environment: self.rules.name.clone(),
            source: SOURCE,
        };
        self.apply(Event::RequestWithdrawn(withdrawn));
        Ok(())
    }

    /// Activates; the serial of the certificate.
    fn activate(&mut self, session: Digest, index: u64, wish: &Wish) -> Result<u64, NotDecided> {
        let actor = self.actor(session);
        let (request, wish) = (self.request(index), wish.clone());
        let grant = request::activate((&self.state, &actor), request, wish, self.book(), self.now)?;
        Ok(self.issue(grant))
    }

    /// The record of the certificate of a grant; its serial.
    fn issue(&mut self, grant: Grant) -> u64 {
        let serial = self.serial();
        let particulars = Particulars {
            subject_key: KEY.parse::<SubjectKey>().unwrap(),
            request_id: format!("certificate-{}", serial.index()),
            request_digest: Digest::of(b"body"),
            nonce: [0; 32],
        };
        let prepared =
            issuance::prepare(grant, particulars, &self.rules, Some(serial), self.now).unwrap();
        self.apply(prepared.event());
        serial.get()
    }

    fn freeze(&mut self, name: &str) {
        self.apply(Event::Frozen(Frozen {
            judged: None,
            target: FreezeTarget::Person(person(name)),
            by: person("sam"),
            reason: "a lost laptop".to_owned(),
            source: SOURCE,
        }));
    }

    fn lift(&mut self, name: &str) {
        self.apply(Event::FreezeLifted(FreezeLifted {
            judged: None,
            target: FreezeTarget::Person(person(name)),
            by: person("sam"),
            reason: "found".to_owned(),
            source: SOURCE,
        }));
    }

    fn revoke(&mut self, holder: &str, serials: Vec<u64>) {
        self.apply(Event::CertificatesRevoked(CertificatesRevoked {
            judged: None,
            by: person("sam"),
            holder: person(holder),
            serials,
            cause: RevocationCause::Revoked,
            sessions: Vec::new(),
            requests: Vec::new(),
            everything: false,
            reason: None,
            source: SOURCE,
        }));
    }

    /// Records the end of every request whose time is over, as the server does from time to time.
    fn expire(&mut self) {
        let requests = self.state.access_requests();
        let over = requests.filter(|r| r.outcome.is_none() && !r.is_open(self.now));
        let over: Vec<Event> = over
            .map(|request| {
                Event::RequestExpired(RequestExpired {
                    request: request.number,
                    person: request.person.clone(),
                    environment: self.rules.name.clone(),
                })
            })
            .collect();
        over.into_iter().for_each(|event| self.apply(event));
    }

    /// What a server that starts again knows: from a snapshot, and from the log alone.
    fn restarted(&self) -> [State; 2] {
        let bytes = Snapshot::to_bytes(&self.state, EMPTY_ROOT).unwrap();
        let mut replayed = State::default();
        for (time, event) in &self.record {
            let bytes = event.to_bytes().unwrap();
            replayed.apply(*time, &Event::from_bytes(&bytes).unwrap());
        }
        [Snapshot::from_bytes(&bytes).unwrap().0, replayed]
    }
}

/// Vault for that long, now.
fn vault(seconds: u64) -> Wish {
    Wish {
        principals: Principals::new(vec!["vault".parse().unwrap()]).unwrap(),
        duration: Duration::from_secs(seconds),
        options: rules()
            .profile
            .narrowed(&ca_core::certificate::profile::Restrictions::default())
            .unwrap(),
        reason: Some("a leak".to_owned()),
        ticket: None,
        not_before: None,
        source: SOURCE,
    }
}

/// A stage with the sessions of bob (sre), lena (leads) and carol (security).
fn three() -> (Stage, Digest, Digest, Digest) {
    let mut stage = Stage::new();
    let bob = stage.sign_in("bob", &["sre"]);
    let lena = stage.sign_in("lena", &["leads"]);
    let carol = stage.sign_in("carol", &["security"]);
    (stage, bob, lena, carol)
}
