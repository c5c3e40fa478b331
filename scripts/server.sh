# What the scripts share that start a throw-away server on 127.0.0.1 for the tests. To be sourced; dir is the server's folder.
# A script may define url() and halt() anew behind it.

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

# halt ends the server, politely for three seconds.
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

# launch starts the server with a command that launch_on takes a port for, and prints its URL when it answers. The first argument is the
# port that is wanted; without one a free one is taken, which others can take before the server does.
launch() {
	local attempt port
	for attempt in 1 2 3; do
		port=${1:-$(free_port)}
		echo "$port" >"$dir/port"
		if launch_on "$port"; then
			for _ in $(seq 1 1200); do # some write their process id only some time after they were started
				[ ! -s "$dir/pid" ] || running || break
				! answers || { url; return; }
				sleep 0.05
			done
		fi
		halt
	done
	cat "$dir"/log "$dir"/logs/*.log >&2 2>/dev/null
	return 1
}
