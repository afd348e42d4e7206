// Files that are asked for by the name of their release.

import { letters, servable } from './table.js';

// `/_r/<release>/...`: static files that name their release.
// `token` is that of the preview cookie, verified or not, or null.
export function byPath(q, t, token, kind) {
  const named = /^\/_r\/([a-z0-9]{8,16})\//.exec(q.normalPath);
  if (named && /^(GET|HEAD)$/.test(q.verb)) {
    const release = named[1];
    const staged = token && token.release === release && !token.error && /^s/.test(letters(t, release));
    if (servable(t, release) || staged) {
      const rest = q.normalPath.slice(4 + release.length);
      return { release: release, rest: rest, reason: staged ? 'preview' : 'path', kind: kind };
    }
  }
  return { reason: 'path', kind: kind };
}
