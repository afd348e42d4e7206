#!/bin/sh
# Builds the example shop with every bundler and runs the browser tests on all its builds. Arguments go to `node --test`,
# e.g. `--test-name-pattern=rollback`. CUTOVER_BIN names another binary than target/debug/cutover, which is built here;
# SHOP_BUILDS=builtin,vite,webpack narrows the builds.
set -eu
cd "$(dirname "$0")/.."

scripts/setup-browser-tests.sh

if [ -z "${CUTOVER_BIN:-}" ]; then
  cargo build --quiet --package cutover-cli
fi
for bundler in vite webpack; do
  case ",${SHOP_BUILDS:-vite,webpack}," in
  *",$bundler,"*) (cd "examples/shop/bundlers/$bundler" && npm run --silent build -- one two one-worker two-worker) ;;
  esac
done

# Many test files at once would only make them wait for each other.
cd tests/browser
exec node --test --test-concurrency=2 --test-timeout=300000 --test-reporter=spec "$@" test/*.test.mjs
