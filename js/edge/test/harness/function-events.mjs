// Events as CloudFront gives them to functions and to Lambda@Edge, made of described requests.
//
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html

// Browsers have something to revalidate, so that it shows whether that was dropped.
const CONDITIONALS = [
  ['if-none-match', '"1"'],
  ['if-modified-since', 'Sat, 01 Jan 2000 00:00:00 GMT'],
];

// The address of who is described without one.
export const SOMEBODY = '198.18.7.7';

function fieldsOf(request) {
  const country = request.country ? [['cloudfront-viewer-country', request.country]] : [];
  return [...request.headers, ...country, ...CONDITIONALS];
}

// An event of a CloudFront Function for viewer requests. The raw query is a method there, and added by whoever runs it.
export function functionEvent(request) {
  const headers = {};
  const cookies = {};
  for (const [name, value] of fieldsOf(request)) {
    if (name !== 'cookie') add(headers, name, value);
    else {
      for (const pair of value.split(';').map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))) {
        const equals = pair.indexOf('=');
        if (equals > 0) add(cookies, pair.slice(0, equals), pair.slice(equals + 1));
      }
    }
  }
  const querystring = {};
  for (const pair of request.query.split('&').filter(Boolean)) {
    const [name] = pair.split('=');
    add(querystring, name, pair.slice(name.length + 1));
  }
  return {
    version: '1.0',
    context: {
      distributionDomainName: 'd111111abcdef8.cloudfront.net',
      distributionId: 'EDFDVBD6EXAMPLE',
      eventType: 'viewer-request',
      requestId: request.request_id,
    },
    viewer: { ip: request.client ?? SOMEBODY },
    request: { method: request.method, uri: request.uri, querystring, headers, cookies },
  };
}

function add(fields, name, value) {
  // As JSON.parse does, so that no name is special.
  const had = Object.hasOwn(fields, name) ? fields[name] : undefined;
  const field = had ? { value: had.value, multiValue: [...(had.multiValue ?? [had]), { value }] } : { value };
  Object.defineProperty(fields, name, { value: field, enumerable: true, configurable: true, writable: true });
}

// An event of Lambda@Edge for viewer requests.
export function lambdaEvent(request) {
  const headers = {};
  for (const [name, value] of fieldsOf(request)) {
    (headers[name] ??= []).push({ key: name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()), value });
  }
  return {
    Records: [
      {
        cf: {
          config: {
            distributionDomainName: 'd111111abcdef8.cloudfront.net',
            distributionId: 'EDFDVBD6EXAMPLE',
            eventType: 'viewer-request',
            requestId: request.request_id,
          },
          request: {
            clientIp: request.client ?? SOMEBODY,
            method: request.method,
            uri: request.uri,
            querystring: request.query,
            headers,
          },
        },
      },
    ],
  };
}

// The same event further on: the viewer's answer to what became of the request.
export function lambdaResponseEvent(event, request, response) {
  const config = { ...event.Records[0].cf.config, eventType: 'viewer-response' };
  return { Records: [{ cf: { config, request, response } }] };
}
