//! `ca-server policy prove`: what holds of every question, by proof.
//!
//! A timeout, a failing solver and an invariant that says nothing are failures, never proofs.

mod print;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, PolicySetting, refuse, with_causes};
use crate::policy::{INVARIANTS_NAME, Invariants, PolicySet, duration};
use crate::policy_files::{self, PolicyFilesError};
use crate::prove::{self, ProveError, Prover, Stopper, prove_all};

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy prove --dir ./ca
  ca-server policy prove --dir ./ca root-in-prod-takes-an-approver --timeout 1m
  ca-server policy prove --dir ./ca --against ./edited    (the invariants of now, the policies of then)
  ca-server policy prove --policies ./edited --subset-of ./ca/policies
  ca-server policy prove --dir ./ca --analyse

Needs cvc5 (apt-get install cvc5); the environment variable CVC5 may name another one.

Exit codes: 0 proved, 1 violated or not proved, 2 something does not load or cvc5 is missing,
130 stopped.";

/// A proof was stopped by a signal, as a shell says it.
const EXIT_STOPPED: u8 = 130;

/// What is proved: without further words the invariants in the folder `invariants`.
#[derive(Clone, Debug, Args)]
pub struct Prove {
    /// Ids of the invariants [default: all].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// How long cvc5 may take for one invariant and one action.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
    timeout: Duration,
    /// Prove that these policies permit nothing that those in DIR do not.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["names", "against", "analyse"])]
    subset_of: Option<PathBuf>,
    /// Prove the invariants about the policies in DIR.
    #[arg(long, value_name = "DIR", conflicts_with = "analyse")]
    against: Option<PathBuf>,
    /// Find policies that never apply, that others overrule, that change nothing.
    #[arg(long, conflicts_with = "names")]
    analyse: bool,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let read = duration(text)?;
    if read.is_zero() || read > Duration::from_secs(86_400) {
        return Err("from 1s to 24h".to_owned());
    }
    Ok(read)
}

pub(super) fn run(
    asked: &Prove,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let loaded = match Loaded::new(asked, setting) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(refuse(&error, json, out)?),
    };
    let task = match loaded.task(asked, setting) {
        Ok(task) => task,
        Err((code, message)) => {
            failed(&message, json, out)?;
            return Ok(code);
        }
    };
    let prover = match Prover::find(asked.timeout) {
        Ok((prover, stopper)) => {
            stop_on_signal(stopper)?;
            prover
        }
        Err(error) => {
            failed(&with_causes(&error), json, out)?;
            return Ok(EXIT_USAGE);
        }
    };
    match task.run(&prover, json, out) {
        Ok(code) => Ok(code?),
        Err(error) => {
            failed(&with_causes(&error), json, out)?;
            let stopped = matches!(error, ProveError::Stopped);
            Ok(if stopped { EXIT_STOPPED } else { EXIT_FAILED })
        }
    }
}

fn failed(message: &str, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        writeln!(out, "{}", json!({"ok": false, "error": message}))
    } else {
        writeln!(out, "error: {message}")
    }
}

struct Loaded {
    policies: PolicySet,
    invariants: Invariants,
    /// The set in the folder that was named besides.
    other: Option<PolicySet>,
}

impl Loaded {
    fn new(asked: &Prove, setting: &PolicySetting) -> Result<Self, PolicyFilesError> {
        let environments = setting.environments();
        let own = setting.load()?;
        let named = asked.subset_of.as_ref().or(asked.against.as_ref());
        let other = named.map(|dir| policy_files::load(dir, environments.as_ref()));
        let other = other.transpose()?;
        let about = asked.against.as_ref().and(other.as_ref()).unwrap_or(&own);
        let dir = &setting.policy_dir;
        Ok(Self {
            invariants: policy_files::load_invariants(dir, about, environments.as_ref())?,
            policies: own,
            other,
        })
    }

    /// What to do; an exit code and why where there is nothing to do.
    fn task(self, asked: &Prove, setting: &PolicySetting) -> Result<Task, (u8, String)> {
        if asked.analyse {
            return Ok(Task::Analyse(Box::new(self.policies)));
        }
        if asked.subset_of.is_some() {
            let other = self.other.unwrap_or_else(|| self.policies.clone());
            return Ok(Task::Subset(Box::new((self.policies, other))));
        }
        let folder = setting.policy_dir.join(INVARIANTS_NAME);
        if self.invariants.is_empty() {
            // Nothing to prove is no proof: a mistyped folder must not look like success.
            let hint = "hint: write NAME.never.cedar or NAME.always.cedar there";
            let message = format!("{} holds no invariant\n{hint}", folder.display());
            return Err((EXIT_FAILED, message));
        }
        let ids: Vec<String> = self.invariants.iter().map(|one| one.id.clone()).collect();
        let invariants = if asked.names.is_empty() {
            self.invariants
        } else {
            let named = self.invariants.named(&asked.names);
            named.map_err(|unknown| {
                let (unknown, ids) = (unknown.join(", "), ids.join(", "));
                let message = format!("there is no invariant {unknown} (there are: {ids})");
                (EXIT_USAGE, message)
            })?
        };
        Ok(Task::Invariants(
            Box::new(self.other.unwrap_or(self.policies)),
            invariants,
        ))
    }
}

enum Task {
    Analyse(Box<PolicySet>),
    Invariants(Box<PolicySet>, Invariants),
    Subset(Box<(PolicySet, PolicySet)>),
}

impl Task {
    fn run(
        &self,
        prover: &Prover,
        json: bool,
        out: &mut dyn Write,
    ) -> Result<io::Result<u8>, ProveError> {
        let (ok, document, text): (bool, Value, String) = match self {
            Self::Analyse(policies) => {
                let findings = prove::analyse(policies, prover)?;
                let wrong = |one: &prove::Finding| {
                    one.open.is_some() || one.flaw.as_ref().is_some_and(prove::Flaw::is_error)
                };
                let ok = !findings.iter().any(wrong);
                let text = print::findings(policies, &findings);
                (ok, json!({"ok": ok, "policies": findings}), text)
            }
            Self::Invariants(policies, invariants) => {
                let proofs = prove_all(policies, invariants, prover)?;
                let ok = proofs.iter().all(prove::Proof::holds);
                let text = print::proofs(policies, &proofs);
                (ok, json!({"ok": ok, "invariants": proofs}), text)
            }
            Self::Subset(sets) => {
                let (policies, other) = sets.as_ref();
                let found = prove::subset(policies, other, prover)?;
                let ok = found.iter().all(prove::Excess::is_none);
                let text = print::excess(policies, &found);
                (ok, json!({"ok": ok, "actions": found}), text)
            }
        };
        let written = if json {
            writeln!(out, "{document}")
        } else {
            out.write_all(text.as_bytes())
        };
        Ok(written.map(|()| if ok { EXIT_OK } else { EXIT_FAILED }))
    }
}

/// Stops the proofs, and with them the solvers, when this process is told to end. Told again it
/// ends at once.
fn stop_on_signal(stopper: Stopper) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Handlers first: a signal after this call is not lost.
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::Builder::new().spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if stopper.stop() {
                    std::process::exit(EXIT_STOPPED.into());
                }
            }
        });
    })?;
    Ok(())
}
