// Requests and answers as Lambda@Edge has them: headers are lists of `{ key, value }` under lower-case names.

import { attributes, cookieIn, isOurs, pinName } from '../core/cookies.js';
import { dress } from '../edge/dress.js';

// The request as the decision takes it.
export function readRequest(cf, settings) {
  const request = cf.request;
  const values = (name) => (request.headers[name] ?? []).map(({ value }) => value);
  return {
    verb: request.method,
    rawPath: request.uri,
    queryText: request.querystring ?? '',
    headerValue: (name) => values(name)[0],
    cookieValue: (name) => cookieIn(values('cookie'), name),
    clientAddress: request.clientIp,
    // A header of the viewer's own unless the distribution sets it.
    clientCountry: settings.country && values('cloudfront-viewer-country')[0],
    uniqueId: cf.config.requestId,
    unixTime: Math.floor(Date.now() / 1000),
  };
}

// The request as it goes on.
export function changeRequest(request, said) {
  const headers = request.headers;
  for (const name of Object.keys(headers)) {
    if (/^x[-_]cutover[-_]/.test(name) || (said.strip && /^if-(none-match|modified-since)$/.test(name))) {
      delete headers[name];
    }
  }
  for (const [name, value] of Object.entries(said.newHeaders)) setHeader(headers, `x-cutover-${name}`, value);
  const pairs = (headers.cookie ?? []).flatMap(({ value }) => value.split(';')).map((pair) => pair.trim());
  const others = pairs.filter((pair) => pair && !isOurs(pair.split('=')[0].trim()));
  if (others.length) setHeader(headers, 'cookie', others.join('; '));
  else delete headers.cookie;
  request.uri = said.newUri;
  return request;
}

// An answer of our own.
export function answer(said, settings) {
  const secure = settings.routing.secure;
  const headers = {};
  for (const [name, value] of Object.entries(said.replyHeaders)) setHeader(headers, name, `${value}`);
  const cookie = said.setCookie ?? (said.clear && [`${pinName(secure)}-preview`, '', 0]);
  if (cookie) setHeader(headers, 'set-cookie', `${cookie[0]}=${cookie[1]}; ${attributes(secure, cookie[2])}`);
  return { status: `${said.replyStatus}`, headers, body: said.replyBody };
}

// An answer on its way to the viewer.
export function dressResponse(request, response, settings) {
  const note = request.headers['x-cutover-note']?.[0]?.value;
  // Without a note viewer-request did not see this request, and there is nothing to say.
  if (!note) return response;
  const headers = response.headers;
  if (headers['set-cookie']) {
    headers['set-cookie'] = headers['set-cookie'].filter(({ value }) => !isOurs(value.split(/[=;]/)[0].trim()));
  }
  const view = {
    has: (name) => headers[name] !== undefined,
    get: (name) => headers[name]?.[0]?.value,
    set: (name, value) => setHeader(headers, name, value),
    remove: (name) => delete headers[name],
    names: () => Object.keys(headers),
  };
  const q = { method: request.method, header: (name) => request.headers[name]?.[0]?.value };
  dress(note, q, +response.status, view, settings.routing.secure, (name, value, attributes) => {
    headers['set-cookie'] = [
      ...(headers['set-cookie'] ?? []),
      { key: 'Set-Cookie', value: `${name}=${value}; ${attributes}` },
    ];
  });
  return response;
}

export function setHeader(headers, name, value) {
  headers[name] = [{ key: name, value }];
}
