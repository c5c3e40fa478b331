#!/bin/bash
# A real Elasticsearch for the tests: a throw-away node on 127.0.0.1, thrown away by stop. It needs a JDK (17 for version 8, 21
# for version 9), Maven and unzip.
#
#   scripts/elasticsearch.sh install   fetch the server through Maven, once (nothing to do when it is there)
#   scripts/elasticsearch.sh start     start it and print its URL; ELASTICSEARCH_PORT chooses the port, else a free one is taken
#   scripts/elasticsearch.sh url       print the URL of the running one
#   scripts/elasticsearch.sh ca        print the file of its authority (SECURE=1)
#   scripts/elasticsearch.sh stop      stop it and remove its data
#
# ES_VERSION is 8.19.5 or 9.2.0; SECURE=1 asks for TLS with an authority of its own, and a password, which the URL names.
# ESTEST_DIR is where its data lives; several can run side by side with different ones. ESTEST_HOME keeps the server, which is
# the distribution for integration tests: the real core with security, without most plugins.
# Without SECURE=1, anybody on this machine can connect while it runs.
set -euo pipefail

version=${ES_VERSION:-8.19.5}
secure=${SECURE:+-secure}
password=throw-away

dir=${ESTEST_DIR:-${TMPDIR:-/tmp}/byline-elasticsearch-$(id -u)-$version$secure}
# Root's own cache cannot be read by whom the server runs as.
cache=$([ "$(id -u)" = 0 ] && echo /var/tmp || echo "${XDG_CACHE_HOME:-$HOME/.cache}")
home=${ESTEST_HOME:-$cache/byline-test/elasticsearch-$version}

# java_home prints the directory of a JDK that is new enough.
java_home() {
	local oldest=17 candidate
	[ "${version%%.*}" -lt 9 ] || oldest=21
	for candidate in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
		[ -f "$candidate/release" ] || continue
		[ "$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$candidate/release")" -ge $oldest ] || continue
		echo "$candidate"
		return
	done
	echo "Elasticsearch $version needs a JDK $oldest or newer; JAVA_HOME can name one." >&2
	return 1
}

# unprivileged runs a command of the server as somebody who is not root, which it insists on.
unprivileged() {
	local as=()
	[ "$(id -u)" != 0 ] || as=(runuser -u nobody --)
	(cd "$dir" && "${as[@]}" env HOME="$dir" ES_JAVA_HOME="$(java_home)" ES_JAVA_OPTS="${ES_HEAP:--Xms512m -Xmx512m}" ES_PATH_CONF="$dir/config" ES_TMPDIR="$dir/tmp" "$@")
}

# shellcheck source=scripts/server.sh
. "$(dirname "$0")/server.sh"

url() {
	if [ -n "$secure" ]; then
		echo "https://elastic:$password@localhost:$(cat "$dir/port")"
	else
		echo "http://127.0.0.1:$(cat "$dir/port")"
	fi
}

halt() { # at once: nothing of it is kept
	local pid
	[ -s "$dir/pid" ] || return 0
	pid=$(cat "$dir/pid")
	kill -9 "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

case ${1:-} in
install)
	java_home >/dev/null
	[ -f "$home/complete" ] && exit 0
	{ command -v mvn && command -v unzip; } >/dev/null || { echo "Maven and unzip are needed to install Elasticsearch." >&2; exit 1; }
	rm -rf "$home"
	mkdir -p "$home"
	mvn -q -B dependency:copy -Dartifact="org.elasticsearch.distribution.integ-test-zip:elasticsearch:$version:zip" -DoutputDirectory="$home" >&2
	unzip -q "$home/elasticsearch-$version.zip" -d "$home"
	rm "$home/elasticsearch-$version.zip"
	mv "$home/elasticsearch-$version" "$home/server"
	chmod -R a+rX "$home"
	touch "$home/complete"
	;;
start)
	running && { url; exit 0; }
	[ -f "$home/complete" ] || { echo "Elasticsearch $version is not here; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir/data" "$dir/logs" "$dir/tmp"
	cp -r "$home/server/config" "$dir/config"
	[ "$(id -u)" != 0 ] || chown -R nobody "$dir"
	settings=(-E discovery.type=single-node -E http.host=127.0.0.1 -E transport.host=127.0.0.1
		-E path.data="$dir/data" -E path.logs="$dir/logs" -E cluster.routing.allocation.disk.threshold_enabled=false)
	if [ -n "$secure" ]; then
		unprivileged "$home/server/bin/elasticsearch-keystore" create >/dev/null
		echo "$password" | unprivileged "$home/server/bin/elasticsearch-keystore" add -x bootstrap.password >/dev/null
	else
		settings+=(-E xpack.security.enabled=false)
	fi
	launch_on() {
		# It comes back when the node is ready, and leaves it running.
		unprivileged "$home/server/bin/elasticsearch" -d -p "$dir/pid" "${settings[@]}" -E http.port="$1" -E transport.port="$(free_port)" >"$dir/log" 2>&1 </dev/null
	}
	launch "${ELASTICSEARCH_PORT:-}"
	;;
url)
	running || { echo "No Elasticsearch $version of the tests runs; try: $0 start" >&2; exit 1; }
	url
	;;
ca)
	echo "$dir/config/certs/http_ca.crt"
	;;
stop)
	halt
	rm -rf "$dir"
	;;
*)
	sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
