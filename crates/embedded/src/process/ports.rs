//! Loopback ports for services: choosing a free one, and telling whose socket listens on it.
//!
//! Ports are taken from outside the range the kernel uses for outgoing connections, so that no such connection can
//! slip onto the port between its choice and the service's `bind`. Another program still can; the caller then finds a
//! stranger and asks for another port.

use std::{
    collections::HashSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use super::procfs;

/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTEN: u8 = 0x0A;

/// One line of `/proc/net/tcp` or `/proc/net/tcp6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    state: u8,
    inode: u64,
}

/// Parses the kernel's table; addresses are in the byte order of the machine, four bytes at a time.
fn parse_table(text: &str) -> Vec<Socket> {
    text.lines().skip(1).filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let (addr, port) = fields.nth(1)?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    let words: Vec<[u8; 4]> = addr
        .as_bytes()
        .chunks(8)
        .map(|hex| Some(u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<_>>()?;
    let ip: IpAddr = match words.as_slice() {
        [v4] => Ipv4Addr::from(*v4).into(),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_mut(4).zip([a, b, c, d]) {
                place.copy_from_slice(word);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(Socket { local: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), state, inode })
}

fn sockets() -> Vec<Socket> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|path| parse_table(&fs::read_to_string(path).unwrap_or_default()))
        .collect()
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody.
    Nobody,
    /// Only the process tree that was asked about.
    Own,
    /// Somebody else, too or alone.
    Stranger(String),
}

/// Tells who listens on `port`, seen from the process tree below `root`.
pub(super) fn holder(port: u16, root: i32) -> Holder {
    let listening: Vec<Socket> = sockets()
        .into_iter()
        .filter(|socket| socket.state == LISTEN && socket.local.port() == port)
        .collect();
    if listening.is_empty() {
        return Holder::Nobody;
    }
    let (mut own, mut hidden) = (HashSet::new(), false);
    for process in procfs::descendants(root) {
        match procfs::socket_inodes(process.pid) {
            Some(inodes) => own.extend(inodes),
            None => hidden = true,
        }
    }
    match listening.iter().find(|socket| !own.contains(&socket.inode)) {
        None => Holder::Own,
        Some(socket) => match owner(socket.inode) {
            Some(pid) => Holder::Stranger(procfs::describe(pid)),
            // A process that changed its user may not be looked at. It is taken for the owner where it descends from
            // the command and nobody else holds the socket.
            None if hidden => Holder::Own,
            None => Holder::Stranger("a process that cannot be looked at".to_owned()),
        },
    }
}

/// Names a process that listens on a port, where it may be looked at: `node (pid 123)`.
pub fn listener(port: u16) -> Option<String> {
    sockets()
        .into_iter()
        .filter(|socket| socket.state == LISTEN && socket.local.port() == port)
        .find_map(|socket| owner(socket.inode))
        .map(procfs::describe)
}

fn owner(inode: u64) -> Option<i32> {
    procfs::pids()
        .into_iter()
        .find(|pid| procfs::socket_inodes(*pid).is_some_and(|inodes| inodes.contains(&inode)))
}

/// The addresses the process tree below `root` listens on.
pub(super) fn listening(root: i32) -> Vec<SocketAddr> {
    let own: HashSet<u64> = procfs::descendants(root)
        .into_iter()
        .filter_map(|process| procfs::socket_inodes(process.pid))
        .flatten()
        .collect();
    let mut found: Vec<SocketAddr> = sockets()
        .into_iter()
        .filter(|socket| socket.state == LISTEN && own.contains(&socket.inode))
        .map(|socket| socket.local)
        .collect();
    found.sort();
    found
}

/// The ports one supervisor has given out.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports(Arc<Mutex<HashSet<u16>>>);

/// A port that is not given out again while this lives.
#[derive(Debug)]
pub(super) struct PortLease {
    port: u16,
    ports: Ports,
}

impl PortLease {
    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.ports.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.port);
    }
}

