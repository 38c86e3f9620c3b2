//! The outside judges of the log say yes to a right one and no to a wrong one.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use crate::support::http::Client;
use crate::support::port;
use crate::support::process::Process;
use crate::support::python::{check_tree, hex, read_log, script};
use crate::support::run::run;

const ORIGIN: &str = "log.example/2026a";

type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    parts
        .iter()
        .fold(Sha256::new(), |hasher, part| hasher.chain_update(part))
        .finalize()
        .into()
}

/// MTH of RFC 6962 §2.1, as written there.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

fn leaf(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

fn entries(count: u32) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| format!("entry {number}").into_bytes())
        .collect()
}

/// A log in files as tlog-tiles lays them out; returns its vkey.
fn write_log(dir: &Path, entries: &[Vec<u8>]) -> String {
    let key = SigningKey::from_bytes(&[7; 32]);
    let typed = [&[1], key.verifying_key().as_bytes().as_slice()].concat();
    let id = &sha256(&[ORIGIN.as_bytes(), b"\n", &typed])[..4];
    let mut hashes: Vec<Hash> = entries.iter().map(|entry| leaf(entry)).collect();
    let text = format!(
        "{ORIGIN}\n{}\n{}\n",
        entries.len(),
        STANDARD.encode(root(&hashes))
    );
    let blob = STANDARD.encode([id, &key.sign(text.as_bytes()).to_bytes()].concat());
    std::fs::write(
        dir.join("checkpoint"),
        format!("{text}\n\u{2014} {ORIGIN} {blob}\n"),
    )
    .unwrap();
    let bundles = entries.chunks(256).map(|bundle| {
        let prefixed = |entry: &Vec<u8>| {
            [
                &u16::try_from(entry.len()).unwrap().to_be_bytes(),
                entry.as_slice(),
            ]
            .concat()
        };
        (bundle.len(), bundle.iter().flat_map(prefixed).collect())
    });
    write_tiles(&dir.join("tile/entries"), bundles);
    for level in 0.. {
        if hashes.is_empty() {
            break;
        }
        let tiles = hashes.chunks(256).map(|tile| (tile.len(), tile.concat()));
        write_tiles(&dir.join(format!("tile/{level}")), tiles);
        hashes = hashes.chunks_exact(256).map(root).collect();
    }
    format!("{ORIGIN}+{}+{}", hex(id), STANDARD.encode(typed))
}

fn write_tiles(dir: &Path, tiles: impl Iterator<Item = (usize, Vec<u8>)>) {
    for (number, (width, bytes)) in tiles.enumerate() {
        let (thousands, rest) = (number / 1000, number % 1000);
        let mut path = match thousands {
            0 => format!("{rest:03}"),
            _ => format!("x{thousands:03}/{rest:03}"),
        };
        if width < 256 {
            path = format!("{path}.p/{width}");
        }
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// Serves a folder by HTTP; the URL.
fn serve(dir: &Path) -> (Process, String) {
    let port = port::free();
    let mut command = Command::new("python3");
    command.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]);
    command.arg(dir).arg(port.to_string());
    let mut server = Process::start("http.server", command);
    server.wait_for_port(port);
    (server, format!("http://127.0.0.1:{port}"))
}

#[test]
fn pymerkle_confirms_right_roots_and_names_the_wrong_one() {
    let entries = entries(9);
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf(entry)).collect();
    let mut heads: Vec<_> = (1_u64..=9)
        .zip((1..=9).map(|size| root(&leaves[..size])))
        .collect();
    assert_eq!(
        check_tree(&entries, &heads).succeeds().stdout,
        "OK 9 heads\n"
    );
    heads[6].1[0] ^= 1;
    let judged = check_tree(&entries, &heads).exits_with(1);
    assert!(
        judged.stdout.starts_with("size 7: root is"),
        "{}",
        judged.stdout
    );
    check_tree(&entries[..8], &heads[7..]).exits_with(1);
}

