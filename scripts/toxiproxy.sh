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
	[ -x "$home/server" ] || (cd / && GOFLAGS= GOBIN="$home" go install "github.com/Shopify/toxiproxy/v2/cmd/server@v$version")
	;;
start)
	running && { url; exit 0; }
	[ -x "$home/server" ] || { echo "Toxiproxy is not here; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir"
	for attempt in 1 2 3; do # a free port can be taken before we bind it
		port=${TOXIPROXY_PORT:-$(free_port)}
		echo "$port" >"$dir/port"
		"$home/server" -host 127.0.0.1 -port "$port" >"$dir/log" 2>&1 </dev/null &
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
