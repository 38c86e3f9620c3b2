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

impl Recordable for Event {
    fn event(&self) -> Event {
        self.clone()
    }
}