#[test]
fn the_reader_accepts_a_log_of_every_shape() {
    for count in [0, 1, 255, 256, 257, 600] {
        let dir = tempfile::tempdir().unwrap();
        let entries = entries(count);
        let vkey = write_log(dir.path(), &entries);
        let (_server, url) = serve(dir.path());
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf(entry)).collect();
        let expected = format!("OK {count} {} {ORIGIN}\n", hex(&root(&leaves)));
        assert_eq!(read_log(&url, &vkey, None).succeeds().stdout, expected);
    }
}

#[test]
fn the_reader_accepts_the_three_levels_of_a_log_of_70_000_entries() {
    let dir = tempfile::tempdir().unwrap();
    let vkey = write_log(dir.path(), &entries(70_000));
    // The worked example of tlog-tiles.
    for tile in ["0/273.p/112", "1/000", "1/001.p/17", "2/000.p/1"] {
        assert!(dir.path().join("tile").join(tile).exists(), "{tile}");
    }
    let (_server, url) = serve(dir.path());
    read_log(&url, &vkey, None).succeeds();
}

#[test]
fn the_reader_refuses_a_changed_byte_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let vkey = write_log(dir.path(), &entries(600));
    let (_server, url) = serve(dir.path());
    for path in [
        "checkpoint",
        "tile/entries/001",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
    ] {
        let file = dir.path().join(path);
        let right = std::fs::read(&file).unwrap();
        for at in [0, right.len() / 2, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            std::fs::write(&file, wrong).unwrap();
            let judged = read_log(&url, &vkey, None);
            assert_eq!(judged.code, Some(1), "{path} byte {at}: {judged:?}");
        }
        std::fs::write(&file, &right[..right.len() - 1]).unwrap();
        read_log(&url, &vkey, None).exits_with(1);
        std::fs::write(&file, right).unwrap();
    }
    read_log(&url, &vkey, None).succeeds();
}

#[test]
fn the_reader_knows_the_key_of_the_specification_and_refuses_another() {
    let dir = tempfile::tempdir().unwrap();
    write_log(dir.path(), &entries(1));
    let (_server, url) = serve(dir.path());
    // signed-note v1.0.0, the test vector.
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let judged = read_log(&url, vkey, None).exits_with(1);
    assert!(
        judged
            .stdout
            .contains("not signed by example.com/foo+530d903a"),
        "{}",
        judged.stdout
    );
    let judged = read_log(&url, &vkey.replace("530d", "530e"), None).exits_with(1);
    assert!(
        judged.stdout.contains("should be 530d903a"),
        "{}",
        judged.stdout
    );
}

/// The same folder by HTTPS, with a certificate that is its own authority.
fn serve_tls(dir: &Path, pem: &Path) -> (Process, String) {
    const SERVER: &str = "
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[3])), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";
    let port = port::free();
    let mut command = Command::new("python3");
    command
        .args(["-c", SERVER])
        .arg(dir)
        .arg(pem)
        .arg(port.to_string());
    let mut server = Process::start("https.server", command);
    server.wait_for_port(port);
    (server, format!("https://127.0.0.1:{port}"))
}

fn self_signed(dir: &Path, name: &str) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = dir.join(name);
    let text = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    std::fs::write(&pem, text).unwrap();
    pem
}

#[test]
fn over_tls_only_the_named_authority_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let vkey = write_log(dir.path(), &entries(3));
    let [right, wrong] = ["right.pem", "wrong.pem"].map(|name| self_signed(dir.path(), name));
    let (_server, url) = serve_tls(dir.path(), &right);
    read_log(&url, &vkey, Some(&right)).succeeds();
    let judged = read_log(&url, &vkey, Some(&wrong)).exits_with(1);
    assert!(
        judged.stdout.contains("CERTIFICATE_VERIFY_FAILED"),
        "{}",
        judged.stdout
    );
    let checkpoint = format!("{url}/checkpoint");
    Client::new(Some(&right)).get(&checkpoint).has_status(200);
    let stranger = Client::new(Some(&wrong));
    stranger
        .try_send(stranger.request(reqwest::Method::GET, &checkpoint))
        .unwrap_err();
}

#[test]
fn the_scripts_explain_themselves() {
    let mut command = script("read_log.py");
    command.arg("--help");
    assert!(run(command).succeeds().stdout.contains("--ca-file"));
}
