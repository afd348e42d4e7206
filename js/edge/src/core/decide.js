// The decision: one pure function, asked once for each request. The order of the rules is the contract (docs/routing.md).

import { belongs } from './audience.js';
import { isBot } from './bots.js';
import { byPath } from './by-path.js';
import { classify } from './classify.js';
import { pinName } from './cookies.js';
import { anyCovers } from './pattern.js';
import { formatPin, parsePin } from './pin.js';
import { holdsByPolicy, letters, servable, target } from './table.js';
import { bucketOf, isRelease, own } from './text.js';
import { verifyToken } from './token.js';
import { goesOn } from './visit.js';

// Picks a release for a request.
//
// `q`: verb (the method), normalPath (without the query), queryText, headerValue(name) and cookieValue(name) (undefined where
// absent), clientAddress, clientCountry, uniqueId (of the
// request), unixTime. `t`: a table; `t.behind` marks one that is known to be old, whose edge believes every pin.
// `s`: the settings; `s.keys` has the secret of each kid.
//
// Gives `{ release, reason, kind }` and beside them: `rest` (the file, where the path named the release), `token` of a
// preview, `ended` where a preview is over, `bucket` where one is known, `pin` to be set, `clear` (the preview cookie),
// `stale`, `strip` (conditionals), `bot`. Without a release the reason says what the answer is; see `actionOf`.
export function decide(q, t, s) {
  const kind = classify(q);
  const name = pinName(s.secure);
  const preview = q.cookieValue(name + '-preview');
  const token = preview === undefined ? null : verifyToken('d1', preview, s.host, s.keys, q.unixTime);
  RESERVED: if (/^\/_r(\/|$)/.test(q.normalPath)) return byPath(q, t, token, kind);
  if (token && token.release) return shown(t, s, kind, token);

  const given = q.cookieValue(name);
  const pin = parsePin(given);
  const held = pin && servable(t, pin.release) ? pin.release : null;
  const bucket = pin ? pin.bucket : bucketOf(q.uniqueId);
  const owner = target(t, bucket);
  const said = q.headerValue('x-cutover-release');
  const moves = kind === 'navigation' || kind === 'service-worker';
  const hint = !moves && isRelease(said) ? said : null;
  const bot = moves && !pin && isBot(q);
  const ahead = pin ? pin.generation - t.g : 0;
  let invited;
  const reason = moves
    ? held && (t.behind || (ahead > 0 && ahead <= 300))
      ? 'newer-pin'
      : held && anyCovers(s.keep, q.normalPath)
        ? 'keep'
        : (invited = invitation(q, t, s))
          ? 'audience'
          : bot
            ? 'bot'
            : !pin
              ? 'new'
              : held && held === owner
                ? 'pin'
                : held && keeps(q, t, s, held)
                  ? s.policy
                  : 'moved'
    : hint && servable(t, hint)
      ? 'hint'
      : held
        ? 'pin'
        : pin
          ? 'stale'
          : s.cookieless === 'split'
            ? 'split'
            : 'default';
  const standard = reason === 'bot' || reason === 'default';
  const release =
    invited || (reason === 'hint' ? hint : standard ? t.d : reason === 'moved' ? owner : held || owner);
  const fresh = formatPin(release, bucket, t.g);
  const d = { kind: kind, reason: 'no-release', clear: !!token };
  // For whoever watches; nothing is done with it here.
  TOLD: {
    d.bucket = pin || (moves ? !bot : reason === 'split') ? bucket : null;
    d.bot = bot;
  }
  if (release) {
    d.release = release;
    d.reason = reason;
    d.pin = moves && !bot && reason !== 'newer-pin' && fresh !== given ? fresh : '';
    // The document that asks is of another release than the one that answers, and is told so.
    d.stale = reason === 'stale' || (!!hint && hint !== release);
    d.strip = !pin || pin.release !== release;
  }
  return d;
}

// What is done with the request, in the words of the vectors.
export function actionOf(d) {
  return d.ended || d.reason === 'no-release'
    ? d.reason
    : !d.release
      ? 'not-found'
      : d.token
        ? 'preview'
        : d.rest === undefined
          ? 'serve'
          : 'path';
}

// A good mac: the preview, or that it is over.
function shown(t, s, kind, token) {
  const known = letters(t, token.release);
  const ended = token.error || (!known ? 'unknown' : /^x/.test(known) && 'withdrawn');
  const d = { kind: kind, reason: 'preview', strip: true };
  if (ended) {
    d.reason = 'preview-ended';
    d.ended = ended;
  } else if (kind !== 'service-worker' || s.preview_service_worker) {
    // A worker installed by a preview would outlive it and serve the preview to ordinary visits.
    d.release = token.release;
    d.token = token;
  }
  return d;
}

// What the first audience gets that the request belongs to and that has a release.
function invitation(q, t, s) {
  AUDIENCES: {
    const rule = (s.audiences || []).filter((rule) => {
      const release = own(t.a, rule.name);
      return release && servable(t, release) && belongs(rule.when, q);
    })[0];
    return rule && t.a[rule.name];
  }
}

// Policies hold against promotion only.
function keeps(q, t, s, held) {
  if (!holdsByPolicy(t, held)) return false;
  ENTRY: if (s.policy === 'entry') return goesOn(q, s.host);
  return s.policy === 'sticky';
}
