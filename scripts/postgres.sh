#!/bin/bash
# A real PostgreSQL for the tests: a throw-away cluster on 127.0.0.1, thrown away by stop.
#
#   scripts/postgres.sh install   install Debian's PostgreSQL (root only; nothing to do when it is there)
#   scripts/postgres.sh start     start it and print its URL; PGPORT chooses the port, else a free one is taken
#   scripts/postgres.sh url       print the URL of the running one
#   scripts/postgres.sh stop      stop it and remove its data
#
# PGTEST_DIR is where it lives; several can run side by side with different ones.
# fsync is off: its data never outlives a test run. Anybody on this machine can connect while it runs.
set -euo pipefail

dir=${PGTEST_DIR:-${TMPDIR:-/tmp}/byline-postgres-$(id -u)}
oldest=15

# bin prints the directory with the newest server binaries, if they are new enough.
bin() {
	local candidate
	for candidate in $(ls -d /usr/lib/postgresql/*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql@*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v postgres || echo /none/postgres)")"; do
		[ -x "$candidate/postgres" ] && [ -x "$candidate/initdb" ] || continue
		[ "$("$candidate/postgres" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')" -ge $oldest ] || continue
		echo "$candidate"
		return
	done
	return 1
}

# unprivileged runs a command as somebody who is not root, which PostgreSQL insists on.
unprivileged() {
	if [ "$(id -u)" != 0 ]; then
		"$@"
	elif command -v runuser >/dev/null; then
		(cd / && runuser -u postgres -- "$@")
	else
		(cd / && su postgres -s /bin/sh -c "$(printf '%q ' "$@")")
	fi
}

# shellcheck source=scripts/server.sh
. "$(dirname "$0")/server.sh"

url() { echo "postgres://postgres@127.0.0.1:$(cat "$dir/port")/postgres?sslmode=disable"; }

running() { [ -f "$dir/port" ] && unprivileged "$(bin)/pg_ctl" -s -D "$dir/data" status >/dev/null 2>&1; }

case ${1:-} in
install)
	bin >/dev/null && exit 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "PostgreSQL $oldest or newer is not here, and only root can install it with apt-get." >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	# The package would create and start a cluster of its own; the tests make theirs.
	mkdir -p /etc/postgresql-common/createcluster.d
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/byline-tests.conf
	apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends postgresql >/dev/null 2>&1 ||
		{ apt-get -qq update && apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends postgresql >/dev/null; }
	bin >/dev/null || { echo "The PostgreSQL that apt-get installed is older than $oldest." >&2; exit 1; }
	;;
start)
	running && { url; exit 0; }
	bin >/dev/null || { echo "There is no PostgreSQL $oldest or newer; try: $0 install" >&2; exit 1; }
	rm -rf "$dir"
	mkdir -p "$dir"
	chmod 755 "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	unprivileged "$(bin)/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >/dev/null
	for attempt in 1 2 3; do # a free port can be taken before we bind it
		port=${PGPORT:-$(free_port)}
		echo "$port" >"$dir/port"
		if unprivileged "$(bin)/pg_ctl" -w -s -D "$dir/data" -l "$dir/data/log" \
			-o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 -c fsync=off -c synchronous_commit=off -c full_page_writes=off" start >&2; then
			url
			exit 0
		fi
	done
	cat "$dir/data/log" >&2
	exit 1
	;;
url)
	running || { echo "No PostgreSQL of the tests runs; try: $0 start" >&2; exit 1; }
	url
	;;
stop)
	! running || unprivileged "$(bin)/pg_ctl" -w -s -D "$dir/data" -m immediate stop
	rm -rf "$dir"
	;;
*)
	sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
