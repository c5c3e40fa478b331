#!/bin/bash
# Runs the official clients of others against a server: openai for Node and Python against /v1, and the Model Context Protocol's for Node
# against /mcp. Installs them, in these versions, where CLIENTTEST_DIR says (a directory of its own if it says nothing). Needs Node and Python 3.
set -euo pipefail
cd "$(dirname "$0")/.."

openai_npm=6.49.0 openai_python=3.57.0 mcp_npm=1.32.2

dir=${CLIENTTEST_DIR:-}
if [ -z "$dir" ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
fi
mkdir -p "$dir"
versions="$openai_npm $openai_python $mcp_npm"
if [ "$(cat "$dir/versions" 2>/dev/null)" != "$versions" ]; then
	npm install --prefix "$dir" --no-package-lock --no-audit --no-fund --loglevel=error "openai@$openai_npm" "@modelcontextprotocol/sdk@$mcp_npm"
	python3 -m venv "$dir/py"
	"$dir/py/bin/pip" install --quiet --disable-pip-version-check "openai==$openai_python"
	echo "$versions" >"$dir/versions"
fi
TEST_CLIENTS_DIR=$dir go test -count=1 -run '^TestOfficialClients$' -v ./internal/app
