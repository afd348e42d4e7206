// This build works through a service worker that answers from its cache first.

export function registerWorker() {
  navigator.serviceWorker?.register('/sw.js').catch((error) => console.error(error));
}
