package lexical_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"byline/internal/engine/lexical"
)

// zipfPassages are passages whose words differ widely in frequency, so that lists of all forms occur: of one passage, short ones and many blocks.
func zipfPassages(n int, seed uint64) []passage {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]passage, n)
	for i := range out {
		out[i] = passage{id: id(int(seed)*1_000_000 + n - i), group: id(int(seed)*1_000_000 + i/7)}
		burst := rng.IntN(40)
		for range 1 + rng.IntN(60) {
			w := int(rng.ExpFloat64() * rng.ExpFloat64() * 15)
			if rng.IntN(4) == 0 {
				w = burst
			}
			out[i].terms = append(out[i].terms, fmt.Sprint("w", w))
		}
	}
	out[n/2].terms = slices.Repeat([]string{"w0", "w1"}, 400) // counts of more than a byte
	return out
}

func TestSearchOfManyBlocksEqualsReference(t *testing.T) {
	var parts []lexical.Part
	var living []passage
	for seed := range uint64(3) {
		passages := zipfPassages(2000, seed+1)
		dead := []string{passages[0].group, passages[700].group, passages[1999].group}
		if seed == 2 {
			dead = nil
		}
		for _, p := range passages {
			if !slices.Contains(dead, p.group) {
				living = append(living, p)
			}
		}
		parts = append(parts, lexical.Part{Segment: build(t, passages), Dead: dead})
	}
	merged := mergeAll(t, parts, 60_000)
	if len(merged) < 3 {
		t.Fatalf("%d merged segments", len(merged))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	odd := func(group string) bool { return group[25]%2 == 1 }
	for i := range 120 {
		var terms []lexical.Term
		for _, w := range rng.Perm(80)[:1+i%6] {
			terms = append(terms, lexical.Term{Text: fmt.Sprint("w", w), Weight: float64(1 + w%2)})
		}
		o := lexical.Options{K: []int{1, 10, 100, 10_000}[i%4]}
		if i%5 == 0 {
			o.Filter = odd
		}
		want := reference(living, terms, o.K, o.Filter)
		for name, p := range map[string][]lexical.Part{"as built": parts, "merged": merged} {
			got, err := lexical.NewView(p).Search(terms, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := gocmp.Diff(want, got); d != "" {
				t.Fatalf("%s, %v, K %d (-reference +search):\n%s", name, terms, o.K, d)
			}
		}
	}
}

func words(terms ...string) []lexical.Token {
	return passage{terms: terms}.tokens()
}

func TestSearchExplains(t *testing.T) {
	seg := build(t, []passage{
		{id(1), id(100), []string{"cat", "dog", "dog"}},
		{id(2), id(100), []string{"cat"}},
		{id(3), id(200), []string{"bird", "bird"}},
	})
	v := lexical.NewView([]lexical.Part{{Segment: seg}})
	terms := []lexical.Term{{Text: "dog", Weight: 1}, {Text: "cat", Weight: 2}, {Text: "unicorn", Weight: 1}, {Text: "dog", Weight: 1}}
	hits, err := v.Search(terms, lexical.Options{K: 10, Explain: true})
	if err != nil || len(hits) != 2 || hits[0].ID != id(1) || hits[1].ID != id(2) {
		t.Fatalf("%+v, %v", hits, err)
	}
	for _, h := range hits {
		if h.Why.Passages != 3 || h.Why.Average != 2 || len(h.Why.Terms) != 3 {
			t.Errorf("%+v", h.Why)
		}
		sum := 0.0
		for _, x := range h.Why.Terms {
			sum += x.Score
		}
		if sum != h.Score {
			t.Errorf("terms sum up to %v, the score is %v", sum, h.Score)
		}
	}
	dog := hits[0].Why.Terms[0]
	if dog.Term != "dog" || dog.Weight != 2 || dog.Count != 2 || dog.Passages != 1 {
		t.Errorf("%+v", dog)
	}
	if w := hits[1].Why; w.Length != 1 || w.Terms[0].Count != 0 || w.Terms[0].Score != 0 || w.Terms[2].Passages != 0 {
		t.Errorf("%+v", w)
	}
	if c := hits[0].Coverage; c <= 0.3 || c >= 0.9 {
		t.Errorf("a term that no passage has must count against the coverage: %v", c)
	}
}

// Two forms of a word, of which texts in one language have only one, must not halve the coverage.
func TestCoverageOfForms(t *testing.T) {
	seg := build(t, []passage{
		{id(1), id(100), []string{"datenbank", "x"}},
		{id(2), id(100), []string{"database"}},
		{id(3), id(100), []string{"x", "y"}},
	})
	for _, row := range []struct {
		name  string
		terms []lexical.Term
		full  []string
	}{
		{"one form is in the texts", []lexical.Term{{"datenbank", 1, 1}, {"datenbanken", 1, 1}}, []string{id(1)}},
		{"either form", []lexical.Term{{"datenbank", 1, 1}, {"database", 1, 1}}, []string{id(1), id(2)}},
		{"beside another word", []lexical.Term{{"datenbank", 1, 1}, {"datenbanken", 1, 1}, {"x", 1, 0}}, []string{id(1)}},
		{"no form at all", []lexical.Term{{"dog", 1, 1}, {"dogs", 1, 1}, {"x", 1, 0}}, nil},
	} {
		hits, err := lexical.NewView([]lexical.Part{{Segment: seg}}).Search(row.terms, lexical.Options{K: 3})
		if err != nil {
			t.Fatal(err)
		}
		var full []string
		for _, h := range hits {
			if h.Coverage > 1 {
				t.Errorf("%s: coverage %v", row.name, h.Coverage)
			}
			if h.Coverage == 1 {
				full = append(full, h.ID)
			}
		}
		slices.Sort(full)
		if d := gocmp.Diff(row.full, full); d != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, d)
		}
	}
}

