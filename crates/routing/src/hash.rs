//! The hash that draws buckets.
//!
//! FNV-1a with 32 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>), fed with the low byte of each UTF-16 unit of
//! the text: what `charCodeAt(i) & 255` yields in JavaScript, so that both languages draw the same bucket whatever the
//! text. Only 32-bit operations are used, which every edge runtime has.

/// How many buckets there are. A bucket is a number below this.
pub const BUCKETS: u16 = 10_000;

/// FNV-1a, 32 bits, over the low byte of each UTF-16 unit.
pub fn fnv1a32(text: &str) -> u32 {
    text.encode_utf16()
        .fold(0x811c_9dc5, |hash, unit| (hash ^ u32::from(unit & 0xff)).wrapping_mul(0x0100_0193))
}

/// The bucket drawn for a request id.
pub fn bucket_of(request_id: &str) -> u16 {
    // The remainder is below 10 000.
    (fnv1a32(request_id) % u32::from(BUCKETS)) as u16
}
