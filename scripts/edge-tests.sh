#!/bin/sh
# Tests of the functions that run at a content network's edge. Arguments go to `node --test`.
set -eu
cd "$(dirname "$0")/.."

scripts/setup-edge-tests.sh
cd js/edge
node build.mjs --check
exec node --test --test-timeout=120000 --test-reporter=spec "$@" test/*.test.mjs
