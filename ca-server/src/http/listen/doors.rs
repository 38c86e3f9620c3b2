//! Who is in: counts connections, in all and by address, and makes room.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::activity::Activity;
use super::{ListenLimits, counted};
use crate::http::source::Peer;

/// The connections of a listener.
pub(super) struct Doors {
    limits: ListenLimits,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    /// By age.
    connections: BTreeMap<u64, Arc<Activity>>,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that has a place, until this is dropped.
pub(super) struct Guest {
    doors: Arc<Doors>,
    number: u64,
    address: Option<IpAddr>,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
}

impl Doors {
    pub(super) fn new(limits: ListenLimits) -> Self {
        Self {
            limits,
            inside: Mutex::default(),
        }
    }

    pub(super) fn limits(&self) -> ListenLimits {
        self.limits.clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a newcomer; none if its address has too many, or all others are busy.
    pub(super) fn admit(self: &Arc<Self>, peer: Peer) -> Option<Guest> {
        let address = counted(peer, &self.limits);
        let mut inside = self.inside();
        let taken = address.and_then(|address| inside.by_address.get(&address));
        if taken.is_some_and(|taken| *taken >= self.limits.connections_per_address) {
            return None;
        }
        if inside.connections.len() >= self.limits.connections {
            inside.evict_oldest_idle()?;
        }
        let number = inside.next;
        inside.next += 1;
        let activity = Arc::new(Activity::new(Instant::now()));
        inside.connections.insert(number, Arc::clone(&activity));
        if let Some(address) = address {
            *inside.by_address.entry(address).or_default() += 1;
        }
        Some(Guest {
            doors: Arc::clone(self),
            number,
            address,
            peer,
            activity,
        })
    }
}

impl Inside {
    fn evict_oldest_idle(&mut self) -> Option<()> {
        let idle = self
            .connections
            .iter()
            .find(|(_, activity)| activity.is_idle());
        let number = *idle?.0;
        let evicted = self.connections.remove(&number)?;
        evicted.evicted.notify_one();
        Some(())
    }
}

impl Guest {
    pub(super) fn limits(&self) -> &ListenLimits {
        &self.doors.limits
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.doors.inside();
        inside.connections.remove(&self.number);
        if let Some(address) = self.address
            && let Some(count) = inside.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                inside.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(connections: usize, connections_per_address: usize) -> Arc<Doors> {
        Arc::new(Doors::new(ListenLimits {
            connections,
            connections_per_address,
            ..ListenLimits::default()
        }))
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp(format!("{address}:9").parse().unwrap())
    }

    #[test]
    fn an_address_gets_so_many_places_and_gets_them_back() {
        let doors = doors(10, 2);
        let one = doors.admit(peer("192.0.2.1")).unwrap();
        let _two = doors.admit(peer("192.0.2.1")).unwrap();
        assert!(doors.admit(peer("192.0.2.1")).is_none());
        let _other = doors.admit(peer("192.0.2.2")).unwrap();
        drop(one);
        assert!(doors.admit(peer("192.0.2.1")).is_some());
    }

    #[test]
    fn loopback_is_not_limited_by_address() {
        let doors = doors(10, 1);
        let _one = doors.admit(peer("127.0.0.1")).unwrap();
        assert!(doors.admit(peer("127.0.0.1")).is_some());
    }

    #[test]
    fn the_oldest_idle_connection_makes_room_and_a_busy_one_does_not() {
        let doors = doors(2, 9);
        let busy = doors.admit(peer("192.0.2.1")).unwrap();
        busy.activity.began(false);
        let idle = doors.admit(peer("192.0.2.2")).unwrap();
        let newcomer = doors.admit(peer("192.0.2.3")).unwrap();
        newcomer.activity.began(false);
        assert!(doors.admit(peer("192.0.2.4")).is_none());
        drop(idle);
        assert_eq!(doors.inside().connections.len(), 2);
        assert_eq!(doors.inside().by_address.len(), 2);
    }
}
