#!/bin/bash
# Runs the tests of several servers: two on one PostgreSQL that are killed, paused and restarted, behind nginx with the configuration of docs/nginx.conf,
# and followed by a page in Chromium. Needs PostgreSQL; nginx (Debian nginx-light), Chromium and Node are left out where they are missing.
#
#   TEST_REQUIRE=nginx,chromium   fail instead of leaving these out
#   TEST_POSTGRES_URL=...         use this server; else one is started
#   BROWSERTEST_DIR=...           where playwright-core is installed; else in a directory of its own
set -euo pipefail
cd "$(dirname "$0")/.."

playwright=1.65.1

own=$(mktemp -d)
stop=true
trap 'eval "$stop"; rm -rf "$own"' EXIT

if [ -z "${TEST_POSTGRES_URL:-}" ]; then
	export PGTEST_DIR=$own/postgres
	chmod 755 "$own" # PostgreSQL runs as somebody who is not root
	TEST_POSTGRES_URL=$(scripts/postgres.sh start)
	stop="scripts/postgres.sh stop"
	export TEST_POSTGRES_URL
fi

TEST_NGINX=$(PATH=$PATH:/usr/sbin command -v nginx || true)
TEST_CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -n "$TEST_CHROMIUM" ] && command -v npm >/dev/null; then
	TEST_BROWSER_DIR=${BROWSERTEST_DIR:-$own/browser}
	mkdir -p "$TEST_BROWSER_DIR"
	if [ "$(cat "$TEST_BROWSER_DIR/version" 2>/dev/null)" != "$playwright" ]; then
		npm install --prefix "$TEST_BROWSER_DIR" --no-package-lock --no-audit --no-fund --loglevel=error "playwright-core@$playwright"
		echo "$playwright" >"$TEST_BROWSER_DIR/version"
	fi
	export TEST_BROWSER_DIR
fi
export TEST_NGINX TEST_CHROMIUM
TEST_REPLICAS=1 go test -count=1 -timeout 15m -run '^Test(Replica|RollingRestart|StreamsThroughNginx|Browser)' -v ./cmd/byline
