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

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000)) # below the range of outgoing connections
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

url() { echo "http://127.0.0.1:$(cat "$dir/port")"; }

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
	for attempt in 1 2 3; do # a free port can be taken before we bind it
		port=${CHROMA_PORT:-$(free_port)}
		echo "$port" >"$dir/port"
		node "$cli" run --host 127.0.0.1 --port "$port" --path "$dir/data" >"$dir/log" 2>&1 </dev/null &
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
