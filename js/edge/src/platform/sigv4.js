// AWS Signature Version 4, as much of it as one POST with a body needs.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

import crypto from 'crypto';

const hash = (text) => crypto.createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();

// The headers of the request with its signature. `headers` have lower-case names and hold `host`; `date` is when it is sent;
// `query` is in its canonical form.
export function signedHeaders({ method, path, query = '', headers, body, region, service, date, credentials }) {
  const stamp = date.toISOString().replace(/[-:]|\.\d+/g, '');
  const all = { ...headers, 'x-amz-date': stamp };
  if (credentials.token) all['x-amz-security-token'] = credentials.token;
  const names = Object.keys(all).sort();
  const listed = names.join(';');
  const canonical = [
    method,
    path,
    query,
    ...names.map((name) => `${name}:${all[name].trim()}`),
    '',
    listed,
    hash(body),
  ].join('\n');
  const scope = [stamp.slice(0, 8), region, service, 'aws4_request'].join('/');
  const key = scope.split('/').reduce(hmac, `AWS4${credentials.secret}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', stamp, scope, hash(canonical)].join('\n')).toString('hex');
  all.authorization = `AWS4-HMAC-SHA256 Credential=${credentials.id}/${scope}, SignedHeaders=${listed}, Signature=${signature}`;
  return all;
}
