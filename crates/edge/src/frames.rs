//! Where the frames of a WebSocket begin and end (RFC 6455 section 5.2).
//!
//! A tunnel does not read what it carries. To say goodbye in it, it has to know whether a frame is under way: a close
//! frame in the midst of another would be taken for that one's content.

/// One direction of a WebSocket.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Frames of clients are masked, those of servers are not.
    masked: bool,
    head: [u8; 14],
    have: usize,
    /// Bytes of the present frame's content to come.
    left: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame has passed; nothing may come after it.
    Closed,
    /// These are no frames.
    Strange,
}

const CLOSE: u8 = 8;

/// Restart of the service (IANA WebSocket close codes, 1012): to come back is welcome.
const RESTART: u16 = 1012;
/// The other side goes away, which is what a service sees of a visitor who leaves.
const AWAY: u16 = 1001;

impl Frames {
    pub(crate) fn of_server() -> Self {
        Self { masked: false, head: [0; 14], have: 0, left: 0, state: State::Open }
    }

    pub(crate) fn of_client() -> Self {
        Self { masked: true, ..Self::of_server() }
    }

    /// True where the next byte begins a frame, as far as can be told.
    pub(crate) fn resting(&self) -> bool {
        match self.state {
            State::Open => self.have == 0 && self.left == 0,
            State::Closed | State::Strange => true,
        }
    }

    /// A close frame, where one can be sent now.
    pub(crate) fn goodbye(&self) -> Option<Vec<u8>> {
        if self.state != State::Open || !self.resting() {
            return None;
        }
        // The mask is there against confused caches (section 10.3); there are none between the edge and a service, and
        // the content is ours.
        const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x68];
        Some(if self.masked {
            let [high, low] = AWAY.to_be_bytes();
            let mut frame = vec![0x80 | CLOSE, 0x80 | 2];
            frame.extend_from_slice(&MASK);
            frame.extend_from_slice(&[high ^ MASK[0], low ^ MASK[1]]);
            frame
        } else {
            let [high, low] = RESTART.to_be_bytes();
            vec![0x80 | CLOSE, 2, high, low]
        })
    }

    /// How many of these bytes belong to the frame under way, so far as is known before they are fed.
    pub(crate) fn of_this_frame(&self, bytes: usize) -> usize {
        if self.resting() {
            0
        } else if self.left > 0 {
            bytes.min(usize::try_from(self.left).unwrap_or(usize::MAX))
        } else {
            bytes.min(1)
        }
    }

    /// Follows bytes that have passed.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while self.state == State::Open {
            if self.left > 0 {
                let passed = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= passed as u64;
                bytes = &bytes[passed..];
                if self.left == 0 {
                    self.ended();
                    continue;
                }
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.head[self.have] = *byte;
            self.have += 1;
            if self.have >= 2 && self.have == self.head_len() {
                self.begun();
            }
        }
    }

    /// Length of a head that begins like this one.
    fn head_len(&self) -> usize {
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.masked { 4 } else { 0 }
    }

    fn begun(&mut self) {
        let (first, second) = (self.head[0], self.head[1]);
        let control = first & 0x08 != 0;
        let long = second & 0x7f > 125;
        let known = matches!(first & 0x0f, 0..=2 | 8..=10);
        let whole = first & 0x80 != 0;
        if !known || (control && (long || !whole)) || (second & 0x80 != 0) != self.masked {
            self.state = State::Strange;
            return;
        }
        self.left = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => self.head[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            length => u64::from(length),
        };
        if self.left == 0 {
            self.ended();
        }
    }

    fn ended(&mut self) {
        self.have = 0;
        if self.head[0] & 0x0f == CLOSE {
            self.state = State::Closed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of one side, and where each begins.
    fn stream(masked: bool) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut begins = vec![0];
        for (first, length) in
            [(0x81_u8, 0_usize), (0x02, 5), (0x89, 125), (0x80, 300), (0xc2, 70_000), (0x8a, 0)]
        {
            let mask = if masked { 0x80 } else { 0 };
            bytes.push(first);
            match length {
                0..=125 => bytes.push(mask | length as u8),
                126..=65_535 => {
                    bytes.push(mask | 126);
                    bytes.extend_from_slice(&(length as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(mask | 127);
                    bytes.extend_from_slice(&(length as u64).to_be_bytes());
                }
            }
            bytes.extend_from_slice(&[1, 2, 3, 4][..if masked { 4 } else { 0 }]);
            bytes.extend(std::iter::repeat_n(0x88, length));
            begins.push(bytes.len());
        }
        (bytes, begins)
    }

    #[test]
    fn frames_are_followed_however_the_bytes_are_cut() {
        for masked in [false, true] {
            let (bytes, begins) = stream(masked);
            for step in [1, 2, 3, 7, 1_000, 100_000] {
                let mut frames = if masked { Frames::of_client() } else { Frames::of_server() };
                let mut at = 0;
                for piece in bytes.chunks(step) {
                    frames.feed(piece);
                    at += piece.len();
                    assert_eq!(
                        frames.resting(),
                        begins.contains(&at),
                        "masked {masked}, step {step}, at {at}"
                    );
                    assert_eq!(frames.goodbye().is_some(), begins.contains(&at));
                }
            }
        }
    }

    #[test]
    fn the_end_of_the_frame_under_way_is_never_passed() {
        let (bytes, begins) = stream(false);
        for start in [1, 3, 5, 140, 500, 60_000] {
            let mut frames = Frames::of_server();
            frames.feed(&bytes[..start]);
            let mut at = start;
            while !frames.resting() {
                let take = frames.of_this_frame(bytes.len() - at);
                assert!(take > 0);
                frames.feed(&bytes[at..at + take]);
                at += take;
            }
            assert_eq!(Some(&at), begins.iter().find(|begin| **begin >= start), "from {start}");
            assert_eq!(frames.of_this_frame(1), 0);
        }
    }

    #[test]
    fn nothing_is_said_after_a_goodbye_or_into_what_is_no_websocket() {
        for mut frames in [Frames::of_server(), Frames::of_client()] {
            let goodbye = frames.goodbye().unwrap();
            frames.feed(&goodbye);
            assert_eq!((frames.resting(), frames.goodbye()), (true, None));
        }
        for bytes in [&b"hello "[..], &[0x83, 0], &[0x08, 0], &[0x88, 126, 0, 200], &[0x81, 0x80, 0, 0, 0, 0]]
        {
            let mut frames = Frames::of_server();
            frames.feed(bytes);
            assert_eq!((frames.resting(), frames.goodbye()), (true, None), "{bytes:?}");
        }
    }
}
