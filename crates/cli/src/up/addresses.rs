//! The two addresses of `up`: each is found free before anything is changed, and a taken one is named with its holder.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use cutover_embedded::process;
use cutover_engine::{Error, ErrorKind};

/// Opens the address for commands.
///
/// # Errors
/// When it is taken or cannot be used.
pub(super) fn open_control(addr: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(addr).map_err(|error| unusable(addr, "commands", "--control", error))?;
    listener.set_nonblocking(true).map_err(|error| unusable(addr, "commands", "--control", error))?;
    Ok(listener)
}

/// Finds out whether the address for visitors is free. The edge looks again when it opens it; this look comes before
/// anything is changed.
///
/// # Errors
/// When it is taken or cannot be used.
pub(super) fn check_listen(addr: SocketAddr) -> Result<(), Error> {
    match TcpListener::bind(addr) {
        Ok(_) => Ok(()),
        Err(error) => Err(unusable(addr, "visitors", "--listen", error)),
    }
}

fn unusable(addr: SocketAddr, whose: &str, option: &str, error: io::Error) -> Error {
    let attempted = format!("cannot listen on {addr} for {whose}");
    let elsewhere = format!("{option} ADDRESS listens elsewhere; port 0 takes a free one");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = process::listener(addr.port()).unwrap_or_else(|| "another process".to_owned());
            Error::new(ErrorKind::Failed, "CUT0930", attempted)
                .because(format!("{holder} listens there"))
                .hint(elsewhere)
        }
        io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Failed, "CUT0930", attempted)
            .because(error)
            .hint("ports below 1024 need the capability CAP_NET_BIND_SERVICE")
            .hint(elsewhere),
        _ => Error::new(ErrorKind::Failed, "CUT0930", attempted).because(error).hint(elsewhere),
    }
}

/// The address by which this machine reaches a listener: loopback where it listens on all addresses.
pub(crate) fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_named_with_its_holder_and_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = check_listen(addr).unwrap_err();
        assert!(error.message.contains(&addr.to_string()), "{error}");
        assert!(error.causes[0].contains(&format!("pid {}", std::process::id())), "{error}");
        assert!(error.hints[0].starts_with("--listen"));
        assert!(open_control(addr).is_err());
        drop(taken);
        check_listen(addr).unwrap();
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:9400".parse().unwrap()), "127.0.0.1:9400".parse().unwrap());
        assert_eq!(reachable("[::]:9400".parse().unwrap()), "[::1]:9400".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:9400".parse().unwrap()), "10.0.0.1:9400".parse().unwrap());
    }
}
