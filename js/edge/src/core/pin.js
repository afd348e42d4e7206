// The visitor's release cookie: `1.<release>.<bucket>.<generation>`.

// Largest number that is exact in every language.
export const MAX = 9007199254740991;

// Reads a cookie's value: `{ release, bucket, generation }`, or null for anything but the exact form.
export function parsePin(value) {
  // In some engines `$` is before a line feed at the end as well.
  const parts = /^1\.([a-z0-9]{8,16})\.(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,15})$(?!\s)/.exec(value);
  return parts && +parts[3] <= MAX ? { release: parts[1], bucket: +parts[2], generation: +parts[3] } : null;
}

// Writes a pin.
export function formatPin(release, bucket, generation) {
  return '1.' + release + '.' + bucket + '.' + generation;
}
