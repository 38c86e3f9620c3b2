//! cvc5 as a process: started, questioned, ended. Knows nothing of policies.
//!
//! An answer is believed only from a program that calls itself cvc5 and answers two questions with
//! known answers. Whatever else happens is an error in words, never a `sat` or `unsat`. The process
//! ends with its owner: it is killed when dropped, ends at the end of its input, and after the time
//! limit by itself, so that not even a killed authority leaves one behind for long.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cedar_policy_symcc::SmtLibScript as _;
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, Solver, SolverError};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
    BufWriter,
};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Longest line and longest model read, in bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// How much of what it complains about is shown, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 2000;
/// How much later than its questioner the solver gives up by itself.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process that is done may take to say why it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running cvc5.
#[derive(Debug)]
pub(super) struct Cvc5 {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    complaints: ChildStderr,
}

/// The program to run: what `$CVC5` names, else `cvc5` in `$PATH`.
pub(super) fn program() -> PathBuf {
    let named = std::env::var_os("CVC5").filter(|path| !path.is_empty());
    named.map_or_else(|| PathBuf::from("cvc5"), PathBuf::from)
}

impl Cvc5 {
    /// Starts `program`, which is to work for `limit` at most on each question. What it is, is found
    /// out by [`Cvc5::introduce`].
    ///
    /// # Errors
    ///
    /// When it can not be started.
    pub(super) fn start(program: &Path, limit: Duration) -> io::Result<Self> {
        let milliseconds = limit.saturating_add(GRACE).as_millis();
        let mut child = Command::new(program)
            .args(["--lang", "smt", &format!("--tlimit-per={milliseconds}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(complaints)) = pipes else {
            return Err(io::Error::other("it has no pipes"));
        };
        Ok(Self {
            child,
            input: BufWriter::new(input),
            output: BufReader::new(output),
            complaints,
        })
    }

    /// Has it prove that it is cvc5: asks for the name, and one question for each answer.
    ///
    /// # Errors
    ///
    /// What it did instead; it is to be ended then.
    pub(super) async fn introduce(&mut self) -> Result<(), SolverError> {
        self.send(b"(get-info :name)\n").await?;
        let name = self.line().await?;
        if !name.contains("\"cvc5\"") {
            let message = format!("asked for its name, it says {:?}", shown(&name));
            return Err(SolverError::UnrecognizedSolverOutput(message));
        }
        let possible = self.bounded("(> x 1)").await?;
        let impossible = self.bounded("(and (> x 1) (< x 1))").await?;
        if (possible, impossible) == (Decision::Sat, Decision::Unsat) {
            return Ok(());
        }
        let message = "it answers a simple question wrongly".to_owned();
        Err(SolverError::Solver(message))
    }

    async fn bounded(&mut self, x: &str) -> Result<Decision, SolverError> {
        let script = format!("(reset)\n(set-logic ALL)\n(declare-const x Int)\n(assert {x})\n");
        self.send(script.as_bytes()).await?;
        self.check_sat().await
    }

    /// Kills the process and waits for its end.
    pub(super) async fn end(&mut self) {
        // Fails only for a process that has ended and been waited for.
        self.child.kill().await.unwrap_or_default();
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), SolverError> {
        let sent = async {
            self.input.write_all(bytes).await?;
            self.input.flush().await
        };
        match sent.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// One line, without its end. The end of its output is an error.
    async fn line(&mut self) -> Result<String, SolverError> {
        let mut bytes = Vec::new();
        let mut bounded = (&mut self.output).take(ANSWER_BYTES_MAX);
        let length = bounded.read_until(b'\n', &mut bytes).await?;
        if length == 0 {
            return Err(self.ended().await);
        }
        if bytes.last() != Some(&b'\n') {
            let message = "a line without end".to_owned();
            return Err(SolverError::UnrecognizedSolverOutput(message));
        }
        let line = String::from_utf8_lossy(&bytes);
        Ok(line.trim_end().to_owned())
    }

    /// Why the process talks no more.
    pub(super) async fn ended(&mut self) -> SolverError {
        let complaint = last_words(&mut self.complaints).await;
        let status = match tokio::time::timeout(LAST_WORDS, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            _ => "still running, with its output closed".to_owned(),
        };
        self.end().await;
        let complaint = shown(&complaint);
        let colon = if complaint.is_empty() { "" } else { ": " };
        SolverError::Solver(format!("it ended early ({status}){colon}{complaint}"))
    }
}

/// What is there to be read now.
async fn last_words(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut bounded = from.take(COMPLAINT_BYTES_MAX);
    let reading = tokio::time::timeout(LAST_WORDS, bounded.read_to_end(&mut bytes));
    // Too slow or unreadable: what was read is shown.
    drop(reading.await);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first line, at most so long that it fits one of a terminal.
fn shown(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().take(120).collect()
}

impl Solver for Cvc5 {
    fn smtlib_input(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.input
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        let set = self.smtlib_input().set_option("produce-models", "true");
        Ok(set.await?)
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.send(b"(check-sat)\n").await?;
        match self.line().await?.as_str() {
            "sat" => Ok(Decision::Sat),
            "unsat" => Ok(Decision::Unsat),
            "unknown" => Ok(Decision::Unknown),
            "cvc5 interrupted by timeout." => Ok(Decision::Unknown),
            other => Err(SolverError::UnrecognizedSolverOutput(shown(other))),
        }
    }

    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        match self.check_sat().await? {
            Decision::Unsat => return Ok(DecisionWithModel::Unsat),
            Decision::Unknown => return Ok(DecisionWithModel::Unknown),
            Decision::Sat => {}
        }
        self.send(b"(get-model)\n").await?;
        let mut model = self.line().await?;
        if model != "(" {
            return Err(SolverError::UnrecognizedSolverOutput(shown(&model)));
        }
        loop {
            let line = self.line().await?;
            model.push('\n');
            model.push_str(&line);
            if line == ")" {
                model.push('\n');
                return Ok(DecisionWithModel::Sat { model });
            }
            if u64::try_from(model.len()).unwrap_or(u64::MAX) > ANSWER_BYTES_MAX {
                let message = "a model without end".to_owned();
                return Err(SolverError::UnrecognizedSolverOutput(message));
            }
        }
    }
}
