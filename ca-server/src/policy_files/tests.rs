//! Claims about folders on disk: what is refused, kept and put in force.

use super::*;
use crate::policy::EXAMPLES;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["cases", "invariants"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for (name, text) in EXAMPLES {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn environments() -> BTreeSet<Environment> {
    ["prod", "staging"].map(|name| name.parse().unwrap()).into()
}

#[test]
fn a_policy_in_a_sub_folder_is_an_error_that_names_it_and_hidden_ones_are_not() {
    let dir = folder();
    for sub in [".git", "team/a"] {
        std::fs::create_dir_all(dir.path().join(sub)).unwrap();
    }
    std::fs::write(dir.path().join(".git/x.cedar"), "").unwrap();
    std::fs::write(dir.path().join("cases/x.cedar"), "").unwrap();
    std::fs::write(dir.path().join("team/notes.txt"), "").unwrap();
    load(dir.path(), None).unwrap();
    std::fs::write(dir.path().join("team/a/x.cedar"), "").unwrap();
    let error = load(dir.path(), None).unwrap_err().to_string();
    assert!(error.contains("team/a/x.cedar"), "{error}");
}

#[test]
fn a_reload_that_names_an_unknown_environment_is_refused() {
    let dir = folder();
    let files = PolicyFiles::open(dir.path(), environments()).unwrap();
    let path = dir.path().join("routine.cedar");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"staging\"", "\"stagging\"")).unwrap();
    let Reload::Kept(error) = files.reload(admit_all) else {
        panic!("a misspelt environment was put in force");
    };
    let expected = "routine.cedar:12:28: there is no environment \"stagging\" (there are: prod, \
                    staging)";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn a_table_of_requirements_is_read_where_there_is_one_and_missed_where_a_policy_asks() {
    let dir = folder();
    let files = PolicyFiles::open(dir.path(), environments()).unwrap();
    let path = dir.path().join(REQUIREMENTS_NAME);
    let table = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, table.replace("1 of approver", "2 of approver")).unwrap();
    assert!(matches!(files.reload(admit_all), Reload::Swapped(_)));
    let named = |text: &str| {
        let Reload::Kept(error) = files.reload(admit_all) else {
            panic!("a wrong table was put in force");
        };
        assert!(error.to_string().starts_with(text), "{error}");
    };
    std::fs::write(&path, "[requirements]\nprod-root = [[\"0 of approver\"]]\n").unwrap();
    named("requirements.toml:2:15: 0 people");
    std::fs::remove_file(&path).unwrap();
    named("contractors.cedar:64:31: there is no requirement \"contractor-in-prod\"");
    std::fs::remove_file(dir.path().join("contractors.cedar")).unwrap();
    named("sensitive.cedar:27:31: there is no requirement \"prod-root\"");
    std::fs::remove_file(dir.path().join("sensitive.cedar")).unwrap();
    load(dir.path(), None).unwrap();
}

#[test]
fn the_examples_written_to_a_folder_load_with_their_cases() {
    let dir = folder();
    let policies = load(dir.path(), None).unwrap();
    let cases = load_cases(&dir.path().join("cases"), &policies).unwrap();
    assert_eq!(cases.len(), 8);
}

#[test]
fn a_reload_that_fails_keeps_the_old_set_and_says_where() {
    let dir = folder();
    let files = PolicyFiles::open(dir.path(), environments()).unwrap();
    let before = files.current().digest();
    std::fs::write(dir.path().join("routine.cedar"), "permit (principal,").unwrap();
    let Reload::Kept(error) = files.reload(admit_all) else {
        panic!("a broken file was put in force");
    };
    assert!(error.to_string().contains("routine.cedar:1:"), "{error}");
    assert_eq!(files.current().digest(), before);
}

#[test]
fn a_file_emptied_by_a_half_done_write_does_not_lift_its_policies() {
    let dir = folder();
    let files = PolicyFiles::open(dir.path(), environments()).unwrap();
    std::fs::write(dir.path().join("sensitive.cedar"), "").unwrap();
    assert!(matches!(files.reload(admit_all), Reload::Kept(_)));
}

#[test]
fn a_folder_without_policies_or_without_schema_is_refused() {
    let dir = folder();
    let policies = EXAMPLES.iter().map(|(name, _)| *name);
    for name in policies.filter(|name| name.ends_with(".cedar")) {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(matches!(
        load(dir.path(), None),
        Err(PolicyFilesError::Empty { .. })
    ));
    std::fs::remove_file(dir.path().join(SCHEMA_NAME)).unwrap();
    assert!(matches!(
        load(dir.path(), None),
        Err(PolicyFilesError::Read { .. })
    ));
}

#[test]
fn a_file_over_the_limit_is_refused_unread() {
    let dir = folder();
    let length = usize::try_from(FILE_BYTES_MAX).unwrap() + 1;
    std::fs::write(dir.path().join("z.cedar"), " ".repeat(length)).unwrap();
    assert!(matches!(
        load(dir.path(), None),
        Err(PolicyFilesError::TooLarge { .. })
    ));
}

#[test]
fn a_change_in_the_folder_is_put_in_force_without_being_asked() {
    let dir = folder();
    let files = PolicyFiles::open(dir.path(), environments()).unwrap();
    let before = files.current().digest();
    let (told, reports) = mpsc::channel();
    let _watch = files
        .watch(admit_all, move |reload| {
            told.send(reload).unwrap_or_default()
        })
        .unwrap();
    std::fs::remove_file(dir.path().join("break_glass.cedar")).unwrap();
    let report = reports.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(report, Reload::Swapped(_)), "{report:?}");
    assert_ne!(files.current().digest(), before);
    std::fs::write(dir.path().join("routine.cedar"), "nonsense").unwrap();
    let report = reports.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(report, Reload::Kept(_)), "{report:?}");
    let (_, text) = EXAMPLES[1];
    std::fs::write(dir.path().join("routine.cedar"), text).unwrap();
    let report = reports.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(report, Reload::Repaired), "{report:?}");
}

#[test]
fn a_set_that_is_not_admitted_never_comes_into_force_and_is_asked_about_again() {
    let dir = folder();
    let files = PolicyFiles::open(dir.path(), environments()).unwrap();
    let before = files.current().digest();
    std::fs::remove_file(dir.path().join("break_glass.cedar")).unwrap();
    let seen_inside = |set: &PolicySet| {
        assert_ne!(set.digest(), before);
        assert_eq!(files.current().digest(), before);
        anyhow::bail!("not today")
    };
    for _ in 0..2 {
        let Reload::Kept(error) = files.reload(seen_inside) else {
            panic!("a set was put in force that was not admitted");
        };
        assert_eq!(error.to_string(), "not today");
        assert_eq!(files.current().digest(), before);
    }
    assert!(matches!(files.reload(admit_all), Reload::Swapped(_)));
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a check")]
fn admit_all(_: &PolicySet) -> anyhow::Result<()> {
    Ok(())
}
