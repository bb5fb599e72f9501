// Release __VERSION__ keeps nothing offline: the worker only takes over from the one before.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
