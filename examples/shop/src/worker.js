// This build has no service worker.

export function registerWorker() {}
