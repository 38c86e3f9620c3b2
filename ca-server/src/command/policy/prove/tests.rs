use std::path::Path;

use super::super::tests::{folder, policy};
use super::super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use super::*;

const ROOT: &str = "prove root-in-prod-takes-an-approver --timeout 300s";

/// Writes `text` without the policy `id` back to `file`.
fn drop_policy(dir: &Path, file: &str, id: &str) {
    let path = dir.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let named = format!("@id(\"{id}\")");
    assert!(text.contains(&named));
    let kept: Vec<&str> = text
        .split("\n\n")
        .filter(|part| !part.contains(&named))
        .collect();
    std::fs::write(path, kept.join("\n\n")).unwrap();
}

#[test]
fn an_invariant_that_holds_is_named_with_its_place_reason_and_time() {
    let dir = folder();
    let (code, text) = policy(dir.path(), ROOT);
    assert_eq!(code, EXIT_OK, "{text}");
    let place = "✓ never root-in-prod-takes-an-approver (invariants/sensitive.never.cedar:4, ";
    assert!(text.starts_with(place), "{text}");
    let rest = "s): root in prod is opened by somebody else of group approver, never by the one \
                who asks\n1 invariant holds of every request\n";
    assert!(text.ends_with(rest), "{text}");
}

#[test]
fn a_violated_one_exits_1_with_a_case_to_paste_that_is_really_permitted() {
    let dir = folder();
    drop_policy(dir.path(), "sensitive.cedar", "prod-root-needs-approval");
    let (code, text) = policy(dir.path(), ROOT);
    assert_eq!(code, EXIT_FAILED, "{text}");
    assert!(
        text.starts_with("✗ never root-in-prod-takes-an-approver ("),
        "{text}"
    );
    assert!(
        text.contains("\n  permit by prod-root (sensitive.cedar:"),
        "{text}"
    );
    assert!(text.ends_with("1 of 1 invariant not proved\n"), "{text}");
    // Pasted as it stands, it passes.
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let case = lines.collect::<Vec<&str>>().join("\n");
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("found.toml"), case).unwrap();
    let (code, text) = policy(dir.path(), &format!("test {}", own.path().display()));
    assert_eq!(code, EXIT_OK, "{text}");
    let (code, text) = policy(dir.path(), &format!("{ROOT} --json"));
    assert_eq!(code, EXIT_FAILED);
    let json: Value = serde_json::from_str(&text).unwrap();
    let one = &json["invariants"][0];
    assert_eq!(json["ok"], false);
    assert_eq!(one["outcome"]["result"], "violated");
    assert_eq!(one["outcome"]["verdict"], "permit");
    assert_eq!(one["outcome"]["policies"][0], "prod-root");
    assert!(
        one["outcome"]["case"]
            .as_str()
            .unwrap()
            .contains("[[case]]")
    );
    assert!(one["took_milliseconds"].is_u64(), "{text}");
}

#[test]
fn the_invariants_of_now_are_proved_about_the_policies_of_then() {
    let (dir, edited) = (folder(), folder());
    drop_policy(edited.path(), "sensitive.cedar", "prod-root-needs-approval");
    std::fs::remove_dir_all(edited.path().join("invariants")).unwrap();
    let line = format!("{ROOT} --against {}", edited.path().display());
    assert_eq!(policy(dir.path(), &line).0, EXIT_FAILED);
    let line = format!("{ROOT} --against {}", dir.path().display());
    assert_eq!(policy(dir.path(), &line).0, EXIT_OK);
}

#[test]
fn an_edit_that_permits_less_is_a_subset_and_one_that_permits_more_is_not() {
    let (dir, edited) = (folder(), folder());
    // Arithmetic with times of day takes the solver minutes where a set is compared with another.
    for folder in [&dir, &edited] {
        std::fs::remove_file(folder.path().join("contractors.cedar")).unwrap();
    }
    drop_policy(edited.path(), "oversight.cedar", "security-reads-the-log");
    let line = |other: &Path| format!("prove --timeout 300s --subset-of {}", other.display());
    let (code, text) = policy(edited.path(), &line(dir.path()));
    assert_eq!(code, EXIT_OK, "{text}");
    assert!(
        text.ends_with("these policies permit nothing that the others do not\n"),
        "{text}"
    );
    let (code, text) = policy(dir.path(), &line(edited.path()));
    assert_eq!(code, EXIT_FAILED, "{text}");
    assert!(text.contains("✗ read_audit ("), "{text}");
    assert!(
        text.contains("  permit by security-reads-the-log (oversight.cedar:"),
        "{text}"
    );
    let denied = "  the other set denies it by no policy: no policy lets alice read the log of";
    assert!(text.contains(denied), "{text}");
}

