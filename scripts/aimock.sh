#!/bin/bash
# A scripted model endpoint for the tests (aimock, from npm): OpenAI's chat and embeddings on 127.0.0.1. It needs Node 20 or newer.
#
#   scripts/aimock.sh install   fetch it from npm, once (nothing to do when it is there)
#   scripts/aimock.sh start     start it and print its URL; AIMOCK_PORT chooses the port, else a free one is taken
#   scripts/aimock.sh url       print the URL of the running one
#   scripts/aimock.sh stop      stop it
#
# What it answers stands in internal/driver/openai/testdata/aimock.json. AIMOCKTEST_DIR is where its log lives; several can run
# side by side with different ones. AIMOCKTEST_HOME keeps the program.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.43.0

dir=${AIMOCKTEST_DIR:-${TMPDIR:-/tmp}/byline-aimock-$(id -u)}
home=${AIMOCKTEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/byline-test/aimock-$version}
cli=$home/node_modules/@copilotkit/aimock/dist/aimock-cli.js

# shellcheck source=scripts/server.sh
. scripts/server.sh

url() { echo "http://127.0.0.1:$(cat "$dir/port")/v1"; }

installed() { [ -f "$home/complete" ] && [ -f "$cli" ]; }

case ${1:-} in
install)
	installed && exit 0
	command -v npm >/dev/null || { echo "Node with npm is needed to install aimock." >&2; exit 1; }
	rm -rf "$home"
	mkdir -p "$home"
	echo "{\"private\": true, \"dependencies\": {\"@copilotkit/aimock\": \"$version\"}}" >"$home/package.json"
	(cd "$home" && npm install --no-audit --no-fund --ignore-scripts --no-package-lock --loglevel=error >&2)
	touch "$home/complete"
	;;
start)
	running && { url; exit 0; }
	installed || { echo "aimock is not here; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir"
	cp internal/driver/openai/testdata/aimock.json "$dir/fixtures.json"
	echo '{"llm": {"fixtures": "./fixtures.json", "chunkSize": 6, "latency": 2}, "services": {"search": true}}' >"$dir/config.json"
	launch_on() {
		(cd "$dir" && exec node "$cli" --config config.json --port "$1" >"$dir/log" 2>&1 </dev/null) &
		echo $! >"$dir/pid"
	}
	launch "${AIMOCK_PORT:-}"
	;;
url)
	running || { echo "No aimock of the tests runs; try: $0 start" >&2; exit 1; }
	url
	;;
stop)
	halt
	rm -rf "$dir"
	;;
*)
	sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
