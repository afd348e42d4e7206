#!/bin/sh
# Makes sure that what the tests of js/edge need is here: Node 20 or newer, npm, esbuild, and njs (the engine nearest to
# CloudFront's). Installs what it may; says plainly what is missing and ends with 1 where it may not. NJS names another njs;
# with NJS=none nothing is run under it, and the tests say so.
set -eu
cd "$(dirname "$0")/.."

cannot() {
  echo "The tests of js/edge cannot run: $1" >&2
  exit 1
}

command -v node >/dev/null 2>&1 || cannot "missing is node 20 or newer: https://nodejs.org/"
node -e 'process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)' ||
  cannot "they need node 20 or newer; this is $(node --version)"
command -v npm >/dev/null 2>&1 || cannot "missing is npm, which comes with node"

njs=${NJS:-njs}
if ! command -v "$njs" >/dev/null 2>&1 && [ -z "${NJS:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing njs with apt-get" >&2
  apt-get install --yes --no-install-recommends njs >&2 ||
    { apt-get update >&2 && apt-get install --yes --no-install-recommends njs >&2; } || true
fi
if [ "$njs" = none ]; then
  echo "NJS=none: nothing is run under njs" >&2
elif ! command -v "$njs" >/dev/null 2>&1; then
  cannot "missing is njs: Debian's package \`njs\` (apt-get install njs), or set NJS to another, or to none"
fi

cd js/edge
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  echo "npm ci in js/edge" >&2
  npm ci --no-audit --no-fund --loglevel=error >&2 ||
    cannot "\`npm ci\` failed in js/edge. It needs the npm registry, or a filled cache."
fi
