// Who belongs to an audience.

import { contains } from './address.js';
import { covers } from './pattern.js';
import { lower } from './text.js';

// True where the request belongs. `when` has one member, named for what is looked at.
export function belongs(when, q) {
  if (when.path) return covers(when.path, q.normalPath);
  if (when.country) return !!q.clientCountry && when.country.some((listed) => lower(listed) === lower(q.clientCountry));
  NETWORKS: if (when.cidr) return !!q.clientAddress && when.cidr.some((network) => contains(network, q.clientAddress));
  const one = when.header || when.cookie || when.query;
  const have = when.header
    ? q.headerValue(lower(one.name))
    : when.cookie
      ? q.cookieValue(one.name)
      : one && parameter(q.queryText, one.name);
  // Without a wanted value, presence is enough.
  return have !== undefined && (typeof one.value !== 'string' || one.value === have);
}

// The first query parameter of a name, as it is on the wire; undefined where there is none.
export function parameter(query, name) {
  const found = query.split('&').filter((pair) => pair && pair.split('=')[0] === name)[0];
  return found && found.slice(name.length + 1);
}
