package cite_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/cite"
)

var pieces = []string{
	"", "The roof leaks. It costs 5 euros [p1].", "| A | B |\n|---|---|\n| 1 | 2 |\n\n- item [p2, p3]\n> quote", "---\ntitle: x\n---\n# H\n\n```\ncode\n```\n",
	"On 3 May 1968, 12,345.67 kg or £2.5m; 31 % - not.", "2023년 3만 5천 명, 5월 3일 월요일에 열지 않았다.", "1.234.567,89 1,2,3 .5 5. 10-12 2024-02-30", "[p1](x) [^1]: \\[p1] [p1", "\xff[p\xe2\x82", "five hundred twenty-one thousand Tuesdays ago", "A. B. C. D. [p1][p2] [P9;p10 ]",
}

// Claims stand where they say, in order, and do not overlap.
func FuzzClaims(f *testing.F) {
	for _, s := range pieces {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at := 0
		for _, c := range cite.Claims(s) {
			if c.Start < at || c.End <= c.Start || c.End > len(s) || s[c.Start:c.End] != c.Text || c.Kind == "" {
				t.Fatalf("%+v behind %d of %q", c, at, s)
			}
			at = c.End
		}
	})
}

// Whatever claim and spans are (dates and numbers of all sorts among them), a verdict is whole, its evidence is there, and it is the same each time.
func FuzzVerify(f *testing.F) {
	for i, s := range pieces {
		f.Add(s, pieces[(i+1)%len(pieces)], s)
	}
	f.Fuzz(func(t *testing.T, claim, a, b string) {
		spans := []string{a, b}
		v := cite.Verify(claim, spans, cite.Options{})
		if !(v.Score >= 0 && v.Score <= 1) || len(v.Reasons) == 0 || v.Hard && v.Label == cite.Supported {
			t.Fatalf("%q: %+v", claim, v)
		}
		if !slices.Contains([]cite.Label{cite.Supported, cite.Partly, cite.Unsupported, cite.Contradicted}, v.Label) {
			t.Fatalf("label %q", v.Label)
		}
		if e := v.Evidence; e.Span >= 0 {
			_ = spans[e.Span][e.Start:e.End]
		}
		if again := cite.Verify(claim, spans, cite.Options{}); !cmp.Equal(v, again) {
			t.Fatalf("%+v, then %+v", v, again)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("One. Two. Three.", "Zero. One. Two. Three.", uint(5), uint(9))
	f.Fuzz(func(t *testing.T, old, now string, i, k uint) {
		a, b := int(i%uint(len(old)+1)), int(k%uint(len(old)+1))
		start, end, how := cite.Find(now, cite.At(old, min(a, b), max(a, b)))
		if start < 0 || end < start || end > len(now) || (how == cite.Same || how == cite.Moved) && now[start:end] != old[min(a, b):max(a, b)] {
			t.Fatalf("%d:%d %s of %q", start, end, how, now)
		}
	})
}

// Ten times the input takes about ten times as long, not a hundred times.
func TestVerifyIsLinear(t *testing.T) {
	const text = "The library of Elm Street was not opened on 3 May 1968 by 24 members of the council, 31 percent and 1.2 million euros. "
	took := func(n int) time.Duration {
		best := time.Hour
		for range 3 {
			begin := time.Now()
			cite.Verify(strings.Repeat("The library of Oak Street, 25 members and ", 10), []string{strings.Repeat(text, n)}, cite.Options{})
			best = min(best, time.Since(begin))
		}
		return best
	}
	took(1) // reads the table of words
	small, large := took(20), took(200)
	if large > 40*small+50*time.Millisecond {
		t.Errorf("%v, ten times the input %v", small, large)
	}
}

func TestVerifyOfALongClaim(t *testing.T) {
	long := strings.Repeat("The library of Elm Street has 24 members and ", 200)
	if v := cite.Verify(long+"no end", []string{long}, cite.Options{}); v.Label != cite.Partly || !strings.Contains(v.Reasons[0], "too long") {
		t.Errorf("%+v", v)
	}
	if v := cite.Verify(long, []string{"So: " + long}, cite.Options{}); v.Label != cite.Supported {
		t.Errorf("word for word: %+v", v)
	}
}
