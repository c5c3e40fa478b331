package encoder_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/embed"
	"byline/internal/engine/embed/encoder"
)

var _ embed.Embedder = (*encoder.Encoder)(nil)

func builtin(t testing.TB) *encoder.Encoder {
	t.Helper()
	e, err := encoder.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ask(t testing.TB, e *encoder.Encoder, text string) embed.Vector {
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

// The vectors are those of the float model, as far as 7 bits go.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Text   string
		Vector []float32
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	for _, name := range encoder.Kernels() {
		t.Run(name, func(t *testing.T) {
			e := builtin(t).With(name)
			var sum float64
			for _, g := range golden {
				got := ask(t, e, g.Text)
				if n := cosine(got.Values, got.Values); math.Abs(n-1) > 1e-5 {
					t.Errorf("%.30q: length² %v", g.Text, n)
				}
				c := cosine(got.Values, g.Vector)
				if sum += c; c < .99 {
					t.Errorf("%.30q: cosine %.4f", g.Text, c)
				}
			}
			if mean := sum / float64(len(golden)); mean < .9965 {
				t.Errorf("mean cosine %.4f", mean)
			}
		})
	}
}

var prose = []string{
	"The boiler of the library was repaired in spring.", "", "a", "?!", strings.Repeat("Heating costs fell by a third after the repair. ", 40),
	"모델이 문서를 검색한다", "E = mc²", "Ünïcödé wörds are stripped of their marks", strings.Repeat("x", 300), "\x00\xff\xfe broken bytes",
}

// All kernels of a processor family give the same bits, and a batch gives what single texts give.
func TestSameBits(t *testing.T) {
	e := builtin(t)
	var want []embed.Vector
	for _, name := range encoder.Kernels()[1:] {
		k := e.With(name)
		got, err := k.Passages(t.Context(), prose)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range prose {
			if alone := ask(t, k, text); !slices.Equal(alone.Values, got[i].Values) || alone.Known != got[i].Known {
				t.Errorf("%s: %.30q differs in a batch", name, text)
			}
			if want != nil && !slices.Equal(want[i].Values, got[i].Values) {
				t.Errorf("%s: %.30q differs from %s", name, text, encoder.Kernels()[1])
			}
			if k.Space() != e.Space() {
				t.Errorf("%s has the space %s", name, k.Space().ID())
			}
		}
		want = got
	}
	if p := e.With("portable"); p.Space() == e.Space() && encoder.Supported() {
		t.Error("the portable kernel, whose bits differ, has the same space")
	}
}

func TestKnown(t *testing.T) {
	e := builtin(t)
	for text, want := range map[string]float64{
		"The boiler was repaired": 1, "": 0, "12 + 30 = 42": 0, "boiler 모델": .75, "모델이 문서를 검색한다": 0, "Größe": 1,
		"Привет": 0,
	} {
		v := ask(t, e, text)
		zero := cosine(v.Values, v.Values) == 0
		if v.Known != want || zero != (want == 0) {
			t.Errorf("%q: known %v, zero %v", text, v.Known, zero)
		}
	}
}

func TestMeaning(t *testing.T) {
	e := builtin(t)
	q := ask(t, e, "How much does it cost to keep the house warm?")
	near, far := ask(t, e, "Heating bills went up in winter."), ask(t, e, "The orchestra played a symphony.")
	if a, b := cosine(q.Values, near.Values), cosine(q.Values, far.Values); a < b+.2 {
		t.Errorf("near %.3f, far %.3f", a, b)
	}
}

func TestBuiltinVersionIsItsHash(t *testing.T) {
	sum := sha256.Sum256([]byte(encoder.BuiltinModel()))
	if got := hex.EncodeToString(sum[:4]); got != encoder.BuiltinVersion() {
		t.Errorf("the model's hash begins with %s, the space says %s", got, encoder.BuiltinVersion())
	}
	if got := builtin(t).Space().ID(); !strings.HasPrefix(got, "encoder/"+encoder.BuiltinVersion()+"-w7a8.1-256") || !strings.HasSuffix(got, "/384") {
		t.Errorf("space %s", got)
	}
}

// Questions are answered while passages are embedded, and what is cancelled stops.
func TestConcurrent(t *testing.T) {
	e := builtin(t)
	want := ask(t, e, prose[0])
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			texts := slices.Repeat(prose[:1], 50)
			got, err := e.Passages(t.Context(), texts)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range got {
				if !slices.Equal(got[i].Values, want.Values) {
					t.Error("other bits beside others")
					return
				}
			}
		})
	}
	for range 20 {
		if got := ask(t, e, prose[0]); !slices.Equal(got.Values, want.Values) {
			t.Error("other bits beside others")
		}
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Passages(ctx, prose); !errors.Is(err, context.Canceled) {
		t.Errorf("passages: %v", err)
	}
	if _, err := e.Query(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("query: %v", err)
	}
}

