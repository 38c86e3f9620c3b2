//! A whole authority for tests: sled in a temporary folder, keys by ssh-keygen, the example
//! policies, and the development provider on a free port. Its clock stands still until it is set.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Stdio};

use ca_core::certificate::principals::Principals;
use ca_core::name::Subject;
use ca_core::time::Timestamp;
use ed25519_dalek::SigningKey;
use url::Url;

use super::*;
use crate::access::OnCall;
use crate::authn::id_token::{IssuerConfig, nonce};
use crate::authn::totp::{STEP_SECONDS, Seed};
use crate::dev::provider::{self, ProviderConfig};
use crate::high_water::HighWater;
use crate::ledger::LogKey;
use crate::signer::file::FileSigner;
use crate::store::sled::SledStore;

/// The client at the provider.
pub(crate) const CLIENT: &str = "jit-ssh";
/// The session key that every example sign-in commits to.
pub(crate) const SESSION_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxwGDKHPDlVPr9UiYQyU47HsSTyYowW55+GBRGgUfIq";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:49152/callback";

/// The moment at which the example stands.
pub(crate) fn start_time() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

/// A running authority and its provider. alice and carol have a second factor, bob, who is on call,
/// and dave, who decides like carol, have none until they enrol. prod has a host CA key.
pub(crate) struct Example {
    pub(crate) ca: Arc<Ca>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) issuer: String,
    http: reqwest::Client,
}

