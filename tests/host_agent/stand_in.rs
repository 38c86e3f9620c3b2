//! What a host sees of the authority, over real HTTPS: a stand-in with keys of its own.
//!
//! Only the transport is played: lists, statements and certificates are real ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::{
    EnrolHost, HOST_ENROLMENT_NAMESPACE, HostCertificate, HostEnrolled, HostReport, HostSettings,
    ReportTaken, SessionEvent, SessionReport, SignedKrl, Staleness,
};
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::digest::Digest;
use ca_core::krl::{Comment, Contents, SerialRange, Statement};
use ca_core::time::Timestamp;
use ca_core::tlog::note::VerifierKey;
use ed25519_dalek::SigningKey;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;

use crate::support::clock::unix_now;
use crate::support::keygen::{self, KeyFiles, Wanted};
use crate::support::wait;

/// The token that it takes.
pub const TOKEN: &str = "a-join-token";
const CREDENTIAL: &str = "a-credential";
const ORIGIN: &str = "ca.example.com/2026";

/// What it says now.
pub struct State {
    pub settings: HostSettings,
    pub version: u64,
    pub serials: Vec<u64>,
    /// Instead of the list, with a good statement.
    pub list: Option<Vec<u8>>,
    /// Time of making instead of now.
    pub generated: Option<u64>,
    /// Hangs up on everybody.
    pub away: bool,
    /// Length of the next host certificates, seconds.
    pub certificate_seconds: u64,
    pub certificates: u64,
    pub reports: Vec<HostReport>,
}

/// A running one; its threads end with the test program.
pub struct StandIn {
    pub ca: KeyFiles,
    pub break_glass: KeyFiles,
    pub host_ca: KeyFiles,
    pub port: u16,
    shared: Arc<Shared>,
    dir: TempDir,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ca: AuthorityKey,
    host_ca: KeyFiles,
}

impl StandIn {
    /// Listens, trusted with [`StandIn::tls_file`].
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a folder");
        let [ca, break_glass, host_ca] =
            ["ca", "break-glass", "host-ca"].map(|name| keygen::generate(dir.path(), name));
        let shared = Arc::new(Shared {
            state: Mutex::new(first_state(&ca, &break_glass, &host_ca)),
            changed: Condvar::new(),
            ca: ca.public_line().parse().expect("a key"),
            host_ca: host_ca.clone(),
        });
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("TLS");
        std::fs::write(dir.path().join("tls.pem"), key.cert.pem()).expect("a file");
        let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], PrivateKeyDer::from(private))
            .expect("TLS");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let (config, serving) = (Arc::new(config), Arc::clone(&shared));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (config, shared) = (Arc::clone(&config), Arc::clone(&serving));
                std::thread::spawn(move || serve(&shared, config, connection));
            }
        });
        Self {
            ca,
            break_glass,
            host_ca,
            port,
            shared,
            dir,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Its TLS certificate.
    pub fn tls_file(&self) -> std::path::PathBuf {
        self.dir.path().join("tls.pem")
    }

    /// Changes what it says; whoever waits is told.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.shared.state.lock().expect("a lock"));
        self.shared.changed.notify_all();
        changed
    }

    /// Revokes a serial in a new version.
    pub fn revoke(&self, serial: u64) {
        self.change(|state| {
            state.version += 1;
            state.serials.push(serial);
        });
    }

    /// Every different session report so far, in the order of arrival.
    pub fn session_reports(&self) -> Vec<SessionReport> {
        let mut seen: Vec<SessionReport> = Vec::new();
        self.change(|state| {
            for report in state.reports.iter().flat_map(|report| &report.sessions) {
                if !seen.contains(report) {
                    seen.push(report.clone());
                }
            }
        });
        seen
    }

    /// Waits until this happened to a session of `serial`.
    #[track_caller]
    pub fn wait_for(&self, serial: u64, happened: SessionEvent) {
        wait::until(
            &format!("{happened:?} of {serial}"),
            wait::START_MAX,
            || {
                let reports = self.session_reports();
                let found = |report: &&SessionReport| {
                    report.serial == serial && report.happened == happened
                };
                reports.iter().find(found).map(drop)
            },
        );
    }

    /// Waits until the newest version was acknowledged.
    #[track_caller]
    pub fn wait_for_acknowledgement(&self) {
        wait::until("the acknowledgement", wait::START_MAX, || {
            self.change(|state| {
                let newest = Some(state.version);
                let acknowledged = state.reports.iter().any(|r| r.krl_version == newest);
                acknowledged.then_some(())
            })
        });
    }
}

fn first_state(ca: &KeyFiles, break_glass: &KeyFiles, host_ca: &KeyFiles) -> State {
    let verifier = VerifierKey::new(ORIGIN.parse().expect("a name"), log_key().verifying_key());
    State {
        settings: HostSettings {
            user_ca_keys: vec![ca.public_line(), break_glass.public_line()],
            environment_ca_key: ca.public_line(),
            host_ca_key: Some(host_ca.public_line()),
            log_verifier_key: verifier.into(),
            staleness: Staleness::BestEffort,
            stale_after_seconds: 300,
            warn_before_seconds: Vec::new(),
        },
        version: 1,
        serials: Vec::new(),
        list: None,
        generated: None,
        away: false,
        certificate_seconds: 3600,
        certificates: 0,
        reports: Vec::new(),
    }
}

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