// A model file that is none, or that does not fit together, is refused.
func TestUnusableModels(t *testing.T) {
	file := func(header string, data int) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		return append(append(b, header...), make([]byte, data)...)
	}
	config := func(c string) []byte {
		return []byte(string(file(`{"config":{"dtype":"I8","shape":[`+itoa(len(c))+`],"data_offsets":[0,`+itoa(len(c))+`]}}`, 0)) + c)
	}
	good := encoder.BuiltinModel()
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"too short":        []byte("1234567"),
		"a long header":    binary.LittleEndian.AppendUint64(nil, 1<<60),
		"no JSON":          file("{", 0),
		"no tensor":        file(`{"x":3}`, 0),
		"outside":          file(`{"config":{"dtype":"I8","shape":[1],"data_offsets":[0,99]}}`, 3),
		"backwards":        file(`{"config":{"dtype":"I8","shape":[1],"data_offsets":[3,1]}}`, 3),
		"negative":         file(`{"config":{"dtype":"I8","shape":[1],"data_offsets":[-1,1]}}`, 3),
		"no config":        file(`{"__metadata__":{"a":"b"}}`, 3),
		"another type":     file(`{"config":{"dtype":"I64","shape":[1],"data_offsets":[0,3]}}`, 3),
		"config no JSON":   config("nonsense"),
		"odd widths":       config(`{"hidden_size":100,"intermediate_size":400,"num_hidden_layers":1,"num_attention_heads":3,"max_position_embeddings":9,"vocab_size":9,"hidden_act":"gelu"}`),
		"huge":             config(`{"hidden_size":384,"intermediate_size":1536,"num_hidden_layers":900000000,"num_attention_heads":12,"max_position_embeddings":512,"vocab_size":9,"hidden_act":"gelu"}`),
		"another function": config(`{"hidden_size":384,"intermediate_size":1536,"num_hidden_layers":1,"num_attention_heads":12,"max_position_embeddings":512,"vocab_size":9,"hidden_act":"relu"}`),
		"no weights":       config(`{"hidden_size":384,"intermediate_size":1536,"num_hidden_layers":1,"num_attention_heads":12,"max_position_embeddings":512,"vocab_size":9,"hidden_act":"gelu"}`),
		"cut":              []byte(good[:len(good)-100000]),
		"other sizes":      []byte(strings.Replace(good, `"vocab_size":30522`, `"vocab_size":30521`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := encoder.OpenBare(b); !errors.Is(err, encoder.ErrModel) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := encoder.Open([]byte(good), []byte("{}"), encoder.Options{}); err == nil {
		t.Error("opened without a tokenizer")
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func FuzzModel(f *testing.F) {
	f.Add([]byte(`{"config":{"dtype":"I8","shape":[1],"data_offsets":[0,3]}}`), []byte("{}"))
	f.Fuzz(func(t *testing.T, header, data []byte) {
		_ = encoder.OpenBare(append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...))
	})
}

// BenchmarkPassages reports tokens per second of one worker, by tokens of a text.
func BenchmarkPassages(b *testing.B) {
	e := builtin(b)
	for _, name := range encoder.Kernels()[1:] {
		for _, n := range []int{16, 64, 128, 256} {
			b.Run(name+"/"+itoa(n), func(b *testing.B) {
				k := e.With(name)
				text := "The"
				for k.Tokens(text) < n {
					text += " boiler"
				}
				texts := slices.Repeat([]string{text}, max(1, 2048/n))
				tokens := 0
				for b.Loop() {
					if _, err := k.Passages(b.Context(), texts); err != nil {
						b.Fatal(err)
					}
					tokens += n * len(texts)
				}
				b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	e := builtin(b)
	for _, name := range encoder.Kernels()[1:] {
		b.Run(name, func(b *testing.B) {
			k := e.With(name)
			for b.Loop() {
				ask(b, k, "how much did heating cost the town library last")
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		builtin(b)
	}
}

// TestRelease: memory that was given back is read again, to the same bits.
func TestRelease(t *testing.T) {
	e := builtin(t)
	const text = "Give the memory back, and take it again."
	before := ask(t, e, text)
	resident := func() int {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("tells what is resident on Linux only")
		}
		_, rest, _ := strings.Cut(string(status), "RssFile:")
		var kb int
		if _, err := fmt.Sscan(rest, &kb); err != nil {
			t.Fatal(err)
		}
		return kb
	}
	e.Release(time.Hour)
	full := resident()
	e.Release(0)
	if now := resident(); now > full-10_000 {
		t.Errorf("%d KB of files are resident after the release, %d KB before it", now, full)
	}
	if diff := cmp.Diff(before, ask(t, e, text)); diff != "" {
		t.Error(diff)
	}
}