func TestSearchFindsNothing(t *testing.T) {
	seg := build(t, []passage{{id(1), id(100), []string{"cat"}}})
	empty := build(t, nil)
	cat := []lexical.Term{{Text: "cat", Weight: 1}}
	for _, row := range []struct {
		name  string
		parts []lexical.Part
		terms []lexical.Term
		k     int
	}{
		{"no segments", nil, cat, 1},
		{"empty segment", []lexical.Part{{Segment: empty}}, cat, 1},
		{"no terms", []lexical.Part{{Segment: seg}}, nil, 1},
		{"terms without weight", []lexical.Part{{Segment: seg}}, []lexical.Term{{Text: "cat"}, {Text: "", Weight: 1}, {Text: "cat", Weight: -1}}, 1},
		{"no hits wanted", []lexical.Part{{Segment: seg}}, cat, 0},
		{"all is deleted", []lexical.Part{{Segment: seg, Dead: []string{id(100), id(100)}}}, cat, 1},
		{"before the first term", []lexical.Part{{Segment: seg}}, []lexical.Term{{Text: "a", Weight: 1}}, 1},
		{"after the last term", []lexical.Part{{Segment: seg}}, []lexical.Term{{Text: "z", Weight: 1}}, 1},
	} {
		hits, err := lexical.NewView(row.parts).Search(row.terms, lexical.Options{K: row.k})
		if hits != nil || err != nil {
			t.Errorf("%s: %v, %v", row.name, hits, err)
		}
	}
}

func TestFilterIsAskedOncePerGroup(t *testing.T) {
	asked := map[string]int{}
	v := lexical.NewView([]lexical.Part{{Segment: build(t, zipfPassages(300, 1))}})
	_, err := v.Search([]lexical.Term{{Text: "w0", Weight: 1}, {Text: "w3", Weight: 1}}, lexical.Options{K: 1000, Filter: func(g string) bool {
		asked[g]++
		return asked[g]%2 == 0
	}})
	if err != nil {
		t.Fatal(err)
	}
	for g, n := range asked {
		if n != 1 {
			t.Errorf("group %s: asked %d times", g, n)
		}
	}
	if len(asked) == 0 {
		t.Error("never asked")
	}
}

func TestBuilderRefusesForeignIDs(t *testing.T) {
	b := lexical.NewBuilder()
	for _, bad := range []string{"", "short", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000I", "0000000000000000000000000u"} {
		if b.Add(bad, id(1), nil) == nil || b.Add(id(1), bad, nil) == nil {
			t.Errorf("id %q was taken", bad)
		}
	}
	if b.Len() != 0 {
		t.Error("refused passages were kept")
	}
}

