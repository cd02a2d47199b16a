//! Tells systemd how far the service is, where systemd wants to know (`Type=notify`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{env, io};

/// How far the service is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Stores are opened, which may take long.
    Opening,
    /// It answers.
    Ready,
    /// It takes nothing more.
    Stopping,
}

impl Stage {
    /// As systemd reads it; the status is what `systemctl status` shows.
    fn text(self) -> &'static str {
        match self {
            Self::Opening => "STATUS=opens stores\n",
            Self::Ready => "READY=1\nSTATUS=serves\n",
            Self::Stopping => "STOPPING=1\nSTATUS=brings to an end what was begun\n",
        }
    }
}

/// Tells whoever started this process, if it wants to be told.
pub(crate) fn tell(stage: Stage) {
    let Some(place) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&place, stage.text()) {
        tracing::warn!("cannot tell systemd how far the service is: {error}");
    }
}

/// Errors: nobody listens there.
fn send(place: &OsStr, text: &str) -> io::Result<()> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => without_file(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// An address that is no file.
#[cfg(target_os = "linux")]
fn without_file(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;

    SocketAddr::from_abstract_name(name)
}

/// An address that is no file: only Linux has them.
#[cfg(not(target_os = "linux"))]
fn without_file(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
