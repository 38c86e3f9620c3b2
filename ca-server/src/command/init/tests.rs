use super::*;
use crate::policy_files;

#[test]
fn the_policies_of_a_new_ca_load_and_pass_their_cases_whatever_its_environments() {
    for names in [["staging", "prod"], ["prod", "test"], ["test", "dev"]] {
        let dir = tempfile::tempdir().unwrap();
        let names = names.map(|name| name.parse().unwrap());
        let url = url::Url::parse("https://ca.example.com").unwrap();
        let issuer = IssuerConfig::new("https://id.example.com", "jit-ssh");
        let config = plan(&url, issuer, &names, Clock::System.now()).unwrap();
        create(dir.path(), &config).unwrap();
        let folder = dir.path().join("policies");
        let policies = policy_files::load(&folder, Some(&names.into())).unwrap();
        let cases = policy_files::load_cases(&folder.join("cases"), &policies).unwrap();
        for outcome in cases.iter().flat_map(|file| file.run(&policies)) {
            assert!(outcome.passed, "{outcome:?}");
        }
    }
}

fn init(words: &[&str]) -> Init {
    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        init: Init,
    }
    let required = ["init", "--client-id", "jit-ssh"];
    let words = required.iter().chain(words);
    <Program as clap::Parser>::try_parse_from(words)
        .unwrap()
        .init
}

#[test]
fn what_serve_would_refuse_is_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    let run = |issuer: &str, more: &[&str]| {
        let words = ["--dir", dir.to_str().unwrap(), "--issuer", issuer];
        let url = ["--url", "http://127.0.0.1:9443"];
        let error = init(&[&words[..], &url, more].concat()).run().unwrap_err();
        assert!(!dir.exists());
        error.to_string()
    };
    assert!(run("id.example.com", &[]).contains("--issuer"));
    assert!(run("http://id.example.com", &[]).contains("https://"));
    let twice = ["--environment", "prod", "--environment", "prod"];
    assert!(run("https://id.example.com", &twice).contains("prod is given twice"));
}

#[test]
fn a_loopback_url_is_listened_on() {
    let address = |url: &str| loopback(&url::Url::parse(url).unwrap());
    let expected = "127.0.0.1:9443".parse().unwrap();
    assert_eq!(address("http://127.0.0.1:9443"), Some(expected));
    assert_eq!(address("http://localhost:9443"), Some(expected));
    assert_eq!(address("https://ca.example.com"), None);
}

#[test]
fn a_failed_init_leaves_nothing_and_the_next_one_succeeds() {
    let parent = tempfile::tempdir().unwrap();
    let url = url::Url::parse("https://ca.example.com").unwrap();
    let issuer = IssuerConfig::new("https://id.example.com", "jit-ssh");
    let names = ["prod".parse().unwrap()];
    let config = plan(&url, issuer, &names, Clock::System.now()).unwrap();
    let full = Config {
        reserve_bytes: u64::MAX,
        ..config.clone()
    };
    for dir in [parent.path().join("new"), parent.path().to_owned()] {
        let existed = dir.exists();
        create(&dir, &full).unwrap_err();
        assert_eq!(dir.exists(), existed);
    }
    create(parent.path(), &config).unwrap();
}
