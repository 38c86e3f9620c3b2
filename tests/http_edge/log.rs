//! The log as a stranger reads it over HTTPS, with programs that share no code with ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Scene, wish};
use crate::support::python::{check_tree, script};
use crate::support::run::run;
use crate::support::serve::Installation;

#[test]
fn strangers_confirm_the_log_of_more_than_300_records_and_every_head_seen_on_the_way() {
    let scene = Scene::of(Installation::made_for);
    let client = scene.ca.client();
    let head = || {
        let note = client
            .get(&scene.ca.url("/log/checkpoint"))
            .has_status(200)
            .text();
        let mut lines = note.lines().skip(1);
        let size: u64 = lines.next().expect("a size").parse().expect("a number");
        let root = STANDARD
            .decode(lines.next().expect("a root"))
            .expect("base64");
        (size, <[u8; 32]>::try_from(root).expect("32 bytes"))
    };
    let mut heads = vec![head()];
    let mut wish = wish("");
    for at in 0..310 {
        wish["request_id"] = format!("one-of-many-wishes-{at}").into();
        let issued = scene.api.post_as(&scene.alice, "/v1/certificates", &wish);
        issued.has_status(201);
        if at % 20 == 0 {
            heads.push(head());
        }
    }
    heads.push(head());
    let discovery = client
        .get(&scene.ca.url("/v1/discovery"))
        .has_status(200)
        .json();
    let vkey = discovery["log"]["verifier_key"].as_str().expect("a key");
    let origin = discovery["log"]["origin"].as_str().expect("an origin");
    let file = scene.ca.place().join("entries");
    let mut reader = script("read_log.py");
    reader
        .arg("--ca-file")
        .arg(scene.ca.root().expect("a root"));
    reader.arg("--entries").arg(&file);
    reader.args(["--", &scene.ca.url("/log"), vkey]);
    let said = run(reader).succeeds().stdout;
    let (size, root) = heads[heads.len() - 1];
    assert!(size > 300);
    let root = crate::support::python::hex(&root);
    assert_eq!(said.trim_end(), format!("OK {size} {root} {origin}"));

    let entries: Vec<Vec<u8>> = scene
        .ca
        .read("entries")
        .lines()
        .map(|line| bytes(line.trim()))
        .collect();
    assert_eq!(u64::try_from(entries.len()).ok(), Some(size));
    assert!(entries.iter().all(|entry| entry.len() == 82));
    let judged = check_tree(&entries, &heads).succeeds().stdout;
    assert_eq!(judged, format!("OK {} heads\n", heads.len()));
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let pairs = digits.map(|pair| std::str::from_utf8(pair).expect("hex"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("hex"))
        .collect()
}
