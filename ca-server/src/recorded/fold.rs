//! Record after record, so that what earlier ones prove is known: approvals of open requests, open
//! sessions, emergencies without a review. Memory grows with people and open grants, not with the
//! log.

use ca_core::event::Event;
use ca_core::time::Timestamp;

use super::Decision;
use super::rebuild::Rebuild;
use crate::state::State;

/// The records so far. Begins before record 0: what began before could prove nothing.
#[derive(Debug, Default)]
pub struct Fold {
    state: State,
    /// The last record that was erased.
    gap: Option<u64>,
}

/// What one record held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Decisions of policy.
    pub decisions: Vec<Decision>,
    /// Whether it was one of policy that does not tell what was asked.
    pub untold: bool,
}

/// What one record tells by itself. What only the records before it would prove is lacking, and who
/// decides about a request is untold.
#[must_use]
pub fn alone(index: u64, time: Timestamp, event: &Event) -> Vec<Decision> {
    let rebuild = Rebuild {
        state: &State::default(),
        gap: Some(index),
        record: event.name(),
        time,
    };
    let mut decisions = rebuild.taken(event).decisions;
    for decision in &mut decisions {
        decision.index = index;
    }
    decisions
}

impl Fold {
    /// Takes the next record; none where its content was erased. What that may have changed
    /// is proven by no earlier record any more.
    pub fn take(&mut self, time: Timestamp, event: Option<&Event>) -> Taken {
        let Some(event) = event else {
            self.gap = Some(self.state.size());
            self.state.apply_erased(time);
            return Taken::default();
        };
        let rebuild = Rebuild {
            state: &self.state,
            gap: self.gap,
            record: event.name(),
            time,
        };
        let taken = rebuild.taken(event);
        self.state.apply(time, event);
        taken
    }

    /// How many records were taken: the index of the next one.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.state.size()
    }
}
