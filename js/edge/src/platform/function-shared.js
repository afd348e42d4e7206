// What CloudFront Functions for viewer requests share: their event, the KeyValueStore, their answers.

import cf from 'cloudfront';

import { attributes, isOurs, pinName } from '../core/cookies.js';
import { trustTable } from '../core/table.js';
import { keyOf } from '../core/token.js';
import { outage } from '../edge/pages.js';
import { route } from '../edge/route.js';

const settings = CUTOVER_SETTINGS;

// Answers an event. The table is in the KeyValueStore under `rt`, preview keys under `k:<kid>`; `tokenOf` gives the token
// whose key may be needed, `reserved` answers the addresses of the edge.
export async function serve(event, tokenOf, reserved) {
  const request = event.request;
  try {
    const q = read(event, request);
    const store = cf.kvs();
    let keys;
    // An `await` among a call's arguments crashes njs, and may crash what is like it.
    const text = await look(store, 'rt');
    let t = trustTable(text);
    if (t) {
      keys = {};
      const kid = keyOf(tokenOf(q, pinName(settings.routing.secure) + '-preview'));
      if (kid) keys[kid] = await look(store, 'k:' + kid);
    } else {
      // The table that was baked in.
      t = trustTable(settings.fallback);
      if (t) t.behind = true;
    }
    const said = route(q, t, keys, settings, reserved);
    return said.newUri ? change(request, said) : answer(said);
  } catch (e) {
    console.log('' + e);
    return answer(outage(true, settings));
  }
}

// What is not there and what cannot be read are alike: a key that is gone was taken away.
async function look(store, name) {
  try {
    return await store.get(name);
  } catch (e) {
    return '';
  }
}

// The request as the decision takes it.
function read(event, request) {
  const from = (fields) => (name) => {
    const field = {}.hasOwnProperty.call(fields, name) && fields[name];
    return field ? (field.multiValue || [field])[0].value : undefined;
  };
  const q = {
    verb: request.method,
    rawPath: request.uri,
    headerValue: from(request.headers),
    cookieValue: from(request.cookies),
    uniqueId: event.context.requestId,
    unixTime: Math.floor(Date.now() / 1000),
  };
  NETWORKS: q.clientAddress = event.viewer.ip;
  AUDIENCES: {
    q.queryText = (request.rawQueryString && request.rawQueryString()) || '';
    // A header of the viewer's own unless the distribution sets it.
    q.clientCountry = settings.country && q.headerValue('cloudfront-viewer-country');
  }
  return q;
}

function change(request, said) {
  const headers = request.headers;
  Object.keys(headers).forEach((name) => {
    if (/^x[-_]cutover[-_]/.test(name) || (said.strip && /^if-(none-match|modified-since)$/.test(name))) {
      delete headers[name];
    }
  });
  Object.keys(said.newHeaders).forEach((name) => {
    headers['x-cutover-' + name] = { value: said.newHeaders[name] };
  });
  Object.keys(request.cookies).forEach((name) => {
    if (isOurs(name)) delete request.cookies[name];
  });
  request.uri = said.newUri;
  if (said.originId) cf.selectRequestOriginById(said.originId);
  return request;
}

function answer(said) {
  const secure = settings.routing.secure;
  const response = { statusCode: said.replyStatus, headers: {}, cookies: {}, body: said.replyBody };
  Object.keys(said.replyHeaders).forEach((name) => {
    response.headers[name] = { value: said.replyHeaders[name] };
  });
  const cookie = said.setCookie || (said.clear && [pinName(secure) + '-preview', '', 0]);
  if (cookie) response.cookies[cookie[0]] = { value: cookie[1], attributes: attributes(secure, cookie[2]) };
  return response;
}
