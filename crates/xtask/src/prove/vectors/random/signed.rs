//! Pins and preview tokens, good ones and ones with a character off.

use cutover_routing::{BUCKETS, PreviewKey, PreviewToken, ReleaseId, Table};
use cutover_testkit::rng::Rng;

use super::{
    HOST, NOW, pick,
    tables::{IDS, id},
};

pub(super) fn keys() -> Vec<PreviewKey> {
    [("k1", 32), ("constructor", 16), ("short", 15)]
        .map(|(kid, length)| PreviewKey {
            kid: kid.to_owned(),
            secret: (0..length).map(|n| 129 + n * 3).collect(),
        })
        .into()
}

/// The text of a pin: of a release that is or is not in the table, of a generation around the table's, at times with one
/// character off.
pub(super) fn pin(rng: &mut Rng, table: &Table) -> String {
    let known: Vec<&ReleaseId> = table.releases.keys().collect();
    let release = match rng.below(10) {
        0..=7 if !known.is_empty() => pick(rng, &known).to_string(),
        _ => pick(rng, &IDS).to_owned(),
    };
    let ahead = [0, 0, 1, 299, 300, 301, 5000][rng.below(7) as usize];
    let generation =
        if rng.chance(70) { table.generation.saturating_add(ahead) } else { table.generation / 2 };
    let text = format!("1.{release}.{}.{generation}", rng.below(u64::from(BUCKETS)));
    off(rng, &text, 12)
}

/// In some of a hundred cases with one character replaced, taken away or put in.
pub(super) fn off(rng: &mut Rng, text: &str, percent: u64) -> String {
    if text.is_empty() || !rng.chance(percent) {
        return text.to_owned();
    }
    let mut characters: Vec<char> = text.chars().collect();
    let at = usize::try_from(rng.below(characters.len() as u64)).unwrap_or(0);
    let other =
        *pick(rng, &['.', '0', '1', '9', 'a', 'Z', '-', '"', '{', ',', ':', '[', ' ', '_'].each_ref());
    match rng.below(3) {
        0 => characters[at] = other,
        1 => drop(characters.remove(at)),
        _ => characters.insert(at, other),
    }
    characters.into_iter().collect()
}

pub(super) fn token_text(rng: &mut Rng, table: &Table, keys: &[PreviewKey]) -> String {
    let known: Vec<&ReleaseId> = table.releases.keys().collect();
    let release = if known.is_empty() { id(IDS[0]) } else { Some(*pick(rng, &known)) };
    let Some(release) = release else { return String::new() };
    let key = pick(rng, &keys.iter().collect::<Vec<_>>());
    let life = [0, 1, 600, 660, 661, 86_400, 86_460, 86_461][rng.below(8) as usize];
    let expiry = if rng.chance(80) { NOW + life } else { NOW - life };
    let tid = pick(rng, &["t1", "a-_Z9", "x-600", "x-86401", "x-0"]).to_owned();
    let token = PreviewToken { kid: key.kid.clone(), release, expiry, tid };
    let host = if rng.chance(95) { HOST } else { "other.example.com" };
    let text = if rng.chance(80) { token.sign_cookie(key, host) } else { token.sign_link(key, host) };
    off(rng, &text, 15)
}
