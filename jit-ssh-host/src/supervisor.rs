//! Tells systemd that the program is ready and that its main loop still turns (sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens; absent when nobody does.
#[derive(Debug)]
pub(crate) struct Supervisor(Option<UnixDatagram>);

impl Supervisor {
    /// The one named in `$NOTIFY_SOCKET`.
    pub(crate) fn from_environment() -> Self {
        Self(connect())
    }

    /// Everything is set up.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// The main loop turns.
    pub(crate) fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.0 {
            // Not heard means restarted by the watchdog, which is what it is for.
            socket.send(text.as_bytes()).ok();
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let name = std::env::var_os("NOTIFY_SOCKET")?;
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(&name).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect_addr(&address).ok()?;
    Some(socket)
}
