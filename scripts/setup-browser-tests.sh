#!/bin/sh
# Makes sure that what the browser tests need is here: Node 20.19, 22.12 or newer, npm, Chromium, and the packages of the
# test and bundler projects. Installs what it may; says plainly what is missing and ends with 1 where it may not.
set -eu
cd "$(dirname "$0")/.."

missing=
lacks() {
  missing="$missing
- $1"
}

# Debian's package, by whoever may install packages.
install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  echo "installing $1 with apt-get" >&2
  apt-get install --yes --no-install-recommends "$1" >&2 ||
    { apt-get update >&2 && apt-get install --yes --no-install-recommends "$1" >&2; }
}

if ! command -v node >/dev/null 2>&1; then
  lacks "node 20.19 or newer: https://nodejs.org/"
elif ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)'; then
  lacks "node 20.19, 22.12 or newer; this is $(node --version)"
fi
command -v npm >/dev/null 2>&1 || lacks "npm, which comes with node"

chromium=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$chromium" ] && { [ -n "${CHROMIUM:-}" ] || ! install chromium; }; then
  lacks "Chromium at $chromium: Debian's package \`chromium\` (apt-get install chromium), or set CHROMIUM to another"
fi

if [ -n "$missing" ]; then
  echo "The browser tests cannot run; missing:$missing" >&2
  exit 1
fi

for project in tests/browser examples/shop/bundlers/vite examples/shop/bundlers/webpack; do
  # npm leaves its own copy of the lock file behind when it is done; an older one than ours means that ours has changed.
  if [ ! "$project/node_modules/.package-lock.json" -nt "$project/package-lock.json" ]; then
    echo "npm ci in $project" >&2
    (cd "$project" && npm ci --no-audit --no-fund --loglevel=error >&2) || {
      echo "The browser tests cannot run: \`npm ci\` failed in $project. It needs the npm registry, or a filled cache." >&2
      exit 1
    }
  fi
done
