use std::os::unix::fs::PermissionsExt as _;

use super::super::WebhookError;
use super::*;

fn configured(change: impl FnOnce(&mut WebhookConfig)) -> Result<Targets, WebhookError> {
    let mut config = WebhookConfig {
        url: SecretUrl("https://hooks.slack.com/services/T0/B0/secretpart".to_owned()),
        name: None,
        secret_file: None,
        format: None,
        events: None,
        ca_file: None,
    };
    change(&mut config);
    Targets::new(&[config.clone()], Pace::default())
}

#[test]
fn one_line_is_enough_and_names_the_target_by_its_host() {
    let config: WebhookConfig =
        toml::from_str(r#"url = "https://hooks.slack.com/services/T0/B0/x""#).unwrap();
    let targets = Targets::new(&[config], Pace::default()).unwrap();
    assert_eq!(targets.targets[0].name, "hooks.slack.com");
}

#[test]
fn a_secret_that_others_can_read_or_that_is_none_is_a_start_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let with_secret = || configured(|config| config.secret_file = Some(path.clone()));
    assert!(matches!(
        with_secret(),
        Err(WebhookError::SecretFile { .. })
    ));
    std::fs::write(&path, SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        with_secret(),
        Err(WebhookError::SecretFile {
            source: crate::key_file::KeyFileError::Mode { .. },
            ..
        })
    ));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(with_secret().is_ok());
    std::fs::write(&path, "hunter2hunter2").unwrap();
    let error = with_secret().unwrap_err();
    assert!(matches!(error, WebhookError::Secret { .. }));
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn addresses_and_names_that_cannot_be_used_are_start_errors() {
    for url in [
        "http://chat.example.com/x",
        "https://u:p@chat.example.com",
        "chat",
        "",
    ] {
        let error = configured(|config| config.url = SecretUrl(url.to_owned())).unwrap_err();
        assert!(matches!(error, WebhookError::Url(_)), "{url:?}");
    }
    for name in ["", "../x", "a/b", ".hidden", "Name", &"x".repeat(101)] {
        let error = configured(|config| config.name = Some(name.to_owned())).unwrap_err();
        assert!(matches!(error, WebhookError::Name(_)), "{name:?}");
    }
    let config: WebhookConfig = toml::from_str(r#"url = "https://chat.example.com""#).unwrap();
    let error = Targets::new(&[config.clone(), config], Pace::default()).unwrap_err();
    assert!(matches!(error, WebhookError::Duplicate(_)));
    assert!(
        toml::from_str::<WebhookConfig>("url = \"https://a\"\nevents = [\"nonsense\"]").is_err()
    );
}

#[test]
fn no_debug_output_holds_the_address() {
    let config: WebhookConfig =
        toml::from_str(r#"url = "https://hooks.slack.com/services/T0/B0/secretpart""#).unwrap();
    assert!(!format!("{config:?}").contains("secretpart"));
}
