//! ssh-keygen as maker and as judge: keys, certificates, key revocation lists.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::run::{run, run_with_input};

/// A key pair in files, private key without passphrase.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// The private key.
    pub private: PathBuf,
    /// The public key, `private` with `.pub` behind it.
    pub public: PathBuf,
}

impl KeyFiles {
    /// The public key as one line without its end.
    pub fn public_line(&self) -> String {
        std::fs::read_to_string(&self.public)
            .expect("a public key")
            .trim_end()
            .to_owned()
    }
}

/// Makes an Ed25519 key pair `dir/name`.
#[track_caller]
pub fn generate(dir: &Path, name: &str) -> KeyFiles {
    generate_kind(dir, name, "ed25519", &[])
}

/// Makes a key pair of the given `ssh-keygen -t` kind, for example `rsa` with `["-b", "1024"]`.
#[track_caller]
pub fn generate_kind(dir: &Path, name: &str, kind: &str, more: &[&str]) -> KeyFiles {
    let private = dir.join(name);
    let mut command = keygen();
    command
        .args(["-q", "-t", kind, "-N", "", "-C", name])
        .args(more)
        .arg("-f")
        .arg(&private);
    run(command).succeeds();
    KeyFiles {
        public: private.with_file_name(format!("{name}.pub")),
        private,
    }
}

/// What ssh-keygen is told to put into a certificate.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Principals; ssh-keygen cannot write one with a comma.
    pub principals: &'a [&'a str],
    /// `-V`, for example `-1m:+1h` or `0x10:0x20`.
    pub validity: &'a str,
    /// `-z`.
    pub serial: u64,
    /// `-I`.
    pub key_id: &'a str,
    /// Each one an `-O`; `clear` first if the five default extensions are not wanted.
    pub options: &'a [&'a str],
    /// `-h`: a host certificate.
    pub host: bool,
}

impl Default for Wanted<'_> {
    /// Valid for an hour, serial 1, no principals, the default extensions.
    fn default() -> Self {
        Self {
            principals: &[],
            validity: "-1m:+1h",
            serial: 1,
            key_id: "test",
            options: &[],
            host: false,
        }
    }
}

/// Signs the public key of `subject` with `ca`; the certificate is in `SUBJECT-cert.pub`.
#[track_caller]
pub fn sign(ca: &KeyFiles, subject: &KeyFiles, wanted: &Wanted<'_>) -> PathBuf {
    let mut command = keygen();
    command.arg("-q").arg("-s").arg(&ca.private);
    command.args(["-I", wanted.key_id, "-V", wanted.validity]);
    command.args(["-z", &wanted.serial.to_string()]);
    if !wanted.principals.is_empty() {
        command.args(["-n", &wanted.principals.join(",")]);
    }
    for option in wanted.options {
        command.args(["-O", option]);
    }
    if wanted.host {
        command.arg("-h");
    }
    command.arg(&subject.public);
    run(command).succeeds();
    let name = subject
        .private
        .file_name()
        .and_then(|name| name.to_str())
        .expect("UTF-8");
    subject.private.with_file_name(format!("{name}-cert.pub"))
}

/// A certificate as `ssh-keygen -L` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// For example `ssh-ed25519-cert-v01@openssh.com`.
    pub algorithm: String,
    /// `user` or `host`.
    pub kind: String,
    /// `SHA256:…` of the subject key.
    pub public_key: String,
    /// `SHA256:…` of the CA key.
    pub signing_ca: String,
    /// The algorithm of the signature, for example `ssh-ed25519`.
    pub signature_algorithm: String,
    /// The key id, as it is printed (control characters escaped).
    pub key_id: String,
    /// The serial.
    pub serial: u64,
    /// Seconds since 1970; `None` if not bounded.
    pub valid_after: Option<u64>,
    /// Seconds since 1970; `None` if not bounded.
    pub valid_before: Option<u64>,
    /// The principals, in the order of the certificate.
    pub principals: Vec<String>,
    /// One line each, `name` or `name value`, in the order of the certificate.
    pub critical_options: Vec<String>,
    /// One line each, in the order of the certificate.
    pub extensions: Vec<String>,
}

/// Describes the certificate in a file.
#[track_caller]
pub fn describe(certificate: &Path) -> Described {
    let mut command = keygen();
    command.arg("-L").arg("-f").arg(certificate);
    parse(&run(command).succeeds().stdout)
}

