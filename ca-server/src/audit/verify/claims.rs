//! What was said about the log, to be compared with what its records give.

use ca_core::tlog::checkpoint::Checkpoint;
use ca_core::tlog::hash::Hash;
use subtle::ConstantTimeEq as _;

use super::{Check, Finding, Place, Report, empty};
use crate::audit::Source;
use crate::state::{Snapshot, State};
use crate::store::{Head, StoreError};

/// All claims.
#[derive(Debug)]
pub(super) struct Claims {
    trees: Vec<Claim>,
    state: Option<(State, bool)>,
}

/// Somebody said that the tree of this size has this root.
#[derive(Debug)]
pub(super) struct Claim {
    name: &'static str,
    size: u64,
    root: Hash,
    /// The root that the records give, when the walk came past.
    found: Option<Hash>,
    /// Wrong before anything was compared.
    wrong: Option<String>,
    /// What else was checked about it.
    note: &'static str,
    /// Of a snapshot: whether the state is the same, when it was compared.
    state: Option<bool>,
}

impl Claims {
    pub(super) fn read(
        source: &Source,
        head: &Head,
        report: &mut Report,
    ) -> Result<Self, StoreError> {
        let mut claims = Self {
            trees: Vec::new(),
            state: None,
        };
        let note = match &source.key {
            Some(key) if key.made(head) => Ok("made by the log key"),
            Some(_) => Err("it was not made by the log key".to_owned()),
            None => Ok("its maker was not checked: no log key here"),
        };
        claims.add("head", (head.size, head.root), note);
        if let Some(note) = &source.checkpoint {
            match Checkpoint::open(note, &source.verifier) {
                Ok(checkpoint) => {
                    let tree = (checkpoint.size(), checkpoint.root());
                    claims.add("checkpoint", tree, Ok("signed by the log key"));
                }
                Err(error) => {
                    let what = format!("checkpoint: {error}");
                    report.add(Finding::new(Place::Log, what));
                }
            }
        }
        if let Some(mark) = source.mark {
            let other = mark.epoch != head.epoch;
            let note = if other {
                Err(format!(
                    "it is of epoch {}, the store of {}",
                    mark.epoch, head.epoch
                ))
            } else {
                Ok("a prefix of the log")
            };
            claims.add("high-water mark", (mark.size, mark.root), note);
        }
        claims.read_snapshot(source)?;
        for claim in &mut claims.trees {
            claim.found = empty(claim.size);
        }
        Ok(claims)
    }

    fn add(&mut self, name: &'static str, tree: (u64, Hash), note: Result<&'static str, String>) {
        let (note, wrong) = match note {
            Ok(note) => (note, None),
            Err(wrong) => ("", Some(wrong)),
        };
        self.trees.push(Claim {
            name,
            size: tree.0,
            root: tree.1,
            found: None,
            wrong,
            note,
            state: None,
        });
    }

    /// A snapshot whose MAC is wrong is still compared: it is only a cache, but it should be right.
    fn read_snapshot(&mut self, source: &Source) -> Result<(), StoreError> {
        let Some(sealed) = source.store.snapshot()? else {
            return Ok(());
        };
        let parsed = sealed
            .split_first_chunk::<32>()
            .and_then(|(mac, bytes)| Some((mac, bytes, Snapshot::from_bytes(bytes).ok()?)));
        let Some((mac, bytes, (state, root))) = parsed else {
            let wrong = "it does not parse (a start ignores it and replays the log)";
            self.add(
                "snapshot",
                (0, ca_core::tlog::hash::EMPTY_ROOT),
                Err(wrong.to_owned()),
            );
            return Ok(());
        };
        let note = match &source.key {
            Some(key) if !bool::from(key.snapshot_mac(bytes).ct_eq(mac)) => {
                Err("it was not made by the log key (a start ignores it)".to_owned())
            }
            _ => Ok("equals a replay"),
        };
        self.add("snapshot", (state.size(), root), note);
        self.state = Some((state, false));
        Ok(())
    }

    pub(super) fn is_about(&self, size: u64) -> bool {
        self.trees.iter().any(|claim| claim.size == size)
    }

    pub(super) fn compare(&mut self, size: u64, root: Option<Hash>) {
        for claim in self.trees.iter_mut().filter(|claim| claim.size == size) {
            claim.found = root;
        }
    }

    pub(super) fn compare_state(&mut self, replayed: &State) {
        if let Some((state, same)) = &mut self.state
            && state.size() == replayed.size()
        {
            *same = state == replayed;
            let same = *same;
            let snapshot = self.trees.iter_mut().filter(|c| c.name == "snapshot");
            snapshot.for_each(|claim| claim.state = Some(same));
        }
    }

    pub(super) fn into_inner(self) -> Vec<Claim> {
        self.trees
    }
}

impl Claim {
    pub(super) fn check(self, whole: bool, report: &mut Report) -> Check {
        let Self {
            name, size, root, ..
        } = self;
        let wrong = match (self.wrong, self.found) {
            (Some(wrong), _) => Some(wrong),
            (None, Some(found)) if found == root => None,
            (None, Some(found)) => Some(format!("it says root {root}, the records give {found}")),
            (None, None) if whole => Some(format!("it knows {size} records, the log has fewer")),
            (None, None) => Some("not comparable: records cannot be read".to_owned()),
        };
        let wrong = wrong.or_else(|| match (name, self.state) {
            ("snapshot", Some(false)) => Some("its state is not that of a replay".to_owned()),
            ("snapshot", None) if size > 0 => Some("no replay to compare with".to_owned()),
            _ => None,
        });
        let detail = match &wrong {
            None => format!("{size} records, root {root}, {}", self.note),
            Some(wrong) => format!("{size} records: {wrong}"),
        };
        let holds =
            report.add_all(wrong.map(|what| Finding::new(Place::Log, format!("{name}: {what}"))));
        Check {
            name,
            holds,
            detail,
        }
    }
}
