//! Figures 5 and 6: starting on a long log, and verifying it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::ca::Ca;
use crate::load::{Until, load};
use crate::measure::{children_cpu, process_mebibytes};
use crate::report::{Figure, Target, round};
use crate::support::programs::{command, program};
use crate::support::run::run;
use crate::{Extent, say};

/// Certificates issued before the server is killed, so that its snapshot is behind.
const BEFORE_KILL: u32 = 3000;

/// The CA is stopped, its log filled; afterwards it runs.
pub(crate) fn figures(ca: &mut Ca, extent: &Extent) -> Vec<Figure> {
    say("verifying the long log");
    let verified = verify(ca, extent);
    say("starting on the long log");
    let starts = [
        ("after a clean stop", Ending::Clean),
        ("after kill -9", Ending::Killed),
    ];
    let measured: Vec<Start> = starts.map(|(name, ending)| start(ca, name, &ending)).into();
    let worst = |of: fn(&Start) -> f64| measured.iter().map(of).fold(0.0, f64::max);
    let raw: Value = measured
        .iter()
        .map(|start| (start.name.to_owned(), start.json()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let time = Figure {
        number: 5,
        name: "start-up on the long log",
        unit: "s",
        value: Some(worst(|start| start.seconds)),
        target: Target::AtMost(1.5),
        how: "from starting the process to /readyz saying yes; the worse of a start after a clean \
              stop and one after kill -9 under load",
        raw: json!({ "records": extent.long, "starts": raw }),
    };
    let memory = Figure {
        name: "resident memory after start-up on the long log",
        unit: "MiB",
        value: Some(worst(|start| start.resident)),
        target: Target::AtMost(150.0),
        how: "VmRSS when /readyz says yes; the worse of both starts",
        ..time.clone()
    };
    vec![time, memory, verified]
}

enum Ending {
    Clean,
    Killed,
}

struct Start {
    name: &'static str,
    seconds: f64,
    resident: f64,
    peak: f64,
}

impl Start {
    fn json(&self) -> Value {
        json!({
            "seconds": round(self.seconds),
            "resident_mebibytes": round(self.resident),
            "peak_mebibytes": round(self.peak),
        })
    }
}

/// Starts once and ends as asked, then measures the next start.
fn start(ca: &mut Ca, name: &'static str, ending: &Ending) -> Start {
    match ending {
        // Filling ended with everything written, as a clean stop does.
        Ending::Clean => {}
        Ending::Killed => {
            load(ca, 64, Until::Count(BEFORE_KILL), "before-kill");
            ca.kill();
        }
    }
    let seconds = ca.start().as_secs_f64();
    Start {
        name,
        seconds,
        resident: process_mebibytes(ca.id(), "VmRSS"),
        peak: process_mebibytes(ca.id(), "VmHWM"),
    }
}

fn verify(ca: &Ca, extent: &Extent) -> Figure {
    let mut server = command(&program("ca-server"), &ca.folder);
    server.args(["audit", "verify", "--dir"]).arg(&ca.folder);
    let (begun, cpu) = (Instant::now(), children_cpu());
    let finished = run(server);
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), children_cpu() - cpu);
    let done = finished.succeeded();
    let raw = if done {
        json!({
            "records": extent.long,
            "cpu_seconds": round(cpu),
            "said": finished.stdout.trim(),
        })
    } else {
        json!({ "reason": "not measured", "code": finished.code, "said": finished.stderr.trim() })
    };
    Figure {
        number: 6,
        name: "audit verify of the long log",
        unit: "s",
        value: done.then_some(seconds),
        target: Target::AtMost(6.0),
        how: "ca-server audit verify --dir DIR, whole process, server stopped",
        raw,
    }
}
