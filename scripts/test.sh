#!/bin/bash
# Runs the default set of tests, with all that this machine has, and says at the end what was left out and why.
#
#   TEST_REQUIRE=postgres,race   fail instead of leaving these out
#   TEST_POSTGRES_URL=...        use this server (its databases named byline_test_* come and go); else one is started
#   TEST_AIMOCK_URL=...          use this scripted model endpoint (scripts/aimock.sh); else one is started where Node is
#   TEST_E5_DIR=...              a model for the encoder's tests; else the one that scripts/e5.sh has installed
#   TEST_MODEL2VEC_DIR=...       a table for the loader's tests; else the one that scripts/model2vec.sh has installed
#   TEST_INSTALL=0               install nothing, even as root
#
# The names have no BYLINE_ before them, because the program refuses settings of its own that it doesn't know.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out=$(mktemp)
output=$(mktemp)
own_postgres=
own_aimock=
finish() {
	[ -z "$own_postgres" ] || scripts/postgres.sh stop
	[ -z "$own_aimock" ] || scripts/aimock.sh stop
	rm -f "$left_out" "$output"
}
trap finish EXIT

required() { [[ ,${TEST_REQUIRE:-}, == *,$1,* ]]; }
leave_out() { # what, why
	if required "$1"; then
		echo "TEST_REQUIRE names $1, but: $2" >&2
		exit 1
	fi
	echo "$1: $2" >>"$left_out"
}

command -v node >/dev/null || leave_out web "Node is not here, so the documentation pages are not built and not tested."

if [ -z "${TEST_POSTGRES_URL:-}" ]; then
	export PGTEST_DIR="${TMPDIR:-/tmp}/byline-test-postgres-$$"
	if why=$({ [ "${TEST_INSTALL:-1}" = 0 ] || scripts/postgres.sh install; } 2>&1) && why=$(scripts/postgres.sh start 2>&1); then
		own_postgres=1
		TEST_POSTGRES_URL=$(scripts/postgres.sh url)
		export TEST_POSTGRES_URL
	else
		leave_out postgres "${why//$'\n'/ }"
	fi
fi

if [ -z "${TEST_AIMOCK_URL:-}" ]; then
	export AIMOCKTEST_DIR="${TMPDIR:-/tmp}/byline-test-aimock-$$"
	if why=$({ [ "${TEST_INSTALL:-1}" = 0 ] || scripts/aimock.sh install; } 2>&1) && why=$(scripts/aimock.sh start 2>&1); then
		own_aimock=1
		TEST_AIMOCK_URL=$(scripts/aimock.sh url)
		export TEST_AIMOCK_URL
	else
		leave_out aimock "${why//$'\n'/ }"
	fi
fi

if [ -z "${TEST_E5_DIR:-}" ] && dir=$(scripts/e5.sh dir 2>/dev/null); then
	export TEST_E5_DIR=$dir
fi
if [ -z "${TEST_MODEL2VEC_DIR:-}" ] && dir=$(scripts/model2vec.sh dir 2>/dev/null); then
	export TEST_MODEL2VEC_DIR=$dir
fi

race=()
if cc=$(command -v "$(go env CC | cut -d' ' -f1)") && CGO_ENABLED=1 go build -race runtime/cgo 2>/dev/null; then
	export CGO_ENABLED=1
	race=(-race)
else
	leave_out race "The race detector needs a C compiler; ${cc:-none} can't build it. The tests ran without."
fi

# -v is there for the tests that skip: the filter shows the lines of a plain go test, and keeps the reasons.
status=0
go test ${race[@]+"${race[@]}"} -v -timeout 20m "$@" ./... | tee "$output" | awk -f scripts/test.awk -v skipped="$left_out" || status=$?

[ "${TEST_LOG:-}" = "" ] || cp "$output" "$TEST_LOG"
echo
if [ -s "$left_out" ]; then
	echo "Left out:"
	sort -u "$left_out" | sed 's/^/  - /'
fi
echo "Not part of make test: make engines (real search engines), make clients (official clients of others), make replicas (several servers, nginx, a browser), make torture (kill -9 at random moments), make bench (figures), make cover (coverage of all processes)."
exit $status
