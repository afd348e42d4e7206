// Keeps a page whole while releases change: requests the page makes to its own origin carry the page's release.
// Served by the edge at /.cutover/visit.js. The document names its release in <meta name="cutover-release">.
(function () {
  "use strict";
  var MARK = "__cutover_visit";
  if (document[MARK]) return;
  try {
    Object.defineProperty(document, MARK, { value: true });
  } catch (_) {
    return;
  }
  var HEADER = "x-cutover-release";
  var meta = document.querySelector('meta[name="cutover-release"]');
  var release = (meta && meta.getAttribute("content")) || null;
  var listeners = [];
  var told = null;
  var asking = false;
  var nativeFetch = window.fetch;

  function sameOrigin(url) {
    try {
      return new URL(url, document.baseURI).origin === location.origin;
    } catch (_) {
      return false;
    }
  }

  // The page's own init stays as it is, whatever it is made of.
  function extend(init, headers) {
    return Object.create(init || null, { headers: { value: headers, enumerable: true } });
  }

  // fetch: whatever goes wrong here, the page's own call goes out as it was made.
  if (release && typeof nativeFetch === "function" && typeof Request === "function") {
    window.fetch = function fetch(input, init) {
      var args = arguments;
      try {
        var isRequest = input instanceof Request;
        if (sameOrigin(isRequest ? input.url : String(input))) {
          if (init && init.headers !== undefined) {
            var headers = new Headers(init.headers);
            if (!headers.has(HEADER)) headers.set(HEADER, release);
            args = [input, extend(init, headers)];
          } else if (isRequest) {
            // In place: a request made anew would lose its referrer.
            if (!input.headers.has(HEADER)) input.headers.set(HEADER, release);
          } else {
            args = [input, extend(init, new Headers([[HEADER, release]]))];
          }
        }
      } catch (_) {
        args = arguments;
      }
      return nativeFetch.apply(this === undefined ? window : this, args);
    };
  }

  if (release && typeof XMLHttpRequest === "function") {
    var proto = XMLHttpRequest.prototype;
    var open = proto.open;
    var send = proto.send;
    var setHeader = proto.setRequestHeader;
    var marks = typeof WeakMap === "function" ? new WeakMap() : null;
    if (marks) {
      proto.open = function (method, url) {
        var result = open.apply(this, arguments);
        try {
          marks.set(this, sameOrigin(String(url)));
        } catch (_) {}
        return result;
      };
      proto.setRequestHeader = function (name) {
        try {
          if (String(name).toLowerCase() === HEADER) marks.set(this, false);
        } catch (_) {}
        return setHeader.apply(this, arguments);
      };
      proto.send = function () {
        try {
          if (marks.get(this)) setHeader.call(this, HEADER, release);
          marks.set(this, false);
        } catch (_) {}
        return send.apply(this, arguments);
      };
    }
  }

  // Asked when the page comes back to the front, never by the clock.
  function check() {
    if (!release || !listeners.length || asking || typeof nativeFetch !== "function") return;
    asking = true;
    nativeFetch
      .call(window, "/.cutover/state", { cache: "no-store", credentials: "same-origin" })
      .then(function (answer) {
        return answer.ok ? answer.json() : null;
      })
      .then(function (state) {
        asking = false;
        if (!state || !state.default || state.preview) return;
        if (state.default === release || state.default === told) return;
        told = state.default;
        listeners.slice().forEach(function (listener) {
          try {
            listener({ release: release, available: state.default, generation: state.generation });
          } catch (error) {
            // The page's own mistake is the page's to see, and stops nobody else.
            setTimeout(function () {
              throw error;
            });
          }
        });
      })
      .catch(function () {
        asking = false;
      });
  }

  document.addEventListener("visibilitychange", function () {
    if (document.visibilityState === "visible") check();
  });
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) check();
  });

  var api = {
    release: release,
    // Calls back when another release has become the default. Returns a function that ends it.
    onUpdate: function (listener) {
      if (typeof listener !== "function") return function () {};
      listeners.push(listener);
      return function () {
        var at = listeners.indexOf(listener);
        if (at >= 0) listeners.splice(at, 1);
      };
    },
    // Asks now.
    check: check,
  };
  // A name the page uses itself stays the page's.
  if (window.cutover === undefined) {
    try {
      Object.defineProperty(window, "cutover", { value: api, configurable: true, writable: true });
    } catch (_) {}
  }
})();
