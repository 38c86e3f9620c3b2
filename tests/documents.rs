//! The documents tell the truth: what they name exists.

use std::path::Path;

use crate::support::programs::repository;

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            sources(&path, text);
        } else if name.ends_with(".rs") {
            text.push_str(&std::fs::read_to_string(path).expect("a source"));
        }
    }
}

#[test]
fn every_test_named_in_security_md_exists() {
    let mut code = String::new();
    sources(repository(), &mut code);
    let page = std::fs::read_to_string(repository().join("SECURITY.md")).expect("SECURITY.md");
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.matches('_').count() >= 4 && !word.contains(['/', ' ', '-']))
        .collect();
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| !code.contains(&format!("fn {name}(")))
        .collect();
    assert!(
        missing.is_empty(),
        "SECURITY.md names tests that do not exist: {missing:#?}"
    );
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut pages = vec![];
    for folder in ["", "docs", "docs/adr"] {
        let folder = repository().join(folder);
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            if entry.file_name().to_string_lossy().ends_with(".md") {
                pages.push(entry.path());
            }
        }
    }
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for (_, rest) in text
            .match_indices("](")
            .map(|(at, _)| text.split_at(at + 2))
        {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{}: {target}", page.display());
            }
        }
    }
}

#[test]
fn every_policy_quoted_in_the_documents_is_one_of_the_examples() {
    let mut examples = String::new();
    for folder in ["policies", "policies/invariants"] {
        for entry in std::fs::read_dir(repository().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "cedar") {
                examples.push_str(&std::fs::read_to_string(path).expect("policies"));
            }
        }
    }
    let page = std::fs::read_to_string(repository().join("docs/policy.md")).expect("policy.md");
    let quoted: Vec<&str> = page
        .split("```cedar\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(
        quoted.len() > 5,
        "only {} policies are quoted",
        quoted.len()
    );
    for policy in quoted {
        assert!(examples.contains(policy), "docs/policy.md quotes\n{policy}");
    }
}
