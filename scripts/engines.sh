#!/bin/bash
# Lets the drivers of search engines meet real servers, one after the other: Chroma, Elasticsearch 8 in the clear and 9 with
# TLS and a password, both with a network that fails, and OpenSearch. Nothing is left out: what a server needs has to be here
# (Node, Maven, unzip, a JDK 21). The servers have 512 MB of heap each and are thrown away.
#
#   scripts/engines.sh             all of them
#   scripts/engines.sh KIND...     chroma, elasticsearch8, elasticsearch9, opensearch
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
chmod 755 "$scratch" # some servers run as somebody else
export CHROMATEST_DIR=$scratch/chroma ESTEST_DIR=$scratch/elasticsearch OSTEST_DIR=$scratch/opensearch TOXITEST_DIR=$scratch/toxiproxy

finish() {
	local server
	for server in chroma elasticsearch opensearch toxiproxy; do "scripts/$server.sh" stop; done
	rm -rf "$scratch"
}
trap finish EXIT

unset TEST_CHROMA_URL TEST_ELASTICSEARCH_URL TEST_ELASTICSEARCH_CA TEST_OPENSEARCH_URL TEST_TOXIPROXY_URL

# start installs and starts a server and prints its URL.
start() { "scripts/$1.sh" install && "scripts/$1.sh" start; }

examine() { # what must not be left out, package
	TEST_REQUIRE=$1 go test -count=1 "./internal/driver/$2"
}

elasticsearch() {
	TEST_ELASTICSEARCH_URL=$(start elasticsearch)
	TEST_TOXIPROXY_URL=$(start toxiproxy)
	export TEST_ELASTICSEARCH_URL TEST_TOXIPROXY_URL
	examine elasticsearch,toxiproxy elastic
	scripts/elasticsearch.sh stop
	unset TEST_ELASTICSEARCH_URL TEST_ELASTICSEARCH_CA
}

[ $# -gt 0 ] || set -- chroma elasticsearch8 elasticsearch9 opensearch
for kind in "$@"; do
	echo "$kind"
	case $kind in
	chroma)
		TEST_CHROMA_URL=$(start chroma)
		export TEST_CHROMA_URL
		examine chroma chroma
		scripts/chroma.sh stop
		;;
	elasticsearch8)
		export ES_VERSION=8.19.5
		elasticsearch
		;;
	elasticsearch9)
		export ES_VERSION=9.2.0 SECURE=1
		TEST_ELASTICSEARCH_CA=$(scripts/elasticsearch.sh ca)
		export TEST_ELASTICSEARCH_CA
		elasticsearch
		unset SECURE
		;;
	opensearch)
		TEST_OPENSEARCH_URL=$(start opensearch)
		export TEST_OPENSEARCH_URL
		examine opensearch elastic
		scripts/opensearch.sh stop
		;;
	*)
		sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
	esac
done
