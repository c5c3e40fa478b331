package store_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"byline/internal/engine/extract"
	"byline/internal/store"
)

func TestWordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.IntRange(0, 1<<40).Draw(t, "base")
		words := rapid.SliceOf(rapid.Custom(func(t *rapid.T) extract.Word {
			// Everywhere on and off a page, in any order: nothing depends on words being sorted.
			at := func(name string) float32 { return float32(rapid.IntRange(-1<<20, 1<<20).Draw(t, name)) / 64 }
			start := base + rapid.IntRange(0, 1<<20).Draw(t, "start")
			return extract.Word{Start: start, End: start + rapid.IntRange(0, 40).Draw(t, "length"),
				X0: at("x0"), Y0: at("y0"), X1: at("x1"), Y1: at("y1")}
		})).Draw(t, "words")
		got, err := store.UnpackWords(store.PackWords(words, base), base)
		if err != nil {
			t.Fatal(err)
		}
		if len(words) == 0 {
			words = nil
		}
		if diff := cmp.Diff(words, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWordsOfALineAreSmall(t *testing.T) {
	var words []extract.Word
	for i := range 500 {
		x := float32(72 + i%10*40)
		y := float32(72 + i/10*14)
		words = append(words, extract.Word{Start: i * 7, End: i*7 + 6, X0: x, Y0: y, X1: x + 36, Y1: y + 12})
	}
	if per := float64(len(store.PackWords(words, 0))) / float64(len(words)); per > 9 {
		t.Errorf("%.1f bytes a word, want at most 9", per)
	}
}

func TestWordsThatAreNoNumbers(t *testing.T) {
	inf := float32(math.Inf(1))
	words := []extract.Word{{End: 1, X0: float32(math.NaN()), Y0: -inf, X1: inf, Y1: 1}}
	got, err := store.UnpackWords(store.PackWords(words, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	if w := got[0]; w.X0 != 0 || math.IsInf(float64(w.X1), 0) || w.X1 <= 0 || w.Y0 >= 0 || w.Y1 != 1 {
		t.Errorf("got %+v", w)
	}
}

func FuzzUnpackWords(f *testing.F) {
	f.Add(store.PackWords(nil, 0), 0)
	f.Add(store.PackWords([]extract.Word{{Start: 3, End: 9, X0: 1, Y0: 2, X1: 3, Y1: 4}}, 3), 3)
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 0)
	f.Fuzz(func(t *testing.T, b []byte, base int) {
		words, err := store.UnpackWords(b, base)
		if err != nil {
			return
		}
		if len(words) > len(b) {
			t.Fatalf("%d words from %d bytes", len(words), len(b))
		}
		again, err := store.UnpackWords(store.PackWords(words, base), base)
		if err != nil {
			t.Fatal(err)
		}
		third, err := store.UnpackWords(store.PackWords(again, base), base)
		if diff := cmp.Diff(again, third); err != nil || diff != "" {
			t.Fatal(err, diff) // after one quantisation nothing changes any more
		}
	})
}
