//! Certificates by our own encoder under a CA's real key, with fields that the CA would never
//! grant: what does sshd make of them?

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use ca_core::agent::{CertificateEntry, Request, answer};
use ca_core::certificate::draft::{Draft, assemble};
use ca_core::certificate::option_value::Extension;
use ca_core::certificate::options::Options;
use ca_core::certificate::principals::Principals;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::serial::Serial;
use ca_core::time::Validity;
use ed25519_dalek::SigningKey;
use ssh_encoding::Encode;
use ssh_key::PrivateKey;

use super::clock::unix_now;

/// Signs a draft that is right, after `change`, with the key in `ca_file`, and gives it to the agent.
#[track_caller]
pub fn into_agent(socket: &Path, ca_file: &Path, change: impl FnOnce(&mut Draft)) {
    let ca = PrivateKey::read_openssh_file(ca_file).expect("the CA key");
    let ca_line = ca.public_key().to_openssh().expect("a public key");
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut draft = Draft {
        nonce: [9; 32],
        subject_key: SubjectKey::from(&key.verifying_key()),
        serial: Serial::new(1, 77).expect("a serial"),
        mark: ca_core::certificate::key_id::Mark::Ordinary,
        user: "alice".parse().expect("a name"),
        environment: "prod".parse().expect("a name"),
        principals: Principals::new(vec!["deploy".parse().expect("a name")]).expect("principals"),
        validity: Validity::new(unix_now() - 60, unix_now() + 600).expect("a window"),
        options: Options {
            extensions: [Extension::PermitPty].into(),
            ..Options::default()
        },
        authority_key: ca_line.parse().expect("an authority's key"),
    };
    change(&mut draft);
    let to_be_signed = draft.to_be_signed();
    let signature: ssh_key::Signature =
        ed25519_dalek::Signer::try_sign(&ca, &to_be_signed).expect("a signature");
    let mut blob = Vec::new();
    signature.encode(&mut blob).expect("a signature");
    add(socket, &assemble(&to_be_signed, &blob), &key);
}

fn add(socket: &Path, certificate: &[u8], key: &SigningKey) {
    let entry = CertificateEntry {
        certificate,
        key,
        comment: "forged",
        lifetime_seconds: None,
        confirm: false,
    };
    let request = Request::add(&entry).expect("a request");
    let mut agent = UnixStream::connect(socket).expect("the agent");
    agent
        .write_all(request.as_bytes())
        .expect("the agent reads");
    let mut header = [0; 4];
    agent.read_exact(&mut header).expect("an answer");
    let mut said = vec![0; answer::answer_length(header).expect("a length")];
    agent.read_exact(&mut said).expect("an answer");
    answer::success(&said).expect("the agent takes it");
}
