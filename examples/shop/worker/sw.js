// A cache-first service worker: the shell and every file of one build, answered without asking the network.
//
// Its bytes name the build, so a browser that finds another `sw.js` installs another build. What it must never answer:
// the service, redirects of a login, and Cutover's own addresses, of which previews depend on the network.

const BUILD = /* filled in by the build */ { id: '', files: [] };
const CACHE = `shop-${BUILD.id}`;
const NETWORK = ['/api/', '/callback', '/.cutover/', '/_r/'];

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(['/', ...BUILD.files].map((path) => new Request(path, { cache: 'no-cache' }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)))),
  );
});

self.addEventListener('fetch', (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== 'GET' || origin !== location.origin) return;
  if (NETWORK.some((prefix) => pathname.startsWith(prefix))) return;
  const wanted = event.request.mode === 'navigate' ? '/' : event.request;
  event.respondWith(
    caches.open(CACHE).then((cache) => cache.match(wanted)).then((kept) => kept ?? fetch(event.request)),
  );
});