func TestSegmentKeepsIDs(t *testing.T) {
	ids := []string{"01ARZ3NDEKTSV4RRFFQ69G5FAV", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0123456789ABCDEFGHJKMNPQRS", "00TVWXYZ000000000000000000"}
	b := lexical.NewBuilder()
	for i, x := range ids {
		if err := b.Add(x, ids[len(ids)-1-i/2], words("cat")); err != nil { // two groups
			t.Fatal(err)
		}
	}
	seg, err := lexical.Open(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff([]string{ids[3], ids[2]}, seg.Groups()); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
	if st := seg.Stats(); st != (lexical.Stats{Passages: 4, Tokens: 4}) {
		t.Errorf("%+v", st)
	}
	hits, _ := lexical.NewView([]lexical.Part{{Segment: seg}}).Search([]lexical.Term{{Text: "cat", Weight: 1}}, lexical.Options{K: 4})
	var got []string
	for _, h := range hits {
		got = append(got, h.ID)
	}
	slices.Sort(ids)
	if d := gocmp.Diff(ids, got); d != "" {
		t.Errorf("equal scores are ordered by id (-want +got):\n%s", d)
	}
}

func TestFits(t *testing.T) {
	b := lexical.NewBuilder()
	passages := zipfPassages(500, 9)
	const limit = 20_000
	for _, p := range passages {
		if !b.Fits(p.tokens(), limit) {
			break
		}
		before := b.Size()
		if err := b.Add(p.id, p.group, p.tokens()); err != nil {
			t.Fatal(err)
		}
		if b.Size() <= before {
			t.Fatal("the size does not grow")
		}
	}
	n := len(b.Bytes())
	if n > limit || n < limit*8/10 {
		t.Errorf("cut at %d bytes of %d", n, limit)
	}
	if !lexical.NewBuilder().Fits(passages[0].tokens(), 1) {
		t.Error("the first passage must fit, or it could be nowhere")
	}
	again, err := lexical.Open(b.Bytes())
	if err != nil || !slices.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("the same passages must give the same bytes: %v", err)
	}
}

// What a builder remembers of earlier texts and segments changes nothing of the next one, however much that is.
func TestReset(t *testing.T) {
	texts := []string{"The running dogs of ERR-1042, WHO runs", "die laufenden Hunde", "도서관에서 API를 v1.61.1", strings.Repeat("w", 60) + " " + strings.Repeat("ż", 200), ""}
	langs := []string{"en", "de", "ko", "pl", "de"}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		var many strings.Builder
		for range 30_000 {
			fmt.Fprint(&many, " q", strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(rng.IntN(1<<20))))
		}
		texts, langs = append(texts, many.String()), append(langs, "en")
	}
	b := lexical.NewBuilder()
	for i, text := range texts {
		b.Read(texts[i/2], "fr")
		b.Skip()
		want := lexical.NewBuilder()
		tokens := slices.Concat(lexical.Analyze(text, langs[i]), lexical.Analyze(texts[0], langs[i]))
		b.Read(text, langs[i])
		b.Read(texts[0], langs[i])
		if err := errors.Join(b.AddRead(id(i), id(100)), want.Add(id(i), id(100), tokens)); err != nil {
			t.Fatal(err)
		}
		if b.Size() != want.Size() {
			t.Errorf("text %d: size %d, a new builder has %d", i, b.Size(), want.Size())
		}
		if !slices.Equal(b.Bytes(), want.Bytes()) {
			t.Errorf("text %d: a builder that is used again makes another segment than a new one", i)
		}
		b.Reset()
		if b.Len() != 0 || !b.ReadFits(1) {
			t.Errorf("text %d: not empty after it was reset", i)
		}
	}
}

