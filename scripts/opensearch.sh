#!/bin/bash
# A real OpenSearch with k-NN for the tests: a throw-away node on 127.0.0.1, thrown away by stop. It needs a JDK 21, Maven and unzip.
#
#   scripts/opensearch.sh install   fetch the server through Maven, once (nothing to do when it is there)
#   scripts/opensearch.sh start     start it and print its URL; OPENSEARCH_PORT chooses the port, else a free one is taken
#   scripts/opensearch.sh url       print the URL of the running one
#   scripts/opensearch.sh stop      stop it and remove its data
#
# OSTEST_DIR is where its data lives; several can run side by side with different ones. OSTEST_HOME keeps the server: the
# distribution for integration tests and the k-NN plugin, with the core modules that the plugin needs put together from their jars.
# Anybody on this machine can connect while it runs.
set -euo pipefail

version=3.3.0

dir=${OSTEST_DIR:-${TMPDIR:-/tmp}/byline-opensearch-$(id -u)}
# Root's own cache cannot be read by whom the server runs as.
cache=$([ "$(id -u)" = 0 ] && echo /var/tmp || echo "${XDG_CACHE_HOME:-$HOME/.cache}")
home=${OSTEST_HOME:-$cache/byline-test/opensearch-$version}

# java_home prints the directory of a JDK that is new enough.
java_home() {
	local candidate
	for candidate in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
		[ -f "$candidate/release" ] || continue
		[ "$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$candidate/release")" -ge 21 ] || continue
		echo "$candidate"
		return
	done
	echo "OpenSearch $version needs a JDK 21 or newer; JAVA_HOME can name one." >&2
	return 1
}

# unprivileged runs a command of the server as somebody who is not root, which it insists on.
unprivileged() {
	local as=()
	[ "$(id -u)" != 0 ] || as=(runuser -u nobody --)
	(cd "$dir" && "${as[@]}" env HOME="$dir" OPENSEARCH_JAVA_HOME="$(java_home)" OPENSEARCH_JAVA_OPTS="${OS_HEAP:--Xms512m -Xmx512m}" OPENSEARCH_PATH_CONF="$dir/config" OPENSEARCH_TMPDIR="$dir/tmp" "$@")
}

copy() { mvn -q -B dependency:copy -Dartifact="$1" -DoutputDirectory="$2" >&2; }

# module makes a core module of its jars: name, class, module that it extends, jars.
module() {
	local name=$1 class=$2 extends=$3 jar
	shift 3
	mkdir -p "$home/server/modules/$name"
	for jar in "$@"; do copy "$jar" "$home/server/modules/$name"; done
	cat >"$home/server/modules/$name/plugin-descriptor.properties" <<-EOF
		description=$name
		version=$version
		name=$name
		classname=$class
		java.version=21
		opensearch.version=$version
		custom.foldername=
		extended.plugins=$extends
		has.native.controller=false
	EOF
}

# shellcheck source=scripts/server.sh
. "$(dirname "$0")/server.sh"

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
	{ command -v mvn && command -v unzip; } >/dev/null || { echo "Maven and unzip are needed to install OpenSearch." >&2; exit 1; }
	rm -rf "$home"
	mkdir -p "$home"
	copy "org.opensearch.distribution.integ-test-zip:opensearch:$version:zip" "$home"
	unzip -q "$home/opensearch-$version.zip" -d "$home"
	rm "$home/opensearch-$version.zip"
	mv "$home/opensearch-$version" "$home/server"
	module lang-painless org.opensearch.painless.PainlessModulePlugin "" org.opensearch.plugin:{lang-painless,opensearch-scripting-painless-spi}:$version \
		org.antlr:antlr4-runtime:4.13.1 org.ow2.asm:asm{,-util,-tree,-commons,-analysis}:9.7
	printf 'grant {\n permission java.lang.RuntimePermission "createClassLoader";\n permission org.opensearch.script.ClassPermission "<<STANDARD>>";\n};\n' \
		>"$home/server/modules/lang-painless/plugin-security.policy"
	module analysis-common org.opensearch.analysis.common.CommonAnalysisModulePlugin lang-painless org.opensearch.plugin:analysis-common:$version
	module reindex org.opensearch.index.reindex.ReindexModulePlugin "" org.opensearch.plugin:reindex-client:$version org.opensearch:opensearch-ssl-config:$version \
		org.opensearch.client:opensearch-rest-client:$version org.apache.httpcomponents.client5:httpclient5:5.4.4 \
		org.apache.httpcomponents.core5:httpcore5{,-h2,-reactive}:5.3.4 commons-logging:commons-logging:1.2 commons-codec:commons-codec:1.18.0
	copy "org.opensearch.plugin:opensearch-knn:$version.0:zip" "$home"
	unzip -q "$home/opensearch-knn-$version.0.zip" -d "$home/server/plugins/opensearch-knn"
	rm "$home/opensearch-knn-$version.0.zip"
	chmod -R a+rX "$home"
	touch "$home/complete"
	;;
start)
	running && { url; exit 0; }
	[ -f "$home/complete" ] || { echo "OpenSearch $version is not here; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir/data" "$dir/logs" "$dir/tmp"
	cp -r "$home/server/config" "$dir/config"
	sed -i.orig "s#logs/#$dir/logs/#" "$dir/config/jvm.options"
	[ "$(id -u)" != 0 ] || chown -R nobody "$dir"
	launch_on() {
		unprivileged "$home/server/bin/opensearch" -d -p "$dir/pid" -E discovery.type=single-node -E http.host=127.0.0.1 -E http.port="$1" \
			-E transport.host=127.0.0.1 -E transport.port="$(free_port)" -E path.data="$dir/data" -E path.logs="$dir/logs" \
			-E cluster.routing.allocation.disk.threshold_enabled=false >"$dir/log" 2>&1 </dev/null || true
	}
	launch "${OPENSEARCH_PORT:-}"
	;;
url)
	running || { echo "No OpenSearch of the tests runs; try: $0 start" >&2; exit 1; }
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
