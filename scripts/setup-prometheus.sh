#!/bin/sh
# Makes sure that a Prometheus server is here, for the tests that ask a real one. Installs Debian's package where it may;
# says plainly what is missing and ends with 1 where it may not. PROMETHEUS names another binary. Prints its path. (Where
# systemd runs, Debian's package also starts a server on port 9090; the tests start their own and leave it alone.)
set -eu

prometheus=${PROMETHEUS:-prometheus}
if ! command -v "$prometheus" >/dev/null 2>&1 && [ -z "${PROMETHEUS:-}" ] && [ "$(id -u)" = 0 ] &&
  command -v apt-get >/dev/null 2>&1; then
  echo "installing prometheus with apt-get" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get install --yes --no-install-recommends prometheus >&2 ||
    { apt-get update >&2 && apt-get install --yes --no-install-recommends prometheus >&2; } || true
fi
command -v "$prometheus" || {
  echo "The tests against a real Prometheus cannot run; missing: Debian's package \`prometheus\`" >&2
  echo "(apt-get install prometheus), or set PROMETHEUS to the path of another." >&2
  exit 1
}
