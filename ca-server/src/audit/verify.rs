//! The whole log from its stored bytes: every leaf, opening, certificate, tile, the root, and what
//! was said about it by head, checkpoint, high-water mark and snapshot.
//!
//! Threads read and check runs of records; this one puts the runs in order. Memory is flat.

use std::collections::HashSet;
use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::event::Event;
use ca_core::name::Environment;
use ca_core::time::Timestamp;
use ca_core::tlog::hash::{EMPTY_ROOT, Hash};

use super::tree::{Growing, WIDTH};
use super::worker::{self, Folded, RUN, Run, check_tile};
use crate::audit::Source;
use crate::state::State;
use crate::store::{Store, StoreError, TILE_WIDTH};

mod claims;

use claims::Claims;

/// Findings kept and printed; the others are counted.
const FINDINGS_MAX: usize = 100;

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A record, by index.
    Record(u64),
    /// A full tile, by level and index.
    Tile(u8, u64),
    /// The log as a whole.
    Log,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub what: String,
}

impl Finding {
    pub(super) fn new(place: Place, what: String) -> Self {
        Self { place, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Record(index) => write!(f, "record {index}: {}", self.what),
            Place::Tile(level, index) => write!(f, "tile {level}/{index}: {}", self.what),
            Place::Log => f.write_str(&self.what),
        }
    }
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// In words.
    pub detail: String,
}

/// What verifying found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Records looked at.
    pub records: u64,
    /// Certificates among them.
    pub certificates: u64,
    /// Each check with its result.
    pub checks: Vec<Check>,
    /// What is wrong, the first hundred.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub found: usize,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.found == 0
    }

    fn add(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> bool {
        let before = self.found;
        findings.into_iter().for_each(|finding| self.add(finding));
        self.found == before
    }
}

/// Told how many of how many records are done.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Verifies everything up to the store's head.
///
/// # Errors
///
/// [`StoreError`] only when there is no readable head; everything else is a finding.
pub fn verify(source: &Source, progress: Progress<'_>) -> Result<Report, StoreError> {
    let head = source.store.head()?;
    let head = head.ok_or_else(|| StoreError::Damaged("there is no log".to_owned()))?;
    let mut report = Report::default();
    let claims = Claims::read(source, &head, &mut report)?;
    let mut walk = Walk {
        store: source.store.as_ref(),
        verifier: source.verifier.to_string(),
        epoch: head.epoch,
        claims,
        report,
        growing: Growing::default(),
        size: 0,
        time: Timestamp::default(),
        state: Some(State::default()),
        authorities: HashSet::new(),
        whole: true,
        sound: [true; 4],
    };
    walk.run(head.size, progress);
    Ok(walk.finish(head.size))
}

/// Which of the checks over all records fail.
#[derive(Clone, Copy)]
enum Part {
    Records,
    Times,
    Certificates,
    Tiles,
}

struct Walk<'a> {
    store: &'a dyn Store,
    verifier: String,
    epoch: u32,
    claims: Claims,
    report: Report,
    growing: Growing,
    /// Records walked past.
    size: u64,
    time: Timestamp,
    /// None once a record could not be folded.
    state: Option<State>,
    authorities: HashSet<(Environment, bool, Vec<u8>)>,
    /// Whether every leaf so far was read.
    whole: bool,
    sound: [bool; 4],
}

