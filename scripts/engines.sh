#!/bin/bash
# Runs the tests of search engines against real servers, one after the other: Chroma, Elasticsearch 8 (plain) and 9 (TLS and a
# password), OpenSearch 3. Needs Node for Chroma; for the others Maven, unzip and a JDK (17, or 21 for Elasticsearch 9 and OpenSearch).
# Toxiproxy stands beside them, for the tests whose network fails.
#
#   scripts/engines.sh            all
#   scripts/engines.sh chroma     some: chroma, elasticsearch8, elasticsearch9, opensearch
set -euo pipefail
cd "$(dirname "$0")/.."

own=$(mktemp -d)
export CHROMATEST_DIR=$own/chroma ESTEST_DIR=$own/elasticsearch OSTEST_DIR=$own/opensearch TOXITEST_DIR=$own/toxiproxy
chmod 755 "$own" # the servers run as somebody who is not root
stop=true
trap 'eval "$stop"; scripts/toxiproxy.sh stop; rm -rf "$own"' EXIT

scripts/toxiproxy.sh install
TEST_TOXIPROXY_URL=$(scripts/toxiproxy.sh start)
export TEST_TOXIPROXY_URL

# exam tests with what is running: packages, then what of internal/app.
exam() {
	TEST_REQUIRE=$1,toxiproxy go test -count=1 -timeout 15m "$2"
	TEST_REQUIRE=$1 go test -count=1 -timeout 15m -run "^TestEngineOutside\$/^$1\$" ./internal/app
}

for which in "${@:-chroma elasticsearch8 elasticsearch9 opensearch}"; do
	for engine in $which; do
		echo "-- $engine"
		unset TEST_CHROMA_URL TEST_ELASTICSEARCH_URL TEST_ELASTICSEARCH_CA TEST_OPENSEARCH_URL SECURE ES_VERSION
		case $engine in
		chroma) script=scripts/chroma.sh ;;
		elasticsearch8) script=scripts/elasticsearch.sh; export ES_VERSION=8.19.5 ;;
		elasticsearch9) script=scripts/elasticsearch.sh; export ES_VERSION=9.2.0 SECURE=1 ;;
		opensearch) script=scripts/opensearch.sh ;;
		*) echo "There is no engine $engine; see $0." >&2; exit 2 ;;
		esac
		$script install
		stop="$script stop"
		$script start >/dev/null
		url=$($script url)
		case $engine in
		chroma) TEST_CHROMA_URL=$url exam chroma ./internal/driver/chroma ;;
		elasticsearch8) TEST_ELASTICSEARCH_URL=$url exam elasticsearch ./internal/driver/elastic ;;
		elasticsearch9) TEST_ELASTICSEARCH_URL=$url TEST_ELASTICSEARCH_CA=$($script ca) exam elasticsearch ./internal/driver/elastic ;;
		opensearch) TEST_OPENSEARCH_URL=$url exam opensearch ./internal/driver/elastic ;;
		esac
		$stop
		stop=true
	done
done
