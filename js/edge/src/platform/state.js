// The routing table in the memory of a Lambda@Edge instance: read again every few seconds, one read at a time, off the
// visitor's way wherever a table is at hand.

import { readTable } from '../core/table.js';

// Ages in milliseconds. Younger than FRESH (and up to as much again, by chance, so that instances do not ask at once): as it
// is. Younger than STALE: as it is, while it is read again. Older: nobody knows what was switched since, so visitors wait
// for a read; where that fails the table is behind, and the edge writes no cookies.
const FRESH = 5000;
const STALE = 60000;
// How long a failed read keeps others from trying: doubled each time, up to STALE.
const PAUSE = 1000;

// `read` gives `{ text, keys }` or throws; `fallback` is the text of the table that was baked in. The result gives
// `{ table, keys }`: the table is null where there is none at all, keys are null where they could not be read.
export function createState({ read, fallback, now = Date.now, random = Math.random }) {
  let held = null;
  let reading = null;
  let pause = 0;
  let notBefore = 0;

  function refresh() {
    reading ??= read()
      .then(take)
      .then(
        () => (pause = 0),
        (error) => {
          console.log(`cutover: the routing table could not be read: ${error}`);
          pause = Math.min(STALE, pause ? pause * 2 : PAUSE);
          notBefore = now() + pause;
        },
      )
      .finally(() => (reading = null));
    return reading;
  }

  function take({ text, keys }) {
    const table = readTable(text);
    if (!table) throw new Error('it is of another version, or no routing table');
    const newer = !held || table.g > held.table.g;
    // Generations never go back: a lower one is a replica that has not caught up. The same one with another text is a second
    // writer, whom nobody may follow.
    if (!newer && text !== held.text) {
      if (table.g === held.table.g) throw new Error(`generation ${table.g} has two forms`);
      throw new Error(`generation ${table.g} is older than ${held.table.g}`);
    }
    held = { table, text, keys, at: now(), fresh: FRESH * (1 + random()) };
  }

  return async function state() {
    const age = held ? now() - held.at : Infinity;
    if (age >= (held ? held.fresh : 0) && now() >= notBefore) {
      const read = refresh();
      if (age >= STALE) await read;
    } else if (age >= STALE && reading) {
      await reading;
    }
    if (held && now() - held.at < STALE) return { table: held.table, keys: held.keys };
    const table = held ? held.table : readTable(fallback);
    return { table: table && { ...table, behind: true }, keys: held ? held.keys : null };
  };
}