/// Describes a certificate given as one line of text (`ssh-ed25519-cert-v01@openssh.com AAAA…`).
#[track_caller]
pub fn describe_line(certificate: &str) -> Described {
    let mut command = keygen();
    command.args(["-L", "-f", "-"]);
    parse(
        &run_with_input(command, format!("{certificate}\n").as_bytes())
            .succeeds()
            .stdout,
    )
}

/// The SHA-256 fingerprint (`SHA256:…`) of the key, or of the key in the certificate, in a file.
#[track_caller]
pub fn fingerprint(file: &Path) -> String {
    let mut command = keygen();
    command.arg("-l").arg("-f").arg(file);
    let line = run(command).succeeds().stdout;
    line.split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// Writes a key revocation list from the lines of a specification (`serial: 4-6`, `id: NAME`, …).
#[track_caller]
pub fn write_krl(krl: &Path, ca: &KeyFiles, specification: &str) {
    let file = krl.with_extension("spec");
    std::fs::write(&file, specification).expect("a specification");
    let mut command = keygen();
    command
        .arg("-q")
        .arg("-k")
        .arg("-f")
        .arg(krl)
        .arg("-s")
        .arg(&ca.public)
        .arg(&file);
    run(command).succeeds();
}

/// Whether a key revocation list revokes the key or certificate in `file`.
///
/// Panics if ssh-keygen cannot read one of them, which its exit code alone does not tell apart.
#[track_caller]
pub fn is_revoked(krl: &Path, file: &Path) -> bool {
    let mut command = keygen();
    command.arg("-Q").arg("-f").arg(krl).arg(file);
    let judged = run(command);
    let last = judged.stdout.trim_end();
    match (judged.code, last.ends_with("REVOKED"), last.ends_with("ok")) {
        (Some(0), false, true) => false,
        (Some(1), true, false) => true,
        _ => panic!("ssh-keygen -Q gives no answer: {judged:?}"),
    }
}

/// What `ssh-keygen -Q -l` prints about a key revocation list.
#[track_caller]
pub fn list_krl(krl: &Path) -> String {
    let mut command = keygen();
    command.args(["-Q", "-l"]).arg("-f").arg(krl);
    run(command).succeeds().stdout
}

fn keygen() -> Command {
    let mut command = Command::new("ssh-keygen");
    // It prints local time without a zone.
    command.env("TZ", "UTC").env("LC_ALL", "C");
    command
}

fn parse(text: &str) -> Described {
    let mut described = Described::default();
    let mut list: Option<&str> = None;
    for line in text.lines().skip(1) {
        if let (Some(item), Some(name)) = (line.strip_prefix("                "), list) {
            let item = item.to_owned();
            match name {
                "Principals" => described.principals.push(item),
                "Critical Options" => described.critical_options.push(item),
                _ => described.extensions.push(item),
            }
            continue;
        }
        let (name, value) = line.trim_start().split_once(':').expect("NAME: VALUE");
        list = matches!(name, "Principals" | "Critical Options" | "Extensions").then_some(name);
        parse_field(&mut described, name, value.trim());
    }
    described
}

fn parse_field(described: &mut Described, name: &str, value: &str) {
    let word = |index: usize| value.split(' ').nth(index).unwrap_or_default().to_owned();
    match name {
        "Type" => {
            described.algorithm = word(0);
            described.kind = word(1);
        }
        "Public key" => described.public_key = word(1),
        "Signing CA" => {
            described.signing_ca = word(1);
            described.signature_algorithm = word(3).trim_end_matches(')').to_owned();
        }
        "Key ID" => {
            let quoted = value
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'));
            described.key_id = quoted.expect("a quoted key id").to_owned();
        }
        "Serial" => described.serial = value.parse().expect("a serial"),
        "Valid" => match value.split(' ').collect::<Vec<_>>()[..] {
            ["forever"] => {}
            ["from", after, "to", before] => {
                described.valid_after = Some(seconds(after));
                described.valid_before = Some(seconds(before));
            }
            ["after", after] => described.valid_after = Some(seconds(after)),
            ["before", before] => described.valid_before = Some(seconds(before)),
            _ => panic!("unknown validity {value:?}"),
        },
        "Principals" | "Critical Options" | "Extensions" => {}
        _ => panic!("unknown field {name:?} of ssh-keygen -L"),
    }
}

fn seconds(text: &str) -> u64 {
    let time: jiff::civil::DateTime = text.parse().expect("a civil time");
    let time = time
        .to_zoned(jiff::tz::TimeZone::UTC)
        .expect("in range")
        .timestamp();
    u64::try_from(time.as_second()).expect("after 1970")
}
