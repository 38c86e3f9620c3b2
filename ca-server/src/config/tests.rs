use super::*;

const SMALL: &str = r#"
    url = "https://ca.example.com"
    listen = "127.0.0.1:7443"
    store = "store"
    high_water = "high-water"
    admin_socket = "admin.sock"
    policy_dir = "policies"
    seal_key = "keys/seal.key"
    log = { origin = "ca.example.com/2026a", epoch = 1, key = "/etc/log.key" }
    issuers = [{ issuer = "https://id.example.com", client_id = "jit-ssh" }]
    [environments.prod]
    default_principals = ["deploy"]
    default_duration_seconds = 3600
    profile = { max_duration_seconds = 28800 }
    key = { file = "keys/prod" }
"#;

fn read(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, text).unwrap();
    let mut config = Config::read(&path)?;
    config.store = config.store.strip_prefix(dir.path()).unwrap().to_owned();
    Ok(config)
}

#[test]
fn paths_are_relative_to_the_file_unless_absolute() {
    let config = read(SMALL).unwrap();
    assert_eq!(config.store, Path::new("store"));
    assert_eq!(config.log.key, Path::new("/etc/log.key"));
}

#[test]
fn an_unknown_key_is_an_error_that_shows_its_line() {
    let error = read(
        &SMALL
            .replace("session", "")
            .replace("listen", "lisen = 1\nlisten"),
    );
    assert!(error.unwrap_err().to_string().contains("lisen"));
}

#[test]
fn a_default_beyond_the_ceiling_is_refused_with_what_is_allowed() {
    let error = read(&SMALL.replace("= 3600", "= 36000"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("60 to 28800"), "{error}");
}

#[test]
fn a_high_water_file_inside_the_store_is_refused() {
    let error = read(&SMALL.replace("\"high-water\"", "\"store/high\"")).unwrap_err();
    assert!(error.to_string().contains("outside"));
}

#[test]
fn an_extension_that_does_not_exist_is_refused() {
    let bad = SMALL.replace("= 28800", "= 28800, extensions = [\"permit-everything\"]");
    assert!(read(&bad).is_err());
}
