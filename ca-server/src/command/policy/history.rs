//! `ca-server policy history`: every set that came into force, and its texts as they were then.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ca_core::digest::Digest;
use ca_core::event::PolicyCheck;
use clap::Args;
use serde_json::json;

use super::{EXIT_OK, PolicySetting, hex};
use crate::policy_record::{self, Load};
use crate::store::Store;

pub(super) const EXAMPLES: &str = "Examples:\n  ca-server policy history --dir ./ca\n  \
     ca-server policy history --dir ./ca 5b3a02e5 --write ./then\n  \
     ca-server policy replay --dir ./ca --against ./then";

/// List the sets that came into force, or write one of them out as it was.
#[derive(Clone, Debug, Args)]
pub struct History {
    /// Digest of one set: at least 8 of its hexadecimal digits, or as records spell it.
    digest: Option<String>,
    /// Folder to write that set to. It must not exist.
    #[arg(long, value_name = "FOLDER", requires = "digest")]
    write: Option<PathBuf>,
}

/// Whether `load` is the set that `wanted` names.
fn is(load: &Load, wanted: &str) -> bool {
    let short = wanted.len() >= 8 && digest(load).starts_with(&wanted.to_lowercase());
    short || load.loaded.policy_digest.to_string() == wanted
}

fn digest(load: &Load) -> String {
    hex(*load.loaded.policy_digest.as_bytes())
}

/// Runs it; the value is the exit code.
pub(super) fn run(
    asked: &History,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let source = setting.log()?;
    let store = source.store.as_ref();
    let mut loads = policy_record::loads(store)?;
    if let Some(wanted) = &asked.digest {
        loads.retain(|load| is(load, wanted));
        let digest = loads.first().map(|load| load.loaded.policy_digest);
        let digest = digest.with_context(|| {
            format!("no set {wanted:?} came into force; `ca-server policy history` lists them")
        })?;
        let other = loads.iter().any(|load| load.loaded.policy_digest != digest);
        anyhow::ensure!(!other, "{wanted:?} is the beginning of several digests");
        if let Some(folder) = &asked.write {
            write(store, digest, folder)?;
            if !json {
                writeln!(out, "written to {}", folder.display())?;
            }
        }
    }
    for load in &loads {
        show(load, json, out)?;
    }
    Ok(EXIT_OK)
}

fn show(load: &Load, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let (index, loaded) = (load.index, &load.loaded);
    if json {
        let document = json!({
            "index": index, "time": load.time, "digest": digest(load),
            "policies": loaded.policies, "passed": loaded.passed, "failed": loaded.failed,
            "accepted": loaded.accepted,
        });
        return writeln!(out, "{document}");
    }
    let (time, policies, digest) = (load.time, loaded.policies, digest(load));
    write!(out, "{time}  record {index}  {policies} policies  {digest}")?;
    let names = |checks: &std::collections::BTreeSet<PolicyCheck>| {
        let names: Vec<&str> = checks.iter().map(|check| check.as_str()).collect();
        names.join(", ")
    };
    if !loaded.passed.is_empty() {
        write!(out, "  passed {}", names(&loaded.passed))?;
    }
    if let Some(why) = &loaded.accepted {
        let failed = names(&loaded.failed);
        write!(out, "  ACCEPTED ALTHOUGH IT FAILED {failed}: {why:?}")?;
    }
    writeln!(out)
}

/// Writes the texts of a set into a new folder.
fn write(store: &dyn Store, digest: Digest, folder: &Path) -> anyhow::Result<()> {
    let texts = policy_record::texts(store, digest)?.context(
        "the log does not hold the texts of this set: it was written by an older version, is larger \
         than a mebibyte, or was partly erased",
    )?;
    std::fs::create_dir(folder).with_context(|| format!("cannot make the folder {folder:?}"))?;
    for text in texts {
        // A name is a file name of the policy folder; nothing of it may lead out of this one.
        let plain = Path::new(&text.name).file_name() == Some(text.name.as_ref());
        anyhow::ensure!(plain, "{:?} is no plain file name", text.name);
        let path = folder.join(&text.name);
        std::fs::write(&path, &text.text).with_context(|| format!("cannot write {path:?}"))?;
    }
    Ok(())
}
