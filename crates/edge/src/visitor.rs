//! How visitors are told apart, without remembering who they are.
//!
//! A visitor is an address and the bucket of a pin: from the answer that brings the pin, over all connections, until the
//! address changes. Whoever has no pin is an address and the name of a browser. Both are hashed under a key that is drawn
//! when the edge starts and never leaves it.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use cutover_routing::{Decision, Kind, Pin, Reason};
use http::{HeaderMap, HeaderValue, header};

use crate::cookies;

/// As how many visitors one address and browser without a pin can count at most.
const FOLDED: u16 = 16;

/// What of an address stays the same for a visitor: of IPv6 the network, because browsers change the rest daily.
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

/// The secret of one edge.
#[derive(Debug, Default)]
pub(crate) struct Keys(RandomState);

impl Keys {
    /// The key of whoever sent these headers. Where the answer brings them a pin, [`Keys::pinned`] takes its place.
    pub(crate) fn of(&self, headers: &HeaderMap, decision: &Decision, secure: bool, address: IpAddr) -> u64 {
        let pinned = match decision.reason {
            Reason::Split => false,
            // Who is to be given a pin may have had one before. Who is given none and has a bucket has it from theirs.
            _ if decision.set_pin.is_some() => {
                cookies::value(headers, Pin::cookie_name(secure)).and_then(Pin::parse).is_some()
            }
            _ => true,
        };
        if let Some(bucket) = decision.bucket.filter(|_| pinned) {
            return self.pinned(address, bucket);
        }
        let draws = matches!(decision.kind, Kind::Navigation | Kind::ServiceWorker);
        let agent = headers.get(header::USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
        self.unpinned(address, agent, decision.bucket.filter(|_| draws))
    }

    /// The key of a visitor with a pin, or of one who is given it with this answer.
    pub(crate) fn pinned(&self, address: IpAddr, bucket: u16) -> u64 {
        self.0.hash_one((1_u8, network(address), bucket))
    }

    /// The key of a visitor without a pin. One who is drawn anew each time, because the page that would bring the pin
    /// fails or the pin is not kept, is some visitors and not as many as there were draws.
    pub(crate) fn unpinned(&self, address: IpAddr, agent: &[u8], drawn: Option<u16>) -> u64 {
        self.0.hash_one((2_u8, network(address), drawn.map(|bucket| bucket % FOLDED), agent))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_visitor_is_their_address_and_their_bucket_or_their_browser() {
        let keys = Keys::default();
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        assert_eq!(keys.pinned(one, 5), keys.pinned("::ffff:192.0.2.1".parse().unwrap(), 5));
        assert_ne!(keys.pinned(one, 5), keys.pinned(one, 6));
        assert_ne!(keys.pinned(one, 5), keys.pinned(other, 5));
        let v6 = |text: &str| keys.pinned(text.parse().unwrap(), 5);
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2"), "one network");
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(keys.unpinned(one, b"a", None), keys.unpinned(one, b"a", None));
        assert_ne!(keys.unpinned(one, b"a", None), keys.unpinned(one, b"b", None));
        let draws: BTreeSet<u64> = (0..10_000).map(|bucket| keys.unpinned(one, b"a", Some(bucket))).collect();
        assert_eq!(draws.len(), usize::from(FOLDED));
        assert_ne!(keys.pinned(one, 5), Keys::default().pinned(one, 5), "each edge has a key of its own");
    }
}
