//! Modules name only modules of their own layer or below: edges → use cases → adapters → record →
//! decisions → ca-core. A table and a scan of `crate::` paths; a breach is shown with its line.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test outside the crate"
)]

use std::path::{Path, PathBuf};

/// Lowest layer first.
const LAYERS: &[&[&str]] = &[
    &[
        "access",
        "authn",
        "directory",
        "environment",
        "issuance",
        "policy",
        "reach",
        "recordable",
        "state",
    ],
    &[
        "clock",
        "high_water",
        "ledger",
        "recorded",
        "store",
        "unused",
    ],
    &[
        "break_glass_keys",
        "identity",
        "key_file",
        "notify",
        "outgoing",
        "policy_changes",
        "policy_files",
        "policy_record",
        "prove",
        "seal",
        "signer",
    ],
    &["admin", "audit", "ca", "replay"],
    &["assembly", "command", "config", "dev", "http"],
];

/// What must never reach from the server for real use into the one for trying.
const DEV_ONLY: &[&str] = &["dev", "enrol_directly"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|row| row.contains(&module))
        .unwrap_or_else(|| panic!("module {module} is in no layer of this test's table"))
}

/// The module of the crate's root that a file belongs to, none for lib.rs and main.rs.
fn module_of(root: &Path, file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    let name = first.trim_end_matches(".rs").to_owned();
    (name != "lib" && name != "main").then_some(name)
}

/// Every `crate::NAME` of a file outside comments and test modules, with its line number.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start() == "#[cfg(test)]" {
            // Tests stand last in a file, or the next line declares a test module's file.
            let next = text.lines().nth(number + 1).unwrap_or_default();
            if next.contains('{') {
                break;
            }
        }
        let code = line.split("//").next().unwrap_or_default();
        for (_, rest) in code
            .match_indices("crate::")
            .map(|(at, _)| code.split_at(at + 7))
        {
            if let Some(group) = rest.strip_prefix('{') {
                found.extend(group.split(',').map(|name| (number + 1, first_word(name))));
            } else {
                found.push((number + 1, first_word(rest)));
            }
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        matches!(
            part.as_ref(),
            "tests" | "tests.rs" | "example.rs" | "conformance.rs"
        )
    })
}

#[test]
fn no_module_names_one_of_a_layer_above_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 40, "only {} files were found", files.len());
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| !is_test(file)) {
        let Some(module) = module_of(&root, file) else {
            continue;
        };
        for (line, name) in named(&std::fs::read_to_string(file).unwrap()) {
            if layer(&name) > layer(&module) {
                breaches.push(format!("{}:{line}: {module} names {name}", file.display()));
            }
        }
    }
    assert!(
        breaches.is_empty(),
        "imports that go up:\n{}",
        breaches.join("\n")
    );
}

#[test]
fn what_serves_for_real_cannot_reach_what_serves_a_try() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files.iter().filter(|file| !is_test(file)) {
        let inside = file.strip_prefix(&root).unwrap();
        let allowed = inside.starts_with("dev") || inside.starts_with("dev.rs");
        let allowed = allowed || inside.starts_with("main.rs") || inside.starts_with("lib.rs");
        let defines = inside.starts_with("ca/enrolment.rs");
        for (number, line) in std::fs::read_to_string(file).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in DEV_ONLY {
                let used = code.contains(&format!("crate::{name}::"))
                    || code.contains(&format!(".{name}("));
                assert!(
                    allowed || defines || !used,
                    "{}:{} names {name}",
                    inside.display(),
                    number + 1
                );
            }
        }
    }
}
