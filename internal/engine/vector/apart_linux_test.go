package vector_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/vector"
)

// mapped is the address space of this process in pages.
func mapped(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.Fields(string(data))[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A segment apart is found the same in, as long as a view has it, and its memory goes when nothing has it any more.
func TestApart(t *testing.T) {
	const dims = 384
	rng := rand.New(rand.NewPCG(1, 2))
	all := collection(rng, 6000, dims, 10)
	small, large := build(t, dims, all[:100]), build(t, dims, all)
	if small.Apart() != small {
		t.Error("a small segment has memory of its own")
	}
	q := near(rng, all[0].v, .5)
	want := search(t, []vector.Part{{Segment: large, Dead: []string{all[5].group}}}, q, vector.Options{K: 20})
	apart := large.Apart()
	if apart == large || &apart.Bytes()[0] == &large.Bytes()[0] || string(apart.Bytes()) != string(large.Bytes()) {
		t.Fatal("it is not in memory of its own, or not the same")
	}
	view := vector.NewView([]vector.Part{{Segment: apart, Dead: []string{all[5].group}}})
	apart = nil
	for range 3 {
		runtime.GC()
		got, err := view.Search(context.Background(), q, vector.Options{K: 20})
		if err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(want, got); d != "" {
			t.Fatalf("(-heap +apart):\n%s", d)
		}
	}

	const many = 100
	before := mapped(t)
	for range many {
		if large.Apart().Len() != large.Len() {
			t.Fatal("it is not the same")
		}
	}
	most := before + many*len(large.Bytes())/os.Getpagesize()/10
	for range 1000 { // what clean-ups do follows a collection
		runtime.GC()
		if mapped(t) < most {
			return
		}
	}
	t.Errorf("%d pages before %d segments that are gone, %d after", before, many, mapped(t))
}
