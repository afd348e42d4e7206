//! Compressed forms of a file, made once when it is staged.

use std::io::{self, Write};

use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};

/// Beyond this size the best Brotli quality costs far more time than it saves bytes.
const LARGE: usize = 256 * 1024;
/// Larger files are not compressed: they would be held in memory several times over.
pub(super) const LARGEST: u64 = 64 * 1024 * 1024;

/// An encoding to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Brotli,
    Zstd,
    Gzip,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];
}

/// Version of what is made here: compressed forms kept from another version are made again.
pub(super) const RECIPE: &str = "br11/9 zstd19 gzip9 1";

/// The compressed bytes, if they are smaller by at least 5 %: less does not pay for a second copy and for decoding.
pub(super) fn compress(bytes: &[u8], form: Form) -> io::Result<Option<Vec<u8>>> {
    let out = match form {
        Form::Brotli => brotli(bytes)?,
        // Level 19 keeps to a window of 8 MiB, the most that browsers must accept (RFC 9659 section 3).
        Form::Zstd => zstd::bulk::compress(bytes, 19)?,
        Form::Gzip => {
            let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::best());
            encoder.write_all(bytes)?;
            encoder.finish()?
        }
    };
    Ok((out.len() <= bytes.len() - bytes.len().div_ceil(20)).then_some(out))
}

fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let params = BrotliEncoderParams {
        quality: if bytes.len() > LARGE { 9 } else { 11 },
        lgwin: 22,
        size_hint: bytes.len(),
        ..BrotliEncoderParams::default()
    };
    let mut out = Vec::with_capacity(bytes.len() / 4);
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decompress(bytes: &[u8], form: Form) -> Vec<u8> {
        let mut out = Vec::new();
        match form {
            Form::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).unwrap(),
            Form::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out).unwrap(),
            Form::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
        };
        out
    }

    /// Bytes without any pattern (xorshift).
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect()
    }

    #[test]
    fn every_form_gives_the_file_back() {
        for len in [256, 10_000, LARGE + 1] {
            let text: Vec<u8> = b"function route(path) { return table[path] || fallback; }\n"
                .iter()
                .copied()
                .cycle()
                .take(len)
                .collect();
            for form in Form::ALL {
                let small = compress(&text, form).unwrap().unwrap();
                assert!(small.len() < text.len() / 2);
                assert_eq!(decompress(&small, form), text, "{form:?} of {len}");
            }
        }
    }

    #[test]
    fn what_hardly_shrinks_is_not_kept() {
        for form in Form::ALL {
            assert_eq!(compress(&noise(5000), form).unwrap(), None, "{form:?}");
            assert_eq!(compress(b"", form).unwrap(), None, "{form:?}");
        }
    }
}
