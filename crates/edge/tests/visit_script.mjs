// What visit.js does to a page, in a page made of stand-ins. Run by visit_script.rs.

import assert from "node:assert";
import fs from "node:fs";
import vm from "node:vm";

const script = fs.readFileSync(new URL("../src/visit.js", import.meta.url), "utf8");
const HEADER = "x-cutover-release";
const pause = () => new Promise((done) => setTimeout(done, 20));

/** A page of the release `meta` names, with what it sent. */
function page(meta, before, state = { generation: 9, default: "green002" }) {
  const fetched = [];
  const sent = [];
  const on = {};
  class XMLHttpRequest {
    open(method, url) {
      this.url = url;
      this.headers = {};
    }
    setRequestHeader(name, value) {
      this.headers[name.toLowerCase()] = value;
    }
    send() {
      sent.push(this);
    }
  }
  const base = "https://shop.example/a/b";
  const window = {
    document: {
      baseURI: base,
      visibilityState: "visible",
      querySelector: () => (meta ? { getAttribute: () => meta } : null),
      addEventListener: (name, listener) => (on[name] = listener),
    },
    location: { origin: "https://shop.example" },
    addEventListener: (name, listener) => (on[name] = listener),
    fetch(input, init) {
      fetched.push(new Request(input instanceof Request ? input : new URL(input, base), init));
      return Promise.resolve({ ok: true, json: async () => state });
    },
    URL, Request, Headers, WeakMap, XMLHttpRequest, setTimeout, Promise,
    ...before,
  };
  window.window = window;
  vm.createContext(window);
  const native = window.fetch;
  vm.runInContext(script, window);
  return { window, fetched, sent, on, native, header: () => fetched.at(-1).headers.get(HEADER) };
}

// fetch: to the page's own origin, whatever the arguments are made of.
{
  const { window, fetched, header } = page("blue0001");
  const once = window.fetch;
  vm.runInContext(script, window);
  assert.equal(window.fetch, once, "loaded twice, it wraps once");

  await window.fetch("/api/x");
  assert.equal(header(), "blue0001");
  await window.fetch(new URL("https://shop.example/u"));
  assert.equal(header(), "blue0001");
  await window.fetch("/n", null);
  assert.equal(header(), "blue0001");
  await window.fetch("/p", { method: "POST", body: "b", headers: { "x-a": "1" } });
  assert.equal(header(), "blue0001");
  assert.equal(fetched.at(-1).method + fetched.at(-1).headers.get("x-a"), "POST1");
  assert.equal(await fetched.at(-1).text(), "b");
  await window.fetch("/f", Object.freeze({ headers: Object.freeze([["x-a", "2"]]) }));
  assert.equal(header() + fetched.at(-1).headers.get("x-a"), "blue00012");

  await window.fetch(new Request("https://shop.example/r", { method: "PUT", body: "zz", headers: { "x-b": "3" } }));
  assert.equal(header() + fetched.at(-1).headers.get("x-b"), "blue00013");
  assert.equal(await fetched.at(-1).text(), "zz");
  await window.fetch(new Request("https://shop.example/r"), { headers: { "x-c": "4" } });
  assert.equal(header() + fetched.at(-1).headers.get("x-c"), "blue00014");
  await window.fetch("/own", { headers: { [HEADER]: "mine0000" } });
  assert.equal(header(), "mine0000", "the page's own word stands");

  // Elsewhere nothing is added: it would make the browser ask for permission first.
  for (const other of ["https://other.example/x", "//other.example/x", "https://shop.example:444/x"]) {
    await window.fetch(other);
    assert.equal(header(), null, other);
    await window.fetch(new Request(new URL(other, "https://shop.example")));
    assert.equal(header(), null, other);
  }
  assert.throws(() => window.fetch("http://[bad"), "the page's mistakes stay the page's");
}

// XMLHttpRequest.
{
  const { window, sent } = page("blue0001");
  const send = (url, header) => {
    const request = new window.XMLHttpRequest();
    request.open("GET", url);
    if (header) request.setRequestHeader("X-Cutover-Release", header);
    request.send();
    return sent.at(-1).headers[HEADER];
  };
  assert.equal(send("relative"), "blue0001");
  assert.equal(send("https://other.example/"), undefined);
  assert.equal(send("/own", "mine0000"), "mine0000");
}

// Another default is told once, when the page comes back, and only to who asked to be told.
{
  const { window, fetched, on, header } = page("blue0001");
  on.visibilitychange();
  assert.equal(fetched.length, 0, "nobody listens");
  const told = [];
  const end = window.cutover.onUpdate((update) => told.push(update));
  on.visibilitychange();
  await pause();
  assert.deepEqual({ ...told[0] }, { release: "blue0001", available: "green002", generation: 9 });
  assert.equal(new URL(fetched.at(-1).url).pathname, "/.cutover/state");
  assert.equal(header(), null);
  on.pageshow({ persisted: true });
  await pause();
  assert.equal(told.length, 1);
  end();
  const before = fetched.length;
  on.visibilitychange();
  await pause();
  assert.equal(fetched.length, before);
}

// A preview is not out of date because another release is the default.
{
  const { window, on } = page("blue0001", {}, { generation: 9, default: "green002", preview: "blue0001" });
  const told = [];
  window.cutover.onUpdate((update) => told.push(update));
  on.visibilitychange();
  await pause();
  assert.equal(told.length, 0);
}

// A page without a release, and a page that uses the name itself.
{
  const bare = page(null);
  assert.equal(bare.window.fetch, bare.native);
  assert.equal(bare.window.cutover.release, null);
  const named = page("blue0001", { cutover: { mine: 1 } });
  assert.equal(named.window.cutover.mine, 1);
  await named.window.fetch("/x");
  assert.equal(named.header(), "blue0001");
}
