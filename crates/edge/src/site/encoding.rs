//! The choice among a file's encodings by `Accept-Encoding` (RFC 9110 section 12.5.3).

use http::{HeaderMap, header};

/// A content coding a file may be stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Brotli,
    Zstd,
    Gzip,
    Identity,
}

impl Encoding {
    /// Value of `Content-Encoding`; none for the bytes as they are.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// What tells the entity tags of a file's encodings apart.
    pub(super) fn tag_suffix(self) -> &'static str {
        match self {
            Self::Brotli => "-br",
            Self::Zstd => "-zst",
            Self::Gzip => "-gz",
            Self::Identity => "",
        }
    }

    fn from_token(token: &str) -> Option<Self> {
        const TOKENS: [(&str, Encoding); 5] = [
            ("br", Encoding::Brotli),
            ("zstd", Encoding::Zstd),
            ("gzip", Encoding::Gzip),
            // RFC 9110 section 8.4.1.3: to be treated as gzip.
            ("x-gzip", Encoding::Gzip),
            ("identity", Encoding::Identity),
        ];
        TOKENS.iter().find(|(name, _)| name.eq_ignore_ascii_case(token)).map(|(_, encoding)| *encoding)
    }
}

/// How much the client wants each encoding, in thousandths; 0 is "not at all".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    weights: [u16; 4],
}

/// The weight of what is acceptable without being asked for: less than anything that is.
const UNASKED: u16 = 1;

impl Accepted {
    /// Reads all `Accept-Encoding` fields. An element that cannot be read is skipped. Without the field, only the bytes as
    /// they are: clients that do not ask for compression often cannot undo it.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let mut listed: [Option<u16>; 4] = [None; 4];
        let mut others: Option<u16> = None;
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            let Ok(value) = value.to_str() else { continue };
            for element in value.split(',') {
                let Some((token, weight)) = parse_element(element) else { continue };
                if token == "*" {
                    others = Some(weight);
                } else if let Some(encoding) = Encoding::from_token(token) {
                    listed[encoding as usize] = Some(weight);
                }
            }
        }
        let unlisted = others.unwrap_or(0);
        let mut weights = listed.map(|weight| weight.unwrap_or(unlisted));
        if listed[Encoding::Identity as usize].is_none() && others.is_none() {
            weights[Encoding::Identity as usize] = UNASKED;
        }
        Self { weights }
    }

    /// The position of the best of `offers`, which come in the server's order of preference. Where none is acceptable the
    /// last one, which is the file as it is: RFC 9110 section 12.5.3 prefers that to no answer.
    pub(super) fn choose(self, offers: impl Iterator<Item = Encoding>) -> usize {
        let (mut best, mut best_weight, mut last) = (None, 0, 0);
        for (position, offer) in offers.enumerate() {
            let weight = self.weights[offer as usize];
            if weight > best_weight {
                (best, best_weight) = (Some(position), weight);
            }
            last = position;
        }
        best.unwrap_or(last)
    }
}

/// `token *( ";" parameter )` to the token and its weight. None where it is empty or its weight is malformed.
fn parse_element(element: &str) -> Option<(&str, u16)> {
    let mut parts = element.split(';');
    let token = parts.next()?.trim();
    if token.is_empty() {
        return None;
    }
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            return Some((token, parse_weight(value.trim())?));
        }
    }
    Some((token, 1000))
}

/// `0(.ddd)` or `1(.000)` in thousandths (RFC 9110 section 12.4.2).
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut thousandths = 0;
    for place in 0..3 {
        thousandths =
            thousandths * 10 + fraction.as_bytes().get(place).map_or(0, |digit| u16::from(digit - b'0'));
    }
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ALL: [Encoding; 4] = [Encoding::Brotli, Encoding::Zstd, Encoding::Gzip, Encoding::Identity];

    fn chosen(fields: &[&str], offers: &[Encoding]) -> Encoding {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(field).unwrap());
        }
        offers[Accepted::from_headers(&headers).choose(offers.iter().copied())]
    }

    #[test]
    fn the_header_chooses_among_all_encodings() {
        use Encoding::*;
        let cases: &[(&[&str], Encoding, &str)] = &[
            (&[], Identity, "nothing asked for"),
            (&[""], Identity, "an empty field accepts no coding"),
            (&["gzip, deflate, br, zstd"], Brotli, "equal weights: the server's order"),
            (&["gzip, deflate"], Gzip, "the only one we have"),
            (&["deflate"], Identity, "none we have"),
            (&["gzip;q=1.0, br;q=0.5"], Gzip, "the client's weight comes before our order"),
            (&["br;q=0, gzip;q=0, zstd"], Zstd, "q=0 forbids"),
            (&["br;q=0, *"], Zstd, "the star stands for the rest only"),
            (&["*"], Brotli, "the star stands for everything"),
            (&["*;q=0"], Identity, "nothing acceptable: the file as it is"),
            (&["identity;q=0"], Identity, "nothing acceptable: the file as it is"),
            (&["identity;q=0, gzip"], Gzip, "identity forbidden"),
            (&["identity, gzip;q=0.5"], Identity, "identity preferred"),
            (&["identity;q=0.5, gzip;q=0.5"], Gzip, "a tie goes to the smaller"),
            (&["gzip;q=0.001"], Gzip, "asked for a little is more than unasked"),
            (&["GZIP"], Gzip, "codings are case-insensitive"),
            (&["x-gzip"], Gzip, "the old name"),
            (&["br;Q=0.2,gzip; q=0.3"], Gzip, "parameter names are case-insensitive, space is allowed"),
            (&["gzip", "br"], Brotli, "several fields are one list"),
            (&[",, ,gzip,"], Gzip, "empty elements"),
            (&["br;q=2, gzip"], Gzip, "a malformed weight is no weight"),
            (&["br;q=, gzip;q=0.1"], Gzip, "a missing weight is no weight"),
            (&["br;q=0.1234, zstd;q=0.1"], Zstd, "at most three digits"),
            (&["br;q=1.001, gzip"], Gzip, "no more than 1"),
            (&["br;level=3;q=0.1, gzip;q=0.2"], Gzip, "other parameters are passed over"),
        ];
        for (fields, expected, why) in cases {
            assert_eq!(chosen(fields, &ALL), *expected, "{fields:?}: {why}");
        }
    }

    #[test]
    fn a_file_without_variants_is_sent_as_it_is() {
        for field in ["br", "*;q=0", "identity;q=0", ""] {
            assert_eq!(chosen(&[field], &[Encoding::Identity]), Encoding::Identity);
        }
    }
}
