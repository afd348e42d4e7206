// One request: from what the viewer asked to what CloudFront is told to do with it.

import { decide } from '../core/decide.js';
import { anyCovers, covers } from '../core/pattern.js';
import { encodePath, normalisePath } from '../core/path.js';
import { pinName } from '../core/cookies.js';
import { letters } from '../core/table.js';
import { own } from '../core/text.js';
import { answered, nothing, outage, say } from './pages.js';
import { pass } from './pass.js';
import { isReserved } from './reserved.js';
import { fileOf } from './site.js';

// `q` is a request as `decide` takes it, with `rawPath` (as it came) instead of `normalPath`. `t` is the table, or null where
// there is none to be had; `keys` those of previews, or null where they cannot be read. `reserved` answers the addresses of
// the edge, where they come here. Gives a reply, or what to pass on.
export function route(q, t, keys, settings, reserved) {
  const normal = normalisePath(q.rawPath);
  const path = normal.path;
  if (normal.error) {
    return answered(say(false, 400, 'refused', 'The path is refused: ' + normal.error), { reason: 'refused' });
  }
  q.normalPath = path;
  const s = settings.routing;
  // Without keys nobody knows whether a preview may be shown, and the public release must not be taken for it.
  if (!t || (!keys && q.cookieValue(pinName(s.secure) + '-preview') !== undefined)) return outage(true, settings);
  s.keys = keys || {};
  if (isReserved(path)) return reserved ? reserved(q, t, settings) : nothing();
  APP: return routeApp(q, t, settings, normal);
  return nothing();
}

function routeApp(q, t, settings, normal) {
  const path = normal.path;
  const d = decide(q, t, settings.routing);
  const page = d.kind === 'navigation';
  if (d.ended) {
    const leave = page ? ' <a href=/.cutover/leave>Back to the app</a>' : '';
    return answered(say(page, 410, d.reason, 'This preview is over (' + d.ended + ').' + leave), d);
  }
  if (d.reason === 'no-release') return answered(say(page, 503, d.reason, 'There is no release here yet.'), d);

  const name = serviceOf(settings, path);
  const file = !name && fileOf(path, page, settings.site);
  // CloudFront has chosen the behaviour by the spelling: its policies must be those of what answers.
  if (!d.release || !(name || file) || (!normal.plain && name !== serviceOf(settings, q.rawPath))) {
    return answered(nothing(page), d);
  }
  // A preview is a miss every time.
  const key = d.token ? d.release + '~' + d.token.tid + '~' + q.uniqueId : d.release;
  if (!name) {
    // The commons: a fingerprinted path has the same bytes in every release that has it.
    const common = !d.token && anyCovers(settings.site.fingerprinted, file);
    if (common) d.reason = 'commons';
    return pass(d, t, (common ? '/c' : '/r/' + d.release) + encodePath(file), common ? 'commons' : key);
  }
  const service = settings.services[name];
  const slot = letters(t, d.release).charAt(1);
  const origin = service.origins && (own(service.origins, slot) || service.origins.any);
  if (service.origins && !origin) return answered(outage(page, settings), d);
  const said = pass(d, t, normal.plain ? q.rawPath : encodePath(path), key);
  said.newHeaders.component = name;
  said.newHeaders['request-id'] = q.uniqueId;
  if (slot) said.newHeaders.slot = slot === 'b' ? 'blue' : 'green';
  if (service.via === 'lambda') said.newHeaders.origin = origin;
  else said.originId = origin;
  return said;
}

// The service that has the path; routes are listed with the most specific one first.
function serviceOf(settings, path) {
  return (settings.routes.filter((listed) => covers(listed[0], path))[0] || [])[1];
}
