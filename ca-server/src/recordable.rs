//! What a decision must be able to say about itself before it can be recorded.

use ca_core::event::Event;

/// Something that happened, and what the log says about it.
pub trait Recordable: Send + 'static {
    /// The event to record. Called once, when the decision has been made.
    fn event(&self) -> Event;

    /// The to-be-signed certificate, where one is issued.
    fn precertificate(&self) -> Option<&[u8]> {
        None
    }
}

/// A decision that may come out one way or another.
#[derive(Clone, Debug)]
pub enum Either<A, B> {
    /// One way.
    This(A),
    /// The other.
    That(B),
}

impl<A: Recordable, B: Recordable> Recordable for Either<A, B> {
    fn event(&self) -> Event {
        match self {
            Self::This(value) => value.event(),
            Self::That(value) => value.event(),
        }
    }

    fn precertificate(&self) -> Option<&[u8]> {
        match self {
            Self::This(value) => value.precertificate(),
            Self::That(value) => value.precertificate(),
        }
    }
}

impl Recordable for Event {
    fn event(&self) -> Event {
        self.clone()
    }
}