#[test]
fn policies_that_change_nothing_are_found_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let schema = folder();
    std::fs::copy(
        schema.path().join("schema.cedarschema"),
        dir.path().join("schema.cedarschema"),
    )
    .unwrap();
    let statement = |id: &str, effect: &str, condition: &str| {
        format!(
            "@id(\"{id}\")\n@reason(\"r\")\n{effect} (principal in Group::\"a\", action == Action::\"login\", \
             resource)\nwhen {{ {condition} }};\n\n"
        )
    };
    let permit = statement("hour", "permit", "context.duration <= 3600");
    std::fs::write(dir.path().join("a.cedar"), &permit).unwrap();
    let analyse = || policy(dir.path(), "prove --analyse --timeout 300s");
    let (code, text) = analyse();
    assert_eq!(code, EXIT_OK, "{text}");
    assert!(text.starts_with("1 policies were looked at ("), "{text}");
    assert!(text.ends_with("): each matters\n"), "{text}");
    let half = statement("half", "permit", "context.duration <= 1800");
    std::fs::write(dir.path().join("b.cedar"), &half).unwrap();
    let (code, text) = analyse();
    assert_eq!(code, EXIT_OK, "{text}");
    let covered =
        "- half (b.cedar:1): changes nothing: all of it is decided so by hour (a.cedar:1)";
    assert!(text.starts_with(covered), "{text}");
    let never = statement(
        "never",
        "permit",
        "context.mfa_kind == \"none\" && context.mfa_age < 60",
    );
    std::fs::write(dir.path().join("c.cedar"), &never).unwrap();
    let (code, text) = analyse();
    assert_eq!(code, EXIT_FAILED, "{text}");
    assert!(
        text.contains("\n✗ never (c.cedar:1): never applies"),
        "{text}"
    );
    let (_, text) = policy(dir.path(), "prove --analyse --timeout 300s --json");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["policies"][1]["flaw"]["flaw"], "redundant");
    assert_eq!(json["policies"][1]["flaw"]["covered_by"][0], "hour");
}

#[test]
fn what_is_not_there_is_no_proof() {
    let dir = folder();
    let (code, text) = policy(dir.path(), "prove rot-in-prod");
    assert_eq!(code, EXIT_USAGE);
    let begin = "error: there is no invariant rot-in-prod (there are: on-call-can-break-glass, ";
    assert!(text.starts_with(begin), "{text}");
    std::fs::remove_dir_all(dir.path().join("invariants")).unwrap();
    let (code, text) = policy(dir.path(), "prove");
    assert_eq!(code, EXIT_FAILED);
    assert!(
        text.contains("/invariants holds no invariant\nhint: "),
        "{text}"
    );
}

#[test]
fn a_broken_invariant_is_shown_at_its_place_by_prove_and_by_check() {
    let dir = folder();
    let text = "@id(\"x\")\n@reason(\"r\")\nforbid (principal, action, resource)\n\
                when { context.durations > 1 };\n";
    std::fs::write(dir.path().join("invariants/x.never.cedar"), text).unwrap();
    for verb in ["prove", "check"] {
        let (code, text) = policy(dir.path(), verb);
        assert_eq!(code, EXIT_USAGE);
        assert!(text.starts_with("invariants/x.never.cedar:4:8: "), "{text}");
    }
    std::fs::remove_file(dir.path().join("invariants/x.never.cedar")).unwrap();
    let (code, text) = policy(dir.path(), "check");
    assert_eq!(code, EXIT_OK);
    assert!(text.contains(" invariants can be read"), "{text}");
}

#[test]
fn a_time_limit_is_some_time() {
    for wrong in ["0s", "25h", "x", "-1s"] {
        assert!(timeout(wrong).is_err(), "{wrong}");
    }
    assert_eq!(timeout("2m"), Ok(Duration::from_secs(120)));
}
