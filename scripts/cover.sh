#!/bin/bash
# Statement coverage of all Go code of this module: what the tests run in their own process, merged with what the binary
# and its children run when the end-to-end tests drive them. Fails under COVER_MIN (90) percent.
#
# Tests that start the program take the binary from TEST_BINARY and hand GOCOVERDIR on to it; the extractor, its child,
# inherits that. A process that is killed writes nothing, so the kill -9 harness adds nothing here.
set -euo pipefail
cd "$(dirname "$0")/.."

minimum=${COVER_MIN:-90}
rm -rf coverage
mkdir -p coverage/test coverage/binary

go build -cover -covermode=atomic -coverpkg=./... -o coverage/byline ./cmd/byline

if [ -z "${TEST_POSTGRES_URL:-}" ]; then
	export PGTEST_DIR="${TMPDIR:-/tmp}/byline-cover-postgres-$$"
	if scripts/postgres.sh start >/dev/null; then
		trap 'scripts/postgres.sh stop' EXIT
		TEST_POSTGRES_URL=$(scripts/postgres.sh url)
		export TEST_POSTGRES_URL
	fi
fi

TEST_BINARY=$PWD/coverage/byline GOCOVERDIR=$PWD/coverage/binary \
	go test -count=1 -timeout 20m -cover -covermode=atomic -coverpkg=./... ./... -args -test.gocoverdir="$PWD/coverage/test" |
	sed -E '/^\t/d; s/\tcoverage: .*//; /^coverage: /d'

go tool covdata textfmt -i=coverage/test,coverage/binary -o=coverage/profile.txt
go tool cover -func=coverage/profile.txt >coverage/functions.txt
go tool cover -html=coverage/profile.txt -o coverage/index.html

echo
echo "By package (statements that ran, of all):"
awk 'NR > 1 {
	split($1, at, ":"); file = at[1]; sub(/\/[^\/]*$/, "", file)
	if (!($1 in n)) { n[$1] = $2; of[file] += $2; total += $2; where[$1] = file }
	if ($3 > 0 && !($1 in ran)) { ran[$1] = 1; ran_in[file] += $2; ran_all += $2 }
} END {
	for (p in of) printf "%6.1f %%  %6d  %s\n", 100 * ran_in[p] / of[p], of[p], p | "sort -n"
	close("sort -n")
	printf "\ntotal %.1f %% of %d statements (coverage/index.html shows the rest)\n", 100 * ran_all / total, total
	exit ran_all / total < '"$minimum"' / 100
}' coverage/profile.txt || {
	echo "That is less than $minimum %."
	exit 1
}
