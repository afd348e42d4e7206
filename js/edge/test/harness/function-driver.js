// Gives requests to the functions and says what is seen of the answers. In the language of CloudFront Functions, because it
// runs under njs as well.

// `functions`: request, own, response. `world`: what the stubs of the platform read: store, time, chosen (an origin's id).
// `jobs`: `{ event, query, store, time }`. The answers are passed to `done`.
export function drive(functions, world, jobs, done) {
  const seen = [];
  const next = (at) => {
    if (at === jobs.length) return done(seen);
    return one(functions, world, jobs[at]).then((said) => {
      seen.push(said);
      return next(at + 1);
    });
  };
  return next(0);
}

function one(functions, world, job) {
  const event = job.event;
  world.store = job.store;
  world.time = job.time;
  world.chosen = '';
  event.request.rawQueryString = () => job.query;
  const own = /^\/(_r|\.cutover)(\/|$)/.test(job.normal);
  return Promise.resolve((own ? functions.own : functions.request)(event)).then((said) => {
    if (said.statusCode) return replied(said);
    event.context.eventType = 'viewer-response';
    event.response = {
      statusCode: 200,
      headers: { 'content-type': { value: 'text/html; charset=utf-8' }, 'cache-control': { value: 'max-age=60' } },
      cookies: {},
    };
    return Promise.resolve(functions.response(event)).then((answer) => passed(said, answer, world));
  });
}

function value(fields, name) {
  return fields[name] ? fields[name].value : '';
}

function cookieOf(cookies, part) {
  const name = Object.keys(cookies).filter((name) => /preview$/.test(name) === part)[0];
  return name ? cookies[name] : null;
}

function replied(said) {
  const preview = cookieOf(said.cookies, true);
  return {
    status: said.statusCode,
    release: value(said.headers, 'x-cutover-release'),
    reason: value(said.headers, 'x-cutover-reason'),
    stale: value(said.headers, 'x-cutover-stale') === '1',
    clear: !!preview && !preview.value,
    preview: preview ? preview.value : '',
    location: value(said.headers, 'location'),
    body: said.body,
    cached: value(said.headers, 'cache-control'),
  };
}

function passed(request, answer, world) {
  const note = value(request.headers, 'x-cutover-note').split('~');
  const preview = cookieOf(answer.cookies, true);
  const pin = cookieOf(answer.cookies, false);
  return {
    release: value(request.headers, 'x-cutover-release'),
    reason: value(answer.headers, 'x-cutover-reason'),
    shown: value(answer.headers, 'x-cutover-release'),
    kind: note[2],
    stale: value(answer.headers, 'x-cutover-stale') === '1',
    clear: !!preview && !preview.value,
    set: pin ? pin.value : '',
    attributes: pin ? pin.attributes : '',
    strip: !request.headers['if-none-match'] && !request.headers['if-modified-since'],
    key: value(request.headers, 'x-cutover-key'),
    uri: request.uri,
    origin: world.chosen,
    cached: value(answer.headers, 'cache-control'),
    left: Object.keys(request.cookies).filter((name) => /^(__host-)?cutover(-preview)?$/i.test(name)).length,
  };
}
