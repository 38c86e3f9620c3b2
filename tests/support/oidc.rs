//! npm's `oidc-provider`, a certified OpenID provider that we did not write, on a free loopback port.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::clock;
use super::port;
use super::process::Process;
use super::programs;
use super::signing_key::{Alg, SigningKey};

/// The client id of the product.
pub const CLIENT_ID: &str = "jit-ssh";

/// The id of another client of the same provider, whose tokens are not for us.
pub const OTHER_CLIENT_ID: &str = "another-client";

/// How a provider is going to be.
pub struct Setup {
    keys: Vec<SigningKey>,
    people: BTreeMap<String, Value>,
    redirect_uris: Vec<String>,
}

/// An OpenID provider with people. Stopped when dropped.
///
/// Every person signs in with their name as login; it is the `sub`. Both clients are public
/// (PKCE required) and may use the code flow (any port of 127.0.0.1) and the device flow.
pub struct Provider {
    setup: Setup,
    port: u16,
    process: Process,
    dir: TempDir,
}

impl Provider {
    /// One key of `alg`; alice (group engineering), bob (sre), carol (security), mallory (no group,
    /// e-mail of alice not verified).
    pub fn with(alg: Alg) -> Setup {
        let person = |name: &str, group: &[&str], email: &str, verified: bool| {
            let claims = json!({
                "preferred_username": name,
                "name": format!("{name} the tester"),
                "email": email,
                "email_verified": verified,
                "groups": group,
            });
            (name.to_owned(), claims)
        };
        let people = BTreeMap::from([
            person("alice", &["engineering"], "alice@example.com", true),
            person("bob", &["sre"], "bob@example.com", true),
            person("carol", &["security"], "carol@example.com", true),
            person("mallory", &[], "alice@example.com", false),
        ]);
        let paths = ["/callback", "/cb", "/"];
        Setup {
            keys: vec![SigningKey::generate(alg, "key-1")],
            people,
            redirect_uris: paths.map(|path| format!("http://127.0.0.1{path}")).to_vec(),
        }
    }

    /// The issuer, exactly as in `iss`.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key it signs with now.
    pub fn key(&self) -> &SigningKey {
        &self.setup.keys[0]
    }

    /// Claims that an honest token of `person` for our client would have now, to change and forge.
    pub fn claims(&self, person: &str, nonce: &str) -> Value {
        let now = clock::unix_now();
        let mut claims = self.setup.people[person].clone();
        for (name, value) in [
            ("iss", json!(self.issuer())),
            ("sub", json!(person)),
            ("aud", json!(CLIENT_ID)),
            ("nonce", json!(nonce)),
            ("iat", json!(now)),
            ("auth_time", json!(now)),
            ("exp", json!(now + 3600)),
        ] {
            claims[name] = value;
        }
        claims
    }

    /// Changes every ID token it gives from now on, signed again with its own key.
    ///
    /// `{"header": {…}, "claims": {…}, "unset": ["sub"]}`; `header.alg` may be `none` or `HS256`
    /// (keyed with the public key). `Value::Null` ends it.
    pub fn tamper(&self, change: &Value) {
        let file = self.tamper_file();
        if change.is_null() {
            // It may not have been there.
            let _ = std::fs::remove_file(file);
        } else {
            let new = file.with_extension("new");
            std::fs::write(&new, change.to_string()).expect("a file");
            std::fs::rename(new, file).expect("a file");
        }
    }

    /// An outage: nothing listens on its port any more.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Back on the same port with the same keys; sessions and codes are forgotten.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.process.stop();
        self.process = launch(&self.setup, self.port, &self.dir);
    }

    /// Signs with a new key; the old one is no longer published.
    #[track_caller]
    pub fn replace_key(&mut self, alg: Alg, kid: &str) {
        self.setup.keys = vec![SigningKey::generate(alg, kid)];
        self.start_again();
    }

    /// Signs with a new key; the old ones stay published, as a careful provider does it.
    #[track_caller]
    pub fn add_key(&mut self, alg: Alg, kid: &str) {
        self.setup.keys.insert(0, SigningKey::generate(alg, kid));
        self.start_again();
    }

    /// One line per request (`GET /jwks 200`), and what went wrong. Starts anew at a restart.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// How often a line of the log contains `text`.
    pub fn count(&self, text: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    fn tamper_file(&self) -> PathBuf {
        self.dir.path().join("tamper.json")
    }
}

impl Setup {
    /// Adds a person, or replaces one, with exactly these claims beside `sub`.
    #[must_use]
    pub fn person(mut self, login: &str, claims: Value) -> Self {
        self.people.insert(login.to_owned(), claims);
        self
    }

    /// Registers another redirect URI (`http://127.0.0.1/PATH`, any port will do).
    #[must_use]
    pub fn redirect_uri(mut self, uri: &str) -> Self {
        self.redirect_uris.push(uri.to_owned());
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Provider {
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-oidc-")
            .tempdir()
            .expect("temp dir");
        let port = port::free();
        let process = launch(&self, port, &dir);
        Provider {
            setup: self,
            port,
            process,
            dir,
        }
    }
}

#[track_caller]
fn launch(setup: &Setup, port: u16, dir: &TempDir) -> Process {
    let folder = programs::tests_folder().join("oidc");
    let installed = folder.join("node_modules/oidc-provider").exists();
    assert!(
        installed,
        "no oidc-provider; run: bash tests/prerequisites.sh"
    );
    let keys: Vec<Value> = setup
        .keys
        .iter()
        .map(|key| json!({"kid": key.kid(), "alg": key.alg().name(), "pem": key.pem()}))
        .collect();
    let config = json!({
        "port": port,
        "issuer": format!("http://127.0.0.1:{port}"),
        "clients": [CLIENT_ID, OTHER_CLIENT_ID],
        "redirectUris": setup.redirect_uris,
        "scopes": ["openid", "offline_access", "profile", "email", "groups"],
        "alg": setup.keys[0].alg().name(),
        "keys": keys,
        "people": setup.people,
        "tamperFile": dir.path().join("tamper.json"),
    });
    let file = dir.path().join("provider.json");
    std::fs::write(&file, config.to_string()).expect("a file");
    let mut command = Command::new("node");
    command
        .arg("--no-warnings")
        .arg(folder.join("provider.mjs"))
        .arg(file);
    let mut process = Process::start("oidc-provider", command);
    process.wait_for_log("provider is ready");
    process
}
