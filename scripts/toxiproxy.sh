#!/bin/bash
# Toxiproxy, which the tests put between the program and a real server to let the network fail. It needs Go.
#
#   scripts/toxiproxy.sh install   build it, once (nothing to do when it is there)
#   scripts/toxiproxy.sh start     start it and print its URL; TOXIPROXY_PORT chooses the port, else a free one is taken
#   scripts/toxiproxy.sh url       print the URL of the running one
#   scripts/toxiproxy.sh stop      stop it
#
# TOXITEST_DIR is where its log lives; several can run side by side with different ones. TOXITEST_HOME keeps the program.
# Anybody on this machine can connect while it runs.
set -euo pipefail

version=2.12.0

dir=${TOXITEST_DIR:-${TMPDIR:-/tmp}/byline-toxiproxy-$(id -u)}
home=${TOXITEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/byline-test/toxiproxy-$version}

# shellcheck source=scripts/server.sh
. "$(dirname "$0")/server.sh"

case ${1:-} in
install)
	[ -x "$home/server" ] || (cd / && GOFLAGS= GOBIN="$home" go install "github.com/Shopify/toxiproxy/v2/cmd/server@v$version")
	;;
start)
	running && { url; exit 0; }
	[ -x "$home/server" ] || { echo "Toxiproxy is not here; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir"
	launch_on() {
		"$home/server" -host 127.0.0.1 -port "$1" >"$dir/log" 2>&1 </dev/null &
		echo $! >"$dir/pid"
	}
	launch "${TOXIPROXY_PORT:-}"
	;;
url)
	running || { echo "No Toxiproxy of the tests runs; try: $0 start" >&2; exit 1; }
	url
	;;
stop)
	halt
	rm -rf "$dir"
	;;
*)
	sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
