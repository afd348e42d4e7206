// CloudFront Function for viewer requests of an app's own paths. Paths that belong to the edge have behaviours of their own,
// with `function-own`, because one function of 10 KB does not hold both; here they are 404.

import { serve } from './function-shared.js';

export function handler(event) {
  return serve(event, (q, name) => q.cookieValue(name) || '');
}
