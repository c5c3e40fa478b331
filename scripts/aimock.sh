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

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000)) # below the range of outgoing connections
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

url() { echo "http://127.0.0.1:$(cat "$dir/port")/v1"; }

running() { [ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; }

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$(cat "$dir/port")") 2>/dev/null; }

installed() { [ -f "$home/complete" ] && [ -f "$cli" ]; }

halt() {
	local pid
	[ -f "$dir/pid" ] || return 0
	pid=$(cat "$dir/pid")
	kill "$pid" 2>/dev/null || true
	for _ in $(seq 1 60); do
		kill -0 "$pid" 2>/dev/null || return 0
		sleep 0.05
	done
	kill -9 "$pid" 2>/dev/null || true
}

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
	for attempt in 1 2 3; do # a free port can be taken before we bind it
		port=${AIMOCK_PORT:-$(free_port)}
		echo "$port" >"$dir/port"
		(cd "$dir" && exec node "$cli" --config config.json --port "$port" >"$dir/log" 2>&1 </dev/null) &
		echo $! >"$dir/pid"
		for _ in $(seq 1 400); do
			running || break
			! answers || { url; exit 0; }
			sleep 0.05
		done
		halt
	done
	cat "$dir/log" >&2
	exit 1
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
