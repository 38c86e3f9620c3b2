//! `ca-server audit verify`.

use std::io::{BufRead, BufReader, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Instant;

use ca_core::tlog::note::VerifierKey;
use clap::Args;
use serde_json::json;

use super::{EXIT_DAMAGED, EXIT_OK};
use crate::audit::{self, Report, Source};

pub(super) const EXAMPLES: &str = "Examples:\n  ca-server audit verify --dir ./ca\n  \
     ca-server audit export --dir ./ca > log.jsonl\n  \
     ca-server audit verify --export log.jsonl --log-key 'log.example/2026+1234abcd+AU…'";

/// Longest exported line read: certificate and event as base64, twice over.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What to verify.
#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// Verify exported lines from FILE or, with `-`, from standard input, and nothing else.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// The log's verifier key for --export [default: that of --dir or --config].
    #[arg(long, value_name = "VKEY", requires = "export")]
    pub log_key: Option<String>,
}

impl Verify {
    pub(super) fn stored(
        &self,
        source: &Source,
        json: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        let started = Instant::now();
        let shown = std::io::stderr().is_terminal() && !json;
        let mut percent = u64::MAX;
        let mut progress = |done: u64, all: u64| {
            let now = done.saturating_mul(100) / all.max(1);
            if shown && now != percent {
                percent = now;
                eprint!("\rverifying {done} of {all} records ({now} %)");
            }
        };
        let report = audit::verify(source, &mut progress)?;
        if shown {
            eprint!("\r\x1b[K");
        }
        if json {
            writeln!(out, "{}", as_json(&report))?;
        } else {
            print(&report, started, out)?;
        }
        Ok(exit_code(report.is_clean()))
    }

    /// Lines of an export, each alone. `configured` gives the key unless one was named.
    pub(super) fn exported(
        &self,
        configured: impl FnOnce() -> anyhow::Result<VerifierKey>,
        json: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        let Some(path) = &self.export else {
            anyhow::bail!(
                "verify reads stored bytes, and --url gives none: `audit export --url …` first, \
                 then `audit verify --export FILE --log-key VKEY`"
            );
        };
        let key = match &self.log_key {
            Some(text) => text.parse()?,
            None => configured()?,
        };
        let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file =
                std::fs::File::open(path).map_err(|error| anyhow::anyhow!("{path:?}: {error}"))?;
            Box::new(BufReader::new(file))
        };
        verify_lines(reader, &key, json, out)
    }
}

fn verify_lines(
    mut reader: Box<dyn BufRead>,
    key: &VerifierKey,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    use std::io::Read as _;
    let (mut lines, mut wrong, mut line) = (0u64, 0u64, String::new());
    loop {
        line.clear();
        if (&mut reader).take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
            break;
        }
        lines += 1;
        if let Err(what) = audit::verify_export(line.trim_end(), key) {
            wrong += 1;
            if json {
                writeln!(out, "{}", json!({"line": lines, "error": what}))?;
            } else {
                writeln!(out, "line {lines}: {what}")?;
            }
        }
    }
    // No line is no proof: an empty file must not look like success.
    let ok = wrong == 0 && lines > 0;
    if json {
        writeln!(out, "{}", json!({"ok": ok, "lines": lines, "wrong": wrong}))?;
    } else if lines == 0 {
        writeln!(out, "error: there is no line to verify")?;
    } else if ok {
        writeln!(out, "{lines} records, each proven by itself")?;
    } else {
        writeln!(
            out,
            "error: {wrong} of {lines} lines do not prove what they say"
        )?;
    }
    Ok(exit_code(ok))
}

const fn exit_code(ok: bool) -> u8 {
    if ok { EXIT_OK } else { EXIT_DAMAGED }
}

fn print(report: &Report, started: Instant, out: &mut dyn Write) -> anyhow::Result<()> {
    for check in &report.checks {
        let verdict = if check.holds { "ok" } else { "WRONG" };
        writeln!(out, "{verdict:<6} {:<16} {}", check.name, check.detail)?;
    }
    for finding in &report.findings {
        writeln!(out, "  {finding}")?;
    }
    let more = report.found.saturating_sub(report.findings.len());
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let records = report.records;
    if report.is_clean() {
        writeln!(
            out,
            "{records} records verified in {seconds:.1} s: nothing is wrong"
        )?;
    } else {
        let found = report.found;
        writeln!(
            out,
            "error: {found} wrong in {records} records ({seconds:.1} s)"
        )?;
        writeln!(
            out,
            "hint: keep this store as evidence; put the newest good copy back, or start a new log"
        )?;
    }
    Ok(())
}

fn as_json(report: &Report) -> serde_json::Value {
    let checks = report.checks.iter();
    let checks: Vec<_> = checks
        .map(|c| json!({"name": c.name, "ok": c.holds, "detail": c.detail}))
        .collect();
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    json!({
        "ok": report.is_clean(),
        "records": report.records,
        "certificates": report.certificates,
        "checks": checks,
        "found": report.found,
        "findings": findings,
    })
}
