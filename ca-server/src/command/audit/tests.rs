//! The command as somebody types it, on a folder as `init` makes it.

use clap::Parser;

use super::AuditCommand;
use super::search::Find;

#[derive(Debug, Parser)]
struct Typed {
    #[command(flatten)]
    audit: AuditCommand,
}

fn typed(text: &str) -> Result<AuditCommand, String> {
    let words = std::iter::once("audit").chain(text.split_whitespace());
    let typed = Typed::try_parse_from(words);
    typed.map(|typed| typed.audit).map_err(|e| e.to_string())
}

#[test]
fn the_documented_lines_are_understood_and_contradictions_are_not() {
    for text in [
        "verify --dir ca",
        "--config f verify --json",
        "verify --export - --log-key x",
        "search --dir ca --person alice --since 2026-11-22T00:00:00Z --limit 3",
        "export --dir ca --from 3 --until-index 9",
        "export --url https://ca --session-file s --ca-certificate c.pem",
    ] {
        typed(text).unwrap();
    }
    for text in [
        "verify --dir a --config b",
        "search --dir a --url https://ca",
        "verify --log-key x",
        "export --session-file s",
        "search --since yesterday",
    ] {
        assert!(typed(text).is_err(), "{text}");
    }
}

#[test]
fn an_audit_of_nothing_says_what_to_name() {
    let error = typed("search").unwrap().run_into(&mut Vec::new());
    assert!(error.unwrap_err().to_string().contains("--dir DIR"));
    let error = typed("search --url https://ca").unwrap();
    let error = error.run_into(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("--session-file"));
}

#[test]
fn an_empty_export_proves_nothing_and_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key();
    let key = ca_core::tlog::note::VerifierKey::new("log.example/a".parse().unwrap(), key);
    for (content, expected) in [("", "no line"), ("{}\n", "line 1: missing field")] {
        std::fs::write(&path, content).unwrap();
        let mut out = Vec::new();
        let command = format!("verify --export {} --log-key {key}", path.display());
        assert_eq!(typed(&command).unwrap().run_into(&mut out).unwrap(), 1);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_default_search_asks_for_a_hundred() {
    let command = typed("search --dir x").unwrap();
    let super::AuditVerb::Search(find) = command.verb else {
        panic!("not a search");
    };
    let Find { limit, person, .. } = *find;
    assert_eq!((limit, person), (100, None));
}