impl Example {
    pub(crate) async fn start() -> Self {
        Self::start_with(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")).await
    }

    /// One that decides by the policies of another folder.
    pub(crate) async fn start_with(policies: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = serve_provider().await;
        let clock = Clock::manual(start_time());
        let store: Arc<dyn Store> =
            Arc::new(SledStore::create(&folder.path().join("store"), 0).unwrap());
        let log_key = LogKey::new(
            "log.example/1".parse().unwrap(),
            1,
            SigningKey::from_bytes(&[9; 32]),
        );
        let high_water = HighWater::create(&folder.path().join("high-water")).unwrap();
        let opened =
            Ledger::create(Arc::clone(&store), log_key, clock.clone(), high_water).unwrap();
        let seal_key = SealKey::create(&folder.path().join("seal-key"), [7; 32]).unwrap();
        let environments = ["prod", "staging"].map(|name| environment(folder.path(), name));
        let ca = Arc::new(Ca {
            ledger: opened.ledger,
            store,
            seal_key,
            providers: Providers::new(vec![IssuerConfig::new(&issuer, CLIENT)]).unwrap(),
            policies: PolicyFiles::open(
                policies,
                ["prod", "staging"].map(|name| name.parse().unwrap()).into(),
            )
            .unwrap(),
            change_control: ChangeControl::default(),
            environments: environments.into(),
            challenges: Challenges::new([9; 32]),
            lists: Lists::default(),
            seen: Arc::default(),
            waiting: Waiting::default(),
            settings: settings(),
            clock,
        });
        ca.admit_policies(&ca.policies.current(), None)
            .await
            .unwrap();
        ca.record_start().await.unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let example = Self {
            ca,
            folder,
            issuer,
            http,
        };
        for name in ["alice", "carol"] {
            example.enrol(name).await;
        }
        example
    }

    /// Gives that person a second factor.
    pub(crate) async fn enrol(&self, name: &str) {
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let seed = seed(name);
        let enrolled = self.ca.enrol_directly(self.person(name), &seed, source);
        enrolled.await.unwrap();
    }

    /// Sets the clock forward.
    pub(crate) fn pass(&self, seconds: u64) {
        let now = self.ca.clock.now();
        self.ca.clock.set(now.plus(Duration::from_secs(seconds)));
    }

    fn person(&self, name: &str) -> ca_core::event::Person {
        ca_core::event::Person {
            subject: Subject::new(&self.issuer, &provider::sub(name)).unwrap(),
            user: name.parse().unwrap(),
        }
    }

    /// A fresh ID token of that person, bound to [`SESSION_KEY`].
    pub(crate) async fn id_token(&self, name: &str) -> String {
        let nonce = nonce(SESSION_KEY);
        let mut address = Url::parse(&format!("{}/authorize", self.issuer)).unwrap();
        address.query_pairs_mut().extend_pairs([
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile email groups"),
            ("state", "s"),
            ("nonce", nonce.as_str()),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("login_hint", name),
        ]);
        let answer = self.http.get(address).send().await.unwrap();
        let back = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("code", code.1.as_ref()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let token = format!("{}/token", self.issuer);
        let answer = self.http.post(token).form(&form).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["id_token"].as_str().unwrap().to_owned()
    }

    /// The right code of that person at this moment.
    pub(crate) fn code(&self, name: &str) -> String {
        let step = self.ca.clock.now().unix_seconds() / STEP_SECONDS;
        let totp = totp_rs::Builder::new()
            .with_step_duration(STEP_SECONDS)
            .with_secret(seed(name).expose().to_vec())
            .build_noncompliant();
        totp.generate(step * STEP_SECONDS).to_string()
    }
}

fn seed(name: &str) -> Seed {
    Seed::new([name.as_bytes()[0]; 20])
}

fn settings() -> Settings {
    Settings {
        session: Duration::from_secs(36_000),
        request: Duration::from_secs(43_200),
        break_glass_after: Duration::from_secs(30 * 86_400),
        enrolment: Enrolment::Open,
        administrators: BTreeSet::new(),
        totp_issuer: "jit-ssh".to_owned(),
        on_call: Arc::new(OnCall {
            users: ["bob".parse().unwrap()].into(),
            groups: BTreeSet::new(),
        }),
    }
}

fn new_signer(path: &Path) -> FileSigner {
    let path_text = path.to_str().unwrap();
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-f", path_text]);
    FileSigner::read(path, None).unwrap()
}

fn environment(folder: &Path, name: &str) -> (Environment, Signing) {
    let signer = new_signer(&folder.join(name));
    let host_signer: Option<Box<dyn Signer>> = match name {
        "prod" => Some(Box::new(new_signer(&folder.join("prod-hosts")))),
        _ => None,
    };
    let profile = serde_json::json!({ "max_duration_seconds": NonZeroU32::new(28_800) });
    let deploy = vec!["deploy".parse().unwrap()];
    let rules = EnvironmentRules {
        name: name.parse().unwrap(),
        profile: serde_json::from_value(profile).unwrap(),
        authority_key: signer.public_key().clone(),
        host_patterns: vec![format!("*.{name}.example.com")],
        default_principals: Principals::new(deploy.clone()).unwrap(),
        accounts: deploy,
        default_duration_seconds: 3600,
        hosts: crate::environment::HostRules {
            certificate_life: Duration::from_secs(86_400),
            staleness: ca_core::api::Staleness::BestEffort,
            stale_after_seconds: 300,
            warn_before_seconds: vec![300],
            break_glass_key: None,
        },
    };
    let signing = Signing {
        rules,
        signer: Box::new(signer),
        host_signer,
        distrusted: AtomicBool::new(false),
    };
    (name.parse().unwrap(), signing)
}

fn people() -> Vec<provider::DevPerson> {
    let mut people = provider::people();
    people.push(provider::DevPerson {
        name: "dave".to_owned(),
        full_name: "Dave Example".to_owned(),
        groups: vec!["security".to_owned(), "approver".to_owned()],
    });
    people
}

async fn serve_provider() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let routes = provider::router(ProviderConfig {
        issuer: issuer.clone(),
        client_id: CLIENT.to_owned(),
        people: people(),
        signing_seed: zeroize::Zeroizing::new([3; 32]),
        now: start_time,
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    issuer
}

/// What ssh-keygen prints.
pub(crate) fn ssh_keygen(arguments: &[&str]) -> String {
    let mut command = Command::new("ssh-keygen");
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("ssh-keygen (Debian: openssh-client)");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
