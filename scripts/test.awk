# Turns the output of go test -v into that of go test: one line for a package that passes, what its failing tests said for
# one that fails. The tests that were skipped are appended to the file `skipped`, each with the last line that it said.

# From here on, lines belong to this test.
/^=== (RUN|CONT|NAME) / { test = $3; next }
/^=== PAUSE /           { next }

# The line that ends a package.
/^(ok  |FAIL|\?   )\t/ {
	if ($1 == "FAIL") {
		printf "%s", block
		for (t in said) printf "%s", said[t] # of tests that never ended
	}
	print
	fflush()
	block = test = ""
	delete said
	delete last
	next
}

# The line that ends a test.
/^ *--- (PASS|FAIL|SKIP): / {
	if ($2 == "FAIL:") block = block $0 "\n" said[$3]
	if ($2 == "SKIP:") print $3 ": " last[$3] >> skipped
	delete said[$3]
	test = ""
	next
}

/^(PASS|FAIL)$|^coverage: / { next }

test != "" {
	said[test] = said[test] $0 "\n"
	last[test] = $0
	sub(/^ *[^ ]*\.go:[0-9]+: /, "", last[test])
	next
}

{ block = block $0 "\n" }

END {
	printf "%s", block
	for (t in said) printf "%s", said[t]
}
