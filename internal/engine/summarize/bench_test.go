package summarize_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"byline/internal/engine/summarize"
)

// library makes a text of so many pages of about 2,500 bytes, with headings, lists and tables, of words as rare as those of real texts.
func library(pages int) string {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 4, 40_000)
	word := func() string { return fmt.Sprintf("w%de", zipf.Uint64()) }
	var b strings.Builder
	sentence := func() {
		b.WriteString("The")
		for range 8 + r.IntN(14) {
			b.WriteString(" " + word())
		}
		fmt.Fprintf(&b, " %d. ", r.IntN(1000))
	}
	for page := range pages {
		fmt.Fprintf(&b, "## Of %s %s %d\n\n", word(), word(), page)
		for range 4 {
			for range 4 {
				sentence()
			}
			b.WriteString("\n\n")
		}
		for range 4 {
			fmt.Fprintf(&b, "- The %s of %s has %d\n", word(), word(), r.IntN(100))
		}
		b.WriteString("\n| a | b |\n|---|---|\n")
		for range 3 {
			fmt.Fprintf(&b, "| %s | %d |\n", word(), r.IntN(100))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func write(src summarize.Source, words int) (units int) {
	s := summarize.Read([]summarize.Source{src})
	p := s.Fill(s.Plan(summarize.Wish{Topics: []string{"w3e", "w17e of w20e"}, Words: words}), nil, s.Budget(words))
	s.Summary(p)
	return len(s.Units)
}

func BenchmarkLibrary(b *testing.B) {
	for _, pages := range []int{100, 500, 2000} {
		b.Run(fmt.Sprint(pages), func(b *testing.B) {
			src := source(b, "long.md", library(pages))
			b.SetBytes(int64(len(src.Text.Content)))
			for b.Loop() {
				write(src, 600)
			}
		})
	}
}

// A hundred pages take a moment, and four hundred about four times that.
func TestTimeIsLinear(t *testing.T) {
	const limit, slack = slower * 3 * time.Second, 3
	measure := func(pages int) time.Duration {
		src := source(t, "long.md", library(pages))
		best := time.Hour
		for range 2 {
			start := processor(t)
			write(src, 600)
			best = min(best, processor(t)-start)
		}
		return best
	}
	few, many := measure(100), measure(400)
	if few > limit || many > slack*4*few {
		t.Errorf("100 pages take %v, 400 pages %v", few, many)
	}
	t.Logf("100 pages take %v, 400 pages %v", few, many)
}
