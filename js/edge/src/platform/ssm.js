// The routing table and the preview keys out of SSM's parameter store, by one call.
//
// Written by hand because the SDK that the runtime brings takes longer to load than the call.

import http from 'http';
import https from 'https';

import { signedHeaders } from './sigv4.js';

// How long a call may take, in milliseconds: a visitor may wait for it.
const TIMEOUT = 500;

// A function that reads both: `{ text, keys }`. `place`: region, `table` and `keys` (names of parameters; the second one a
// SecureString with a JSON object of kid to secret in base64, and absent where there are no previews), and `endpoint` where
// it is not AWS's.
export function parameterReader(place) {
  const url = new URL(place.endpoint ?? `https://ssm.${place.region}.amazonaws.com/`);
  const client = url.protocol === 'http:' ? http : https;
  const agent = new client.Agent({ keepAlive: true });
  const names = place.keys ? [place.table, place.keys] : [place.table];
  const body = JSON.stringify({ Names: names, WithDecryption: true });

  return async function read() {
    const headers = signedHeaders({
      method: 'POST',
      path: '/',
      headers: {
        'host': url.host,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'AmazonSSM.GetParameters',
      },
      body,
      region: place.region,
      service: 'ssm',
      date: new Date(),
      credentials: {
        id: process.env.AWS_ACCESS_KEY_ID ?? '',
        secret: process.env.AWS_SECRET_ACCESS_KEY ?? '',
        token: process.env.AWS_SESSION_TOKEN,
      },
    });
    const answer = await post(client, url, agent, headers, body);
    const value = (name) => answer.Parameters?.find((parameter) => parameter.Name === name)?.Value;
    const text = value(place.table);
    if (text === undefined) throw new Error(`there is no parameter ${place.table}`);
    return { text, keys: place.keys ? JSON.parse(value(place.keys) ?? '{}') : {} };
  };
}

function post(client, url, agent, headers, body) {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT);
    const request = client.request(url, { method: 'POST', agent, headers, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        try {
          const said = JSON.parse(text);
          if (response.statusCode === 200) resolve(said);
          else reject(new Error(`SSM answers ${response.statusCode} ${said.__type ?? ''}`));
        } catch {
          reject(new Error(`SSM answers ${response.statusCode}, which is no JSON`));
        }
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
