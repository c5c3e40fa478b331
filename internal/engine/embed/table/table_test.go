package table_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"byline/internal/engine/embed"
	"byline/internal/engine/embed/table"
)

var _ embed.Embedder = (*table.Table)(nil)

func builtin(t testing.TB) *table.Table {
	t.Helper()
	e, err := table.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func query(t testing.TB, e embed.Embedder, text string) embed.Vector {
	t.Helper()
	v, err := e.Query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func cosine(a, b []float32) (dot float64) {
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
	}
	return dot
}

func TestSpace(t *testing.T) {
	model, tokenizer := table.BuiltinFiles()
	sum := sha256.Sum256(append(model, tokenizer...))
	want := fmt.Sprintf("table/%x-w8.1-512/256", sum[:4])
	if got := builtin(t).Space().ID(); got != want {
		t.Errorf("%s, not %s: the version must change with the files", got, want)
	}
}

// testdata/golden.json has what the reference tokenizer and NumPy make of the files; texts are not prepared there.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Text   string
		IDs    []int32
		Vector []float32
	}
	if err := json.Unmarshal(raw, &rows); err != nil || len(rows) < 16 {
		t.Fatal(len(rows), err)
	}
	loaded, err := table.Load("model")
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*table.Table{"built in": builtin(t), "loaded": loaded} {
		for _, row := range rows {
			ids, v := e.Plain(row.Text)
			if want := slices.DeleteFunc(slices.Clone(row.IDs), func(id int32) bool { return id == 1 }); !slices.Equal(ids, want) {
				t.Errorf("%s: %q: tokens %v, not %v", name, row.Text, ids, want)
			}
			var worst float64
			for i := range v {
				worst = max(worst, math.Abs(float64(v[i]-row.Vector[i])))
			}
			if worst > 1e-4 {
				t.Errorf("%s: %q: off by %g", name, row.Text, worst)
			}
		}
	}
}

func TestKnown(t *testing.T) {
	e := builtin(t)
	for text, want := range map[string]float64{
		"How do I restore a PostgreSQL backup?": 1,
		"모델 학습 방법":                              0,
		"2024년 3월 15일, 오후 3시!":                  0,
		"学習 モデル 東京":                             0,
		"":                                      0,
		"3.14 !?":                               0,
		"Привет, мир":                           0,
		"BM25와 벡터":                              2. / 5,
		"backup 백업":                             6. / 8,
	} {
		v := query(t, e, text)
		if math.Abs(v.Known-want) > 1e-9 {
			t.Errorf("%q: %v of the letters are known, not %v", text, v.Known, want)
		}
		if length := cosine(v.Values, v.Values); want == 0 && length != 0 || want > 0 && math.Abs(length-1) > 1e-5 {
			t.Errorf("%q: a vector of length %v", text, length)
		}
	}
}

func TestMeaning(t *testing.T) {
	e := builtin(t)
	ask := query(t, e, "How can heating costs be lowered?")
	near := cosine(ask.Values, query(t, e, "The new boiler cut the library's spending on fuel and warmth by a third.").Values)
	far := cosine(ask.Values, query(t, e, "The treaty was signed by both kings in the spring of 1648.").Values)
	if near < far+.1 {
		t.Errorf("a text about it has %.3f, another %.3f", near, far)
	}
}

func TestCompatible(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"plain text 3":         "plain text 3",
		"ＦＵＬＬ ﬁ ２":             "FULL fi 2",
		"BM25와 벡터hybrid 검색":    "BM25 와 벡터 hybrid 검색",
		"東京2024年データ":           "東京 2024 年データ",
		"한국어, English":         "한국어, English",
		"한국어-English":          "한국어-English",
		"naïve façade":         "naïve façade",
		"cafe\u0301":           "café",
		"Ångström単位":           "Ångström 単位",
		"ｶﾞ1":                  "ガ 1",
		"각a":                   "각 a",
		"x\ufb01\u0e01\u0e02ก": "xfi\u0e01\u0e02ก",
		"٣abc漢":                "٣abc 漢",
		"\xff漢a":               "\ufffd漢 a",
	} {
		if got := table.Compatible(text); got != want && strings.ToValidUTF8(got, "\ufffd") != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

// A text's vector does not depend on what else is embedded with it or at the same time.
func TestAlone(t *testing.T) {
	e := builtin(t)
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom(strings.Fields("boiler heat 난방 library 2024 — costs, BM25와 antidisestablishmentarianism über"))
		texts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(word, 0, 9).Draw(t, "words"), " ")
		}), 0, 6).Draw(t, "texts")
		var all [2][]embed.Vector
		var working sync.WaitGroup
		for i := range all {
			working.Go(func() { all[i], _ = e.Passages(context.Background(), texts) })
		}
		working.Wait()
		for i, text := range texts {
			one, err := e.Query(context.Background(), text)
			for _, many := range all {
				if err != nil || one.Known != many[i].Known || !slices.Equal(one.Values, many[i].Values) {
					t.Fatalf("%q has another vector among others", text)
				}
			}
		}
	})
}

func TestCut(t *testing.T) {
	e := builtin(t)
	long := strings.Repeat("boiler ", 512)
	if a, b := query(t, e, long), query(t, e, long+"treaty king war"); !slices.Equal(a.Values, b.Values) {
		t.Error("what is beyond 512 tokens counts")
	}
	if a, b := query(t, e, long[7:]), query(t, e, long[7:]+"treaty king war"); slices.Equal(a.Values, b.Values) {
		t.Error("the 512th token does not count")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := builtin(t)
	if _, err := e.Passages(ctx, []string{"boiler"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := e.Query(ctx, "boiler"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFewAllocations(t *testing.T) {
	e := builtin(t)
	texts := slices.Repeat([]string{"The boiler of the library was repaired in spring, and heating costs fell by a third."}, 100)
	e.Passages(t.Context(), texts)
	if n := testing.AllocsPerRun(5, func() { e.Passages(t.Context(), texts) }); n > 110 {
		t.Errorf("%v allocations for 100 passages", n)
	}
}

func BenchmarkPassages(b *testing.B) {
	e := builtin(b)
	texts := slices.Repeat([]string{strings.Repeat("The boiler of the library was repaired in spring, and heating costs fell by a third. ", 12)}, 16)
	ids, _ := e.Plain(texts[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Passages(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(texts)*len(ids))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
}