impl Walk<'_> {
    /// Thread n checks runs n, n + threads, …; each may be one run ahead.
    fn run(&mut self, size: u64, progress: Progress<'_>) {
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        let (store, epoch) = (self.store, self.epoch);
        thread::scope(|scope| {
            let mut results: Vec<Receiver<Run>> = Vec::new();
            for nth in 0..threads {
                let (tell, told) = sync_channel(1);
                results.push(told);
                scope.spawn(move || {
                    for start in starts(size).skip(nth).step_by(threads) {
                        let run = worker::check(store, epoch, start, size.min(start + RUN));
                        if tell.send(run).is_err() {
                            return;
                        }
                    }
                });
            }
            for (_, told) in starts(size).zip(results.iter().cycle()) {
                let Ok(run) = told.recv() else {
                    let what = "a thread that checks records failed".to_owned();
                    self.report.add(Finding::new(Place::Log, what));
                    return;
                };
                self.take(run);
                progress(self.size, size);
            }
        });
    }

    fn take(&mut self, run: Run) {
        for finding in run.findings {
            self.fail(
                match finding.place {
                    Place::Tile(..) => Part::Tiles,
                    _ => Part::Records,
                },
                finding,
            );
        }
        match &run.leaves {
            Some(leaves) if self.whole => self.grow(run.start, leaves, &run.roots),
            _ => self.whole = false,
        }
        for (index, folded) in (run.start..).zip(run.events) {
            match folded {
                Some(folded) => self.fold(index, folded),
                None => self.state = None,
            }
        }
    }

    fn fail(&mut self, part: Part, finding: Finding) {
        let at = match part {
            Part::Records => 0,
            Part::Times => 1,
            Part::Certificates => 2,
            Part::Tiles => 3,
        };
        if let Some(sound) = self.sound.get_mut(at) {
            *sound = false;
        }
        self.report.add(finding);
    }

    /// Appends leaves, comparing with every claim about the tree on the way.
    fn grow(&mut self, start: u64, leaves: &[Hash], roots: &[Hash]) {
        let mut roots = roots.iter();
        for (tile, hashes) in (start / TILE_WIDTH..).zip(leaves.chunks(WIDTH)) {
            let first = tile * TILE_WIDTH;
            for (size, count) in (first + 1..).zip(1..hashes.len().min(WIDTH - 1) + 1) {
                if self.claims.is_about(size) {
                    let root = self.growing.root(hashes.get(..count).unwrap_or_default());
                    self.claims.compare(size, root);
                }
            }
            let Some(root) = roots.next() else { continue };
            for full in self.growing.push(*root) {
                let place = (full.level, full.index);
                if let Some(finding) = check_tile(self.store, place, &full.hashes) {
                    self.fail(Part::Tiles, finding);
                }
            }
            if self.claims.is_about(first + TILE_WIDTH) {
                let root = self.growing.root(&[]);
                self.claims.compare(first + TILE_WIDTH, root);
            }
        }
    }

    fn fold(&mut self, index: u64, folded: Folded) {
        self.size = index + 1;
        let Folded {
            time,
            event,
            authority,
        } = folded;
        let at = Place::Record(index);
        if time < self.time {
            let what = format!("its time {time} is before that of the record before it");
            self.fail(Part::Times, Finding::new(at, what));
        }
        self.time = time;
        if let Some(what) = self.misplaced(index, &event) {
            self.fail(Part::Records, Finding::new(at, what.to_owned()));
        }
        match (&event, authority) {
            (Event::CaKeyAdded(key), _) => match key.public_key.parse::<AuthorityKey>() {
                Ok(public) => {
                    let blob = public.blob().to_vec();
                    let known = (key.environment.clone(), key.hosts, blob);
                    self.authorities.insert(known);
                }
                Err(error) => {
                    let what = format!("its CA key does not parse: {error}");
                    self.fail(Part::Records, Finding::new(at, what));
                }
            },
            (Event::CertificateIssued(_) | Event::HostCertificateIssued(_), Some(blob)) => {
                self.report.certificates += 1;
                let hosts = matches!(event, Event::HostCertificateIssued(_));
                let known = event
                    .environment()
                    .map(|environment| (environment.clone(), hosts, blob));
                if !known.is_some_and(|known| self.authorities.contains(&known)) {
                    let what = "the log names no such CA key for its environment".to_owned();
                    self.fail(Part::Certificates, Finding::new(at, what));
                }
            }
            _ => {}
        }
        if let Some(state) = &mut self.state {
            state.apply(time, &event);
            self.claims.compare_state(state);
        }
    }

    /// What is wrong with a creation in another place, or of another log.
    fn misplaced(&self, index: u64, event: &Event) -> Option<&'static str> {
        match event {
            Event::LogCreated(_) if index > 0 => Some("a log is created once, at index 0"),
            Event::LogCreated(log) if log.log_key != self.verifier || log.epoch != self.epoch => {
                Some("it created another log: its key or epoch is not this log's")
            }
            Event::LogCreated(_) => None,
            _ if index == 0 => Some("the first record is not the creation of the log"),
            _ => None,
        }
    }

    fn finish(mut self, size: u64) -> Report {
        self.report.records = size;
        let whole = self.whole;
        let mut checks = Vec::new();
        let texts = [
            ("records", format!("{size} leaves and openings")),
            ("times", format!("never decrease, newest {}", self.time)),
            (
                "certificates",
                format!("{}, each by a CA key of the log", self.report.certificates),
            ),
            (
                "tiles",
                format!("{} full tiles of leaves and those above", size / TILE_WIDTH),
            ),
        ];
        for ((name, detail), sound) in texts.into_iter().zip(self.sound) {
            let detail = if sound {
                detail
            } else {
                "damaged, see below".to_owned()
            };
            checks.push(Check {
                name,
                holds: sound,
                detail,
            });
        }
        for claim in self.claims.into_inner() {
            checks.push(claim.check(whole, &mut self.report));
        }
        self.report.checks = checks;
        self.report
    }
}

fn starts(size: u64) -> impl Iterator<Item = u64> {
    (0..size.div_ceil(RUN)).map(|run| run * RUN)
}

/// The root of nothing is known without walking.
fn empty(size: u64) -> Option<Hash> {
    (size == 0).then_some(EMPTY_ROOT)
}
