//! A CA as a process: made by `ca-server dev`, people signed in over HTTP, then run by
//! `ca-server serve` on the same folder, as in real use.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::api::{NONCE_LABEL, OpenSession, SessionOpened};
use ca_server::config::{Config, FILE_NAME};
use nix::sys::signal::Signal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use crate::connection::Target;
use crate::support::process::Process;
use crate::support::programs::{command, program};

const VERIFIER: &str = "a-code-verifier-that-is-long-enough-for-rfc-7636";
const REDIRECT: &str = "http://127.0.0.1:9/callback";
const START_MAX: Duration = Duration::from_secs(120);
/// A key like any other; its private half is not needed.
pub(crate) const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAjjhVMFpShPpne4jn8IQntnWUjmpEI6taWLuNikeg48";

/// A CA in a folder of its own.
pub(crate) struct Ca {
    pub(crate) folder: PathBuf,
    document: Value,
    process: Option<Process>,
    /// Session tokens of people who may log in.
    pub(crate) tokens: Vec<String>,
    runtime: Runtime,
    /// Whether it serves without TLS.
    plain: bool,
}

impl Ca {
    /// A new one, running as `ca-server dev`; alice and bob have sessions.
    pub(crate) fn create(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut ca = Self {
            folder: folder.to_owned(),
            document: Value::Null,
            process: None,
            tokens: Vec::new(),
            runtime,
            plain: false,
        };
        let mut server = command(&program("ca-server"), folder.parent().expect("a parent"));
        server.args(["dev", "--dir"]).arg(folder);
        let mut process = Process::start("ca-server", server);
        process.wait_for_log("ready: ");
        ca.process = Some(process);
        let text = std::fs::read_to_string(folder.join("dev.json")).expect("dev.json");
        ca.document = serde_json::from_str(&text).expect("JSON");
        for person in ["alice", "bob"] {
            let token = ca.sign_in(person);
            ca.tokens.push(token);
        }
        ca
    }

    /// A session of `person`, with the code of the step before; while it runs as `ca-server dev`.
    pub(crate) fn sign_in(&self, person: &str) -> String {
        self.runtime.block_on(self.session(person))
    }

    /// Stops it and lifts its limit of requests for each address: all load comes from one.
    pub(crate) fn prepare_for_load(&mut self) {
        self.stop();
        let path = self.folder.join(FILE_NAME);
        let text = std::fs::read_to_string(&path).expect("the configuration");
        let mut config: toml::Table = toml::from_str(&text).expect("TOML");
        config.insert("requests_per_second".to_owned(), toml::Value::Integer(0));
        let text = toml::to_string(&config).expect("TOML");
        std::fs::write(&path, text).expect("the configuration");
    }

    /// Starts `ca-server serve`; how long it took until `/readyz` said yes.
    pub(crate) fn start(&mut self) -> Duration {
        self.plain = false;
        self.start_with(&self.config_file())
    }

    /// The same, without TLS.
    pub(crate) fn start_plain(&mut self) -> Duration {
        self.plain = true;
        let text = std::fs::read_to_string(self.config_file()).expect("the configuration");
        let mut config: toml::Table = toml::from_str(&text).expect("TOML");
        config.remove("tls");
        let path = self.folder.join("plain.toml");
        let text = toml::to_string(&config).expect("TOML");
        std::fs::write(&path, text).expect("the configuration");
        self.start_with(&path)
    }

    fn start_with(&mut self, config: &Path) -> Duration {
        let mut server = command(&program("ca-server"), &self.folder);
        server.args(["serve", "--config"]).arg(config);
        let begun = Instant::now();
        let mut process = Process::start("ca-server", server);
        let target = self.target();
        while !self.runtime.block_on(is_ready(&target)) {
            let ended = process.exit_status();
            assert!(
                ended.is_none() && begun.elapsed() < START_MAX,
                "the server does not start:\n{}",
                process.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = begun.elapsed();
        self.process = Some(process);
        took
    }

    /// SIGTERM and wait.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::SIGTERM);
        let status = process.wait_for_exit(Duration::from_secs(60));
        assert!(status.success(), "{status}:\n{}", process.log());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join(FILE_NAME)
    }

    pub(crate) fn config(&self) -> Config {
        Config::read(&self.config_file()).expect("the configuration")
    }

    /// A value of `dev.json`.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.document.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("dev.json has no {pointer}"))
    }

    pub(crate) fn target(&self) -> Target {
        let target = Target::new(
            self.text("/ca_url"),
            Path::new(self.text("/ca_certificate")),
        );
        if self.plain { target.plain() } else { target }
    }

    /// A code of `person`: of the step before for `offset` -1, of this step for 0, each good once.
    pub(crate) fn code(&self, person: &str, offset: i64) -> String {
        let uri = url::Url::parse(self.text(&format!("/people/{person}/totp_uri"))).expect("URI");
        let secret = uri.query_pairs().find(|(name, _)| name == "secret");
        let secret = secret.expect("a secret").1.into_owned();
        let totp = totp_rs::Builder::new()
            .with_secret(totp_rs::Secret::try_from_base32(&secret).expect("base32"))
            .with_account_name(person)
            .build()
            .expect("a TOTP");
        let now = ca_server::clock::Clock::System.now().unix_seconds();
        let time = now.saturating_add_signed(offset * 30);
        totp.generate(time).to_string()
    }

    /// Signs in with an authorization code and a one-time code; the session's token.
    async fn session(&self, person: &str) -> String {
        let pem = std::fs::read(self.text("/ca_certificate")).expect("PEM");
        let root = reqwest::Certificate::from_pem(&pem).expect("PEM");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_merge([root])
            .build()
            .expect("a client");
        let id_token = self.id_token(&client, person).await;
        let body = OpenSession {
            id_token,
            session_public_key: PUBLIC_KEY.to_owned(),
            totp: Some(self.code(person, -1)),
            recovery_code: None,
        };
        let url = format!("{}/v1/sessions", self.text("/ca_url"));
        let answer = client.post(url).json(&body).send().await.expect("answer");
        let text = answer.text().await.expect("text");
        let opened: Result<SessionOpened, _> = serde_json::from_str(&text);
        opened
            .unwrap_or_else(|_| panic!("no session: {text}"))
            .token
    }

    async fn id_token(&self, client: &reqwest::Client, person: &str) -> String {
        let nonce = Sha256::new()
            .chain_update(NONCE_LABEL)
            .chain_update(PUBLIC_KEY)
            .finalize();
        let (nonce, challenge) = (
            URL_SAFE_NO_PAD.encode(nonce),
            URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)),
        );
        let issuer = self.text("/issuer");
        let parameters = [
            ("client_id", "jit-ssh"),
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", REDIRECT),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", person),
        ];
        let url = url::Url::parse_with_params(&format!("{issuer}/authorize"), parameters);
        let answer = client.get(url.expect("URL")).send().await.expect("answer");
        let location = answer.headers().get("location").expect("a redirect");
        let location = url::Url::parse(location.to_str().expect("text")).expect("URL");
        let code = location.query_pairs().find(|(name, _)| name == "code");
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "jit-ssh"),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("code", &code.expect("a code").1),
        ];
        let request = client.post(format!("{issuer}/token")).form(&form);
        let answer = request.send().await.expect("answer").bytes().await;
        let answer: Value = serde_json::from_slice(&answer.expect("body")).expect("JSON");
        answer["id_token"].as_str().expect("an ID token").to_owned()
    }
}

async fn is_ready(target: &Target) -> bool {
    let Ok(mut connection) = target.connect().await else {
        return false;
    };
    matches!(connection.get("/readyz").await, Ok((200, _)))
}
