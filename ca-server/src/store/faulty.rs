//! A store that fails on purpose: the n-th call of a kind, with or without its effect.
//!
//! For tests only; it wraps a real store and adds nothing but failure.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Batch, Found, FullTile, Head, Record, Search, Store, StoreError};

/// A call of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as the calls are")]
pub enum Call {
    Append,
    Head,
    PutSecret,
    PutSnapshot,
    Records,
    Search,
    Secret,
    Snapshot,
    Tile,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of these calls only, or of all.
    pub call: Option<Call>,
    /// The n-th such call from now on, counted from 1.
    pub nth: u64,
    /// Whether the call does its work before it reports the failure.
    pub effect: bool,
    /// Whether all later such calls fail as well.
    pub lasting: bool,
}

/// Wraps a store. Every arranged fault is [`StoreError::Unknown`]; a full disk is [`StoreError::Full`].
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Mutex<Plan>,
    full: AtomicBool,
}

#[derive(Debug, Default)]
struct Plan {
    calls: Vec<Call>,
    fault: Option<Fault>,
    matched: u64,
}

impl<S: Store> FaultyStore<S> {
    /// No fault yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Arranges `fault` in place of an earlier one, or none.
    pub fn set(&self, fault: Option<Fault>) {
        let mut plan = self.plan();
        plan.fault = fault;
        plan.matched = 0;
    }

    /// Whether its disk has no room: all writes fail without effect until it has.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// How many calls there were: of one kind, or of all.
    pub fn calls(&self, call: Option<Call>) -> usize {
        let plan = self.plan();
        plan.calls
            .iter()
            .filter(|made| call.is_none_or(|call| call == **made))
            .count()
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The store inside, without faults.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn run<T>(
        &self,
        call: Call,
        work: impl FnOnce(&S) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let writes = matches!(call, Call::Append | Call::PutSecret | Call::PutSnapshot);
        if writes && self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full { free: 0, needed: 1 });
        }
        let Some(fault) = self.plan().next(call) else {
            return work(&self.inner);
        };
        if fault.effect {
            work(&self.inner)?;
        }
        Err(StoreError::Unknown(format!("arranged failure of {call:?}")))
    }
}

impl Plan {
    /// Counts `call`; the fault if this call is to fail.
    fn next(&mut self, call: Call) -> Option<Fault> {
        self.calls.push(call);
        let fault = self
            .fault
            .filter(|fault| fault.call.is_none_or(|named| named == call))?;
        self.matched = self.matched.saturating_add(1);
        let hit = self.matched == fault.nth || (fault.lasting && self.matched > fault.nth);
        hit.then_some(fault)
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        self.run(Call::Append, |store| store.append(batch))
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.run(Call::Head, Store::head)
    }

    fn records(&self, start: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.run(Call::Records, |store| store.records(start, limit))
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<FullTile>, StoreError> {
        self.run(Call::Tile, |store| store.tile(level, index))
    }

    fn search(&self, search: &Search) -> Result<Found, StoreError> {
        self.run(Call::Search, |store| store.search(search))
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(Call::Secret, |store| store.secret(name))
    }

    fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
        self.run(Call::PutSecret, |store| store.put_secret(name, sealed))
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(Call::Snapshot, Store::snapshot)
    }

    fn put_snapshot(&self, snapshot: &[u8]) -> Result<(), StoreError> {
        self.run(Call::PutSnapshot, |store| store.put_snapshot(snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::Log;
    use crate::store::sled::SledStore;

    #[test]
    fn the_named_call_fails_once_or_for_good_with_or_without_its_effect() {
        let folder = tempfile::tempdir().unwrap();
        let store = FaultyStore::new(SledStore::create(&folder.path().join("s"), 0).unwrap());
        let mut log = Log::default();
        let mut fault = Fault {
            call: Some(Call::Append),
            nth: 2,
            effect: false,
            lasting: false,
        };
        store.set(Some(fault));
        store.append(&log.next(1)).unwrap();
        let second = log.next(1);
        assert!(matches!(store.append(&second), Err(StoreError::Unknown(_))));
        assert_eq!(store.head().unwrap().unwrap().size, 1);
        store.append(&second).unwrap();

        fault = Fault {
            nth: 1,
            effect: true,
            lasting: true,
            ..fault
        };
        store.set(Some(fault));
        let third = log.next(1);
        for _ in 0..3 {
            store.append(&third).unwrap_err();
        }
        assert_eq!(store.head().unwrap().unwrap().size, 3);
        assert_eq!((store.calls(Some(Call::Append)), store.calls(None)), (6, 8));
    }

    #[test]
    fn without_a_fault_it_keeps_the_contract() {
        crate::store::conformance::run(&|path| {
            Box::new(FaultyStore::new(super::super::sled::tests::make(path)))
        });
    }
}
