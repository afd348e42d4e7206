//! Listening sockets: one per worker on the same address.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

const BACKLOG: i32 = 4096;

/// Opens `count` sockets that share one address; the kernel spreads connections over them.
///
/// `SO_REUSEPORT` lets any process of the same user share the address, which hides that it is taken. So it is bound
/// without first.
pub(crate) fn listen(
    address: SocketAddr,
    count: usize,
) -> io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    if address.port() != 0 {
        let probe = open(address, false)?;
        probe.listen(1)?;
    }
    let first = bind(address)?;
    let local = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(bind(local)?);
    }
    Ok((local, listeners))
}

fn open(address: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted edge bind while old connections are in TIME_WAIT; a listening socket still refuses.
    socket.set_reuse_address(true)?;
    if share {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = open(address, true)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_noticed_even_when_its_owner_shares_it() {
        let (address, _held) = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 2).unwrap();
        let error = listen(address, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