impl Ports {
    /// A free port, `wanted` if that one is free.
    pub(super) fn lease(&self, wanted: Option<u16>) -> io::Result<PortLease> {
        let used: HashSet<u16> = sockets().into_iter().map(|socket| socket.local.port()).collect();
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = |port: u16, given: &HashSet<u16>| {
            !used.contains(&port)
                && !given.contains(&port)
                && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        };
        let ranges = candidate_ranges(
            &fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default(),
        );
        let mut port = wanted.filter(|port| free(*port, &given));
        for _ in 0..200 {
            if port.is_some() {
                break;
            }
            port = pick(&ranges, random_u32()?).filter(|port| free(*port, &given));
        }
        let port = match port {
            Some(port) => port,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
        };
        given.insert(port);
        Ok(PortLease { port, ports: self.clone() })
    }
}

fn random_u32() -> io::Result<u32> {
    getrandom::u32().map_err(|error| io::Error::other(error.to_string()))
}

/// Unprivileged ports below and above the range of outgoing connections.
fn candidate_ranges(local_port_range: &str) -> Vec<RangeInclusive<u16>> {
    let mut numbers = local_port_range.split_ascii_whitespace().map(str::parse::<u16>);
    let (Some(Ok(low)), Some(Ok(high))) = (numbers.next(), numbers.next()) else { return Vec::new() };
    // From 20000: below lie the ports people choose by hand.
    [20_000..=low.saturating_sub(1), high.saturating_add(1)..=u16::MAX]
        .into_iter()
        .filter(|range| range.len() > 500)
        .collect()
}

fn pick(ranges: &[RangeInclusive<u16>], random: u32) -> Option<u16> {
    let total: usize = ranges.iter().map(ExactSizeIterator::len).sum();
    let mut index = usize::try_from(random).ok()?.checked_rem(total)?;
    for range in ranges {
        if index < range.len() {
            return range.clone().nth(index);
        }
        index -= range.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0\n\
                  garbage\n";
        let v6 = "  sl  local_address\n   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 \
                  0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0 100 0 0 10 0\n";
        assert_eq!(
            parse_table(v4),
            [Socket { local: "127.0.0.1:8080".parse().unwrap(), state: LISTEN, inode: 4711 }]
        );
        assert_eq!(
            parse_table(v6),
            [Socket { local: "[::1]:80".parse().unwrap(), state: LISTEN, inode: 99 }]
        );
    }

    #[test]
    fn a_listener_of_this_process_is_a_strangers_to_others_and_own_below_its_parent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(holder(port, nix::unistd::getppid().as_raw()), Holder::Own);
        let Holder::Stranger(name) = holder(port, me) else { panic!("not a child of itself") };
        assert!(name.contains(&format!("pid {me}")), "{name}");
        assert_eq!(super::listener(port), Some(name));
        drop(listener);
        assert_eq!(holder(port, me), Holder::Nobody);
    }

    #[test]
    fn leases_are_free_distinct_and_outside_the_range_of_outgoing_connections() {
        let ports = Ports::default();
        let leases: Vec<PortLease> = (0..50).map(|_| ports.lease(None).unwrap()).collect();
        let distinct: HashSet<u16> = leases.iter().map(PortLease::port).collect();
        assert_eq!(distinct.len(), 50);
        let kept = leases[0].port();
        assert_ne!(ports.lease(Some(kept)).unwrap().port(), kept);
        drop(leases);
        assert_eq!(ports.lease(Some(kept)).unwrap().port(), kept);
    }

    #[test]
    fn ranges_leave_out_what_the_kernel_uses() {
        assert_eq!(candidate_ranges("32768\t60999\n"), [20_000..=32_767, 61_000..=65_535]);
        assert_eq!(candidate_ranges("1024 65535"), [] as [RangeInclusive<u16>; 0]);
        assert_eq!(candidate_ranges("nonsense"), [] as [RangeInclusive<u16>; 0]);
        let ranges = [10..=11, 20..=21];
        assert_eq!((0..5).map(|n| pick(&ranges, n).unwrap()).collect::<Vec<_>>(), [10, 11, 20, 21, 10]);
        assert_eq!(pick(&[], 3), None);
    }
}