fn signed_list(shared: &Shared, state: &State) -> SignedKrl {
    let generated = Timestamp::from_unix_seconds(state.generated.unwrap_or_else(unix_now));
    let ranges = state.serials.iter();
    let ranges = ranges.map(|serial| SerialRange::new(*serial, *serial).expect("a serial"));
    let list = state.list.clone().unwrap_or_else(|| {
        ca_core::krl::write(&Contents {
            version: state.version,
            generated,
            comment: Comment::default(),
            certificates: vec![(shared.ca.clone(), ranges.collect())],
            keys: Vec::new(),
        })
    });
    let statement = Statement {
        origin: ORIGIN.parse().expect("a name"),
        environment: "prod".parse().expect("a name"),
        version: state.version,
        generated,
        krl: Digest::of(&list),
    };
    SignedKrl {
        krl: STANDARD.encode(&list),
        statement: statement.sign(&log_key()).expect("a note"),
    }
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Answers request after request until the other end or `away` ends it.
fn serve(shared: &Shared, config: Arc<ServerConfig>, connection: TcpStream) {
    connection.set_nodelay(true).ok();
    let Ok(session) = ServerConnection::new(config) else {
        return;
    };
    let mut stream = StreamOwned::new(session, connection);
    while let Some(request) = read_request(&mut stream) {
        if shared.state.lock().expect("a lock").away {
            return;
        }
        let Some((status, body)) = answer(shared, &request) else {
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), &body].concat();
        if stream
            .write_all(&bytes)
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
    }
}

struct Request {
    line: String,
    head: String,
    body: Vec<u8>,
}

fn read_request(stream: &mut Stream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let line = head.lines().next()?.to_owned();
    Some(Request { line, head, body })
}

fn json_of(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

fn problem(status: u16, kind: &str) -> (u16, Vec<u8>) {
    let problem = json!({"type": kind, "status": status, "title": kind});
    (status, json_of(&problem))
}

/// None: hang up.
fn answer(shared: &Shared, request: &Request) -> Option<(u16, Vec<u8>)> {
    let mut words = request.line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if (method, target) == ("POST", "/v1/hosts") {
        return Some(enrol(shared, &request.body));
    }
    if !request.head.contains(&format!("Bearer {CREDENTIAL}")) {
        return Some(problem(401, "session-required"));
    }
    let body = match (method, target) {
        ("GET", "/v1/hosts/current") => json_of(&shared.state.lock().expect("a lock").settings),
        ("POST", "/v1/hosts/current/reports") => {
            let report = serde_json::from_slice(&request.body).expect("a report");
            shared.state.lock().expect("a lock").reports.push(report);
            json_of(&ReportTaken {
                server_time: Timestamp::from_unix_seconds(unix_now()),
            })
        }
        ("POST", "/v1/hosts/current/certificate") => {
            let file = shared.host_ca.private.with_file_name("host.pub");
            json_of(&certify(
                shared,
                &std::fs::read_to_string(file).expect("a key"),
            ))
        }
        ("GET", target) if target.starts_with("/v1/environments/prod/krl") => {
            json_of(&wait_for_list(shared, target)?)
        }
        _ => return Some(problem(404, "not-found")),
    };
    Some((200, body))
}

fn wait_for_list(shared: &Shared, target: &str) -> Option<SignedKrl> {
    let after: Option<u64> = target
        .split_once("after=")
        .and_then(|(_, rest)| rest.split('&').next()?.parse().ok());
    let mut state = shared.state.lock().expect("a lock");
    if let Some(after) = after {
        let waits = |state: &mut State| !state.away && state.version == after;
        let wait = target
            .split_once("wait=")
            .and_then(|(_, rest)| rest.parse().ok());
        let limit = Duration::from_secs(wait.expect("a wait"));
        let waited = shared.changed.wait_timeout_while(state, limit, waits);
        state = waited.expect("a lock").0;
    }
    (!state.away).then(|| signed_list(shared, &state))
}

fn enrol(shared: &Shared, body: &[u8]) -> (u16, Vec<u8>) {
    let asked: EnrolHost = serde_json::from_slice(body).expect("a request");
    let key = ssh_key::PublicKey::from_openssh(&asked.host_public_key).expect("a key");
    let signature = ssh_key::SshSig::from_pem(&asked.signature).expect("a signature");
    let proven = key.verify(HOST_ENROLMENT_NAMESPACE, asked.token.as_bytes(), &signature);
    if asked.token != TOKEN || proven.is_err() {
        return problem(401, "login-refused");
    }
    let certificate = certify(shared, &asked.host_public_key);
    let state = shared.state.lock().expect("a lock");
    let enrolled = HostEnrolled {
        host: 7,
        environment: "prod".parse().expect("a name"),
        names: vec!["web1.example.com".parse().expect("a name")],
        credential: CREDENTIAL.to_owned(),
        certificate: Some(certificate),
        settings: state.settings.clone(),
        server_time: Timestamp::from_unix_seconds(unix_now()),
    };
    (201, json_of(&enrolled))
}

fn certify(shared: &Shared, public_key: &str) -> HostCertificate {
    let (seconds, serial) = {
        let mut state = shared.state.lock().expect("a lock");
        state.certificates += 1;
        (state.certificate_seconds, state.certificates)
    };
    let folder: &Path = shared.host_ca.private.parent().expect("a folder");
    let subject = KeyFiles {
        private: folder.join("host"),
        public: folder.join("host.pub"),
    };
    std::fs::write(&subject.public, public_key).expect("a file");
    let now = unix_now();
    let wanted = Wanted {
        principals: &["web1.example.com", "127.0.0.1"],
        validity: &format!("{:#x}:{:#x}", now - 1, now + seconds),
        serial,
        key_id: "host",
        options: &[],
        host: true,
    };
    let file = keygen::sign(&shared.host_ca, &subject, &wanted);
    HostCertificate {
        certificate: std::fs::read_to_string(file).expect("a certificate"),
        serial,
        valid_after: Timestamp::from_unix_seconds(now - 1),
        valid_before: Timestamp::from_unix_seconds(now + seconds),
    }
}
