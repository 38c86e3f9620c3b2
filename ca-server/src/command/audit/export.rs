//! `ca-server audit export`.

use std::io::Write;

use clap::Args;

use super::EXIT_OK;
use super::remote::Remote;
use crate::audit::{self, Source};
use ca_core::api::AuditQuery;

pub(super) const EXAMPLES: &str = "Examples:\n  ca-server audit export --dir ./ca > log.jsonl\n  \
     ca-server audit export --dir ./ca --from 1000 --until-index 2000\n  \
     ca-server audit export --url https://ca.example --session-file ~/session";

/// Which records.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// First index.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub from: u64,
    /// Index to stop before [default: the end of the log].
    #[arg(long, value_name = "INDEX")]
    pub until_index: Option<u64>,
}

impl Export {
    pub(super) fn stored(&self, source: &mut Source, out: &mut dyn Write) -> anyhow::Result<u8> {
        let checkpoint = source.signed_checkpoint()?;
        let range = self.from..self.until_index.unwrap_or(u64::MAX);
        let mut written = Ok(());
        let mut show = |record| {
            written = line(out, &record);
            written.is_ok()
        };
        audit::export(source.store.as_ref(), &checkpoint, range, &mut show)?;
        written.map(|()| EXIT_OK)
    }

    pub(super) fn remote(&self, remote: &Remote, out: &mut dyn Write) -> anyhow::Result<u8> {
        let mut from = Some(self.from);
        while let Some(next) = from {
            let page = remote.page(&AuditQuery {
                from: Some(next),
                limit: Some(1000),
                ..AuditQuery::default()
            })?;
            for record in page.records {
                if self.until_index.is_some_and(|until| record.index >= until) {
                    return Ok(EXIT_OK);
                }
                line(out, &record)?;
            }
            from = page.next;
        }
        Ok(EXIT_OK)
    }
}

fn line(out: &mut dyn Write, record: &ca_core::api::AuditRecord) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, record).map_err(std::io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}
