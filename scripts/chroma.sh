#!/bin/bash
# A real Chroma server for the tests: a throw-away one on 127.0.0.1, thrown away by stop. It needs Node 20 or newer.
#
#   scripts/chroma.sh install   fetch the server from npm, once (nothing to do when it is there)
#   scripts/chroma.sh start     start it and print its URL; CHROMA_PORT chooses the port, else a free one is taken
#   scripts/chroma.sh url       print the URL of the running one
#   scripts/chroma.sh stop      stop it and remove its data
#
# CHROMATEST_DIR is where its data lives; several can run side by side with different ones. CHROMATEST_HOME keeps the server.
# Anybody on this machine can connect while it runs.
set -euo pipefail

# The newest bindings that run on glibc 2.36 (Debian 12); those from 1.0.9 on need 2.39.
client=3.0.14
server=1.0.5
semver=7.7.1

dir=${CHROMATEST_DIR:-${TMPDIR:-/tmp}/byline-chroma-$(id -u)}
home=${CHROMATEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/byline-test/chroma-$client-$server}
cli=$home/node_modules/chromadb/dist/cli.mjs

# shellcheck source=scripts/server.sh
. "$(dirname "$0")/server.sh"

installed() { [ -f "$home/complete" ] && [ -f "$cli" ]; }

case ${1:-} in
install)
	installed && exit 0
	command -v npm >/dev/null || { echo "Node with npm is needed to install the Chroma server." >&2; exit 1; }
	rm -rf "$home"
	mkdir -p "$home"
	bindings=
	for platform in darwin-arm64 darwin-x64 linux-arm64-gnu linux-x64-gnu win32-x64-msvc; do
		bindings+="\"chromadb-js-bindings-$platform\": \"$server\", "
	done
	cat >"$home/package.json" <<-EOF
		{"private": true, "dependencies": {"chromadb": "$client"}, "overrides": {$bindings"semver": "$semver"}}
	EOF
	(cd "$home" && npm install --no-audit --no-fund --ignore-scripts --no-package-lock --loglevel=error >&2)
	touch "$home/complete"
	;;
start)
	running && { url; exit 0; }
	installed || { echo "The Chroma server is not here; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir"
	launch_on() {
		node "$cli" run --host 127.0.0.1 --port "$1" --path "$dir/data" >"$dir/log" 2>&1 </dev/null &
		echo $! >"$dir/pid"
	}
	launch "${CHROMA_PORT:-}"
	;;
url)
	running || { echo "No Chroma of the tests runs; try: $0 start" >&2; exit 1; }
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
