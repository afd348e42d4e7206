// CloudFront Function for viewer responses: after the cache, so that no cookie is ever stored with an object.

import { isOurs } from '../core/cookies.js';
import { dress } from '../edge/dress.js';

const settings = CUTOVER_SETTINGS;

export function handler(event) {
  const request = event.request;
  const response = event.response;
  try {
    const headers = response.headers;
    const note = request.headers['x-cutover-note'];
    // Without a note the other function did not see this request, and there is nothing to say.
    if (!note) return response;
    response.cookies = response.cookies || {};
    Object.keys(response.cookies).forEach((name) => {
      if (isOurs(name)) delete response.cookies[name];
    });
    const view = {
      has: (name) => !!headers[name],
      get: (name) => headers[name] && headers[name].value,
      set: (name, value) => {
        headers[name] = { value: value };
      },
      remove: (name) => {
        delete headers[name];
      },
      names: () => Object.keys(headers),
    };
    const q = { method: request.method, header: (name) => request.headers[name] && request.headers[name].value };
    dress(note.value, q, response.statusCode, view, settings.routing.secure, (name, value, attributes) => {
      response.cookies[name] = { value: value, attributes: attributes };
    });
  } catch (e) {
    console.log('cutover: ' + e);
  }
  return response;
}