func TestMerge(t *testing.T) {
	a := build(t, []passage{{id(1), id(100), []string{"cat"}}, {id(2), id(200), []string{"dog"}}, {id(3), id(100), []string{"cow"}}})
	for _, row := range []struct {
		name string
		dead []string
		want []string
	}{
		{"group in two places", []string{id(100)}, []string{id(200)}},
		{"nothing dead", nil, []string{id(100), id(200)}},
	} {
		merged := mergeAll(t, []lexical.Part{{Segment: a, Dead: row.dead}}, lexical.SegmentLimit)
		if len(merged) != 1 {
			t.Fatalf("%s: %d segments", row.name, len(merged))
		}
		if d := gocmp.Diff(row.want, merged[0].Segment.Groups()); d != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, d)
		}
	}
	if merged := mergeAll(t, []lexical.Part{{Segment: a, Dead: []string{id(100), id(200)}}}, 1000); merged != nil {
		t.Error("nothing alive must give no segment")
	}
	stop := errors.New("stop")
	for _, limit := range []int{1, lexical.SegmentLimit} {
		n := 0
		err := lexical.Merge([]lexical.Part{{Segment: a}}, limit, func([]byte) error { n++; return stop })
		if !errors.Is(err, stop) || n != 1 {
			t.Errorf("limit %d: %d segments after the error, %v", limit, n, err)
		}
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	b := lexical.NewBuilder()
	for _, p := range zipfPassages(50, 3) {
		if err := b.Add(p.id, p.group, p.tokens()); err != nil {
			t.Fatal(err)
		}
	}
	data := b.Bytes()
	for i := range data {
		broken := slices.Clone(data)
		broken[i] ^= 1 << (i % 8)
		if _, err := lexical.Open(broken); !errors.Is(err, lexical.ErrDamaged) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for n := range len(data) {
		if _, err := lexical.Open(data[:n]); !errors.Is(err, lexical.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
}

// seal writes the checksum that belongs to the bytes, so that what is behind it is tried as well.
func seal(data []byte) {
	if len(data) >= 8 {
		copy(data, "BLX1")
		binary.LittleEndian.PutUint32(data[4:], crc32.Checksum(data[8:], crc32.MakeTable(crc32.Castagnoli)))
	}
}

// useAll does whatever can be done with a segment; damage may end in ErrDamaged or in other hits, but never in a panic.
func useAll(t *testing.T, s *lexical.Segment) {
	parts := []lexical.Part{{Segment: s, Dead: s.Groups()[:min(1, len(s.Groups()))]}}
	v := lexical.NewView(parts)
	for _, n := range []int{1, 50, 1000} {
		terms := []lexical.Term{{Text: "w0", Weight: 1}, {Text: "w1", Weight: 1}, {Text: fmt.Sprint("w", n), Weight: 2}}
		if _, err := v.Search(terms, lexical.Options{K: n, Explain: true, Filter: func(g string) bool { return g != "" }}); err != nil && !errors.Is(err, lexical.ErrDamaged) {
			t.Fatal(err)
		}
	}
	if err := lexical.Merge(parts, lexical.SegmentLimit, func([]byte) error { return nil }); err != nil && !errors.Is(err, lexical.ErrDamaged) {
		t.Fatal(err)
	}
}

// Damage that the checksum does not tell: every byte changed in turn.
func TestSealedDamage(t *testing.T) {
	b := lexical.NewBuilder()
	for _, p := range zipfPassages(60, 3) {
		if err := b.Add(p.id, p.group, p.tokens()[:min(4, len(p.terms))]); err != nil {
			t.Fatal(err)
		}
	}
	data := b.Bytes()
	refused := 0
	for i := 8; i < len(data); i++ {
		if i > 40+16*60 && i < 40+20*60 { // lengths may be anything
			continue
		}
		for _, x := range []byte{0x01, 0x80, 0xff} {
			broken := slices.Clone(data)
			broken[i] ^= x
			seal(broken)
			s, err := lexical.Open(broken)
			if err != nil {
				refused++
				continue
			}
			useAll(t, s)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func FuzzOpen(f *testing.F) {
	for _, n := range []int{0, 1, 30, 200} {
		b := lexical.NewBuilder()
		if n > 0 {
			for _, p := range zipfPassages(n, 4) {
				if err := b.Add(p.id, p.group, p.tokens()[:min(4, len(p.terms))]); err != nil {
					f.Fatal(err)
				}
			}
		}
		f.Add(b.Bytes(), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		if sealed {
			data = slices.Clone(data)
			seal(data)
		}
		s, err := lexical.Open(data)
		if err != nil {
			if !errors.Is(err, lexical.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		useAll(t, s)
	})
}
