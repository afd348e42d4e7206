// The program under test.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// `CUTOVER_BIN`, or what `cargo build` leaves.
export function binary() {
  const path = process.env.CUTOVER_BIN ?? fileURLToPath(new URL('../../../target/debug/cutover', import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} is missing: run cargo build, or set CUTOVER_BIN`);
  return path;
}
