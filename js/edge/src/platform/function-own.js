// CloudFront Function for viewer requests of `/.cutover/*` and `/_r/*`.

import { linkToken, routeReserved } from '../edge/reserved.js';
import { serve } from './function-shared.js';

export function handler(event) {
  return serve(event, (q, name) => linkToken(q) || q.cookieValue(name) || '', routeReserved);
}
