package ident_test

import (
	"testing"
	"time"

	"byline/internal/ident"
)

func TestNewIsSortedUniqueAndValid(t *testing.T) {
	const n = 20000
	prev := ""
	for range n {
		id := ident.New()
		if !ident.Valid(id) {
			t.Fatalf("%q is not a valid id", id)
		}
		if id <= prev {
			t.Fatalf("%q came after %q", id, prev)
		}
		prev = id
	}
}

func TestNewCarriesItsTime(t *testing.T) {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	before := time.Now().UnixMilli()
	id := ident.New()
	var ms int64
	for _, c := range id[:10] {
		for i, a := range alphabet {
			if a == c {
				ms = ms<<5 | int64(i)
			}
		}
	}
	if after := time.Now().UnixMilli(); ms < before || ms > after {
		t.Errorf("time in %s = %d, want between %d and %d", id, ms, before, after)
	}
}

func TestValid(t *testing.T) {
	for name, tc := range map[string]struct {
		id   string
		want bool
	}{
		"a ULID of the specification": {"01ARZ3NDEKTSV4RRFFQ69G5FAV", true},
		"empty":                       {"", false},
		"too short":                   {"01ARZ3NDEKTSV4RRFFQ69G5FA", false},
		"over 128 bits":               {"81ARZ3NDEKTSV4RRFFQ69G5FAV", false},
		"a letter left out":           {"01ARZ3NDEKTSV4RRFFQ69G5FAU", false},
		"lower case":                  {"01arz3ndektsv4rrffq69g5fav", false},
		"a quote":                     {"01ARZ3NDEKTSV4RRFFQ69G5F'V", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ident.Valid(tc.id); got != tc.want {
				t.Errorf("Valid(%q) = %v", tc.id, got)
			}
		})
	}
}
