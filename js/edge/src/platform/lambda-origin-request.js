// Origin requests: the origin that viewer-request chose. Only misses of the cache come here, and nothing is decided.

import { own } from '../core/text.js';
import { outage } from '../edge/pages.js';
import { answer, setHeader } from './lambda-events.js';

// The request with its origin; a 503 where the policies of the behaviour keep the choice from coming here, since any other
// origin might be another release.
export function originRequest(request, settings) {
  const header = (name) => request.headers[name]?.[0]?.value;
  const id = header('x-cutover-origin');
  const component = header('x-cutover-component');
  const place = component === undefined ? undefined : own(settings.services ?? {}, component);
  if (id !== undefined || place?.via === 'lambda') {
    const origin = id !== undefined ? own(settings.origins ?? {}, id) : undefined;
    if (!origin) {
      console.log(`cutover: no origin ${id} for ${component}; the origin request policy has to pass x-cutover-origin`);
      return answer(outage(false, settings), settings);
    }
    request.origin = { custom: { ...origin } };
    // CloudFront asks the new domain by its own name.
    setHeader(request.headers, 'host', origin.domainName);
  }
  // For us alone.
  delete request.headers['x-cutover-origin'];
  delete request.headers['x-cutover-note'];
  return request;
}
