//! Addresses that stand-ins listen on: TCP for what they stand in for, and also a Unix socket for control.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use socket2::{Domain, Protocol, Socket, Type};

/// Where a control listener is: `ADDR:PORT`, or `unix:PATH`.
///
/// A Unix socket can be reached from every network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port; 0 is any free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A text that is neither `ADDR:PORT` nor `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither ADDR:PORT nor unix:PATH")]
pub struct InvalidAddress(String);

/// Why a stand-in does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// There is no address.
    #[error("no address to listen on")]
    Nowhere,
    /// A listener could not be opened.
    #[error("cannot listen on {address}")]
    Open {
        /// Where.
        address: Address,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// An open listener could not be given to the runtime.
    #[error("cannot serve an open listener")]
    Serve(#[source] io::Error),
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text.strip_prefix("unix:") {
            Some("") => Err(InvalidAddress(text.to_owned())),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_no_address| InvalidAddress(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Opens a TCP listener on exactly `address`: `[::]` does not take the IPv4 port as well.
pub fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    open_tcp(address).map_err(|source| ListenError::Open {
        address: Address::Tcp(address),
        source,
    })
}

/// Keeps `address` for listeners that come later. Until then nobody listens there.
pub(crate) fn reserve(address: SocketAddr) -> Result<(Socket, SocketAddr), ListenError> {
    let reserved = bind(address).and_then(|socket| {
        let bound = socket.local_addr()?.as_socket();
        let bound = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok((socket, bound))
    });
    reserved.map_err(|source| ListenError::Open {
        address: Address::Tcp(address),
        source,
    })
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A Unix listener; its file goes with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub(crate) listener: tokio::net::UnixListener,
    path: PathBuf,
}

impl UnixSocket {
    pub(crate) fn open(path: &Path) -> Result<Self, ListenError> {
        let open = || {
            remove_stale(path)?;
            tokio::net::UnixListener::bind(path)
        };
        match open() {
            Ok(listener) => Ok(Self {
                listener,
                path: path.to_owned(),
            }),
            Err(source) => Err(ListenError::Open {
                address: Address::Unix(path.to_owned()),
                source,
            }),
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Whoever removed it already has done our work.
        let _gone = fs::remove_file(&self.path).is_ok();
    }
}

/// Removes a socket that an earlier process left; anything else that has the name stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_written() {
        for text in ["127.0.0.1:80", "[::1]:0", "unix:/run/control.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "unix:",
            "/run/control.sock",
            "127.0.0.1",
            "localhost:80",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.local_addr().unwrap();
        let error = tcp(address).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    }

    #[test]
    fn an_address_that_is_kept_refuses_until_somebody_listens() {
        let (_socket, address) = reserve("127.0.0.1:0".parse().unwrap()).unwrap();
        let connect = || std::net::TcpStream::connect(address);
        for _ in 0..2 {
            assert!(connect().is_err());
            let listener = tcp(address).unwrap();
            assert!(connect().is_ok());
            drop(listener);
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_other_files_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = UnixSocket::open(&path).unwrap();
        drop(socket);
        assert!(!path.exists());

        fs::write(&path, "not a socket").unwrap();
        assert!(UnixSocket::open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a socket");
    }
}
