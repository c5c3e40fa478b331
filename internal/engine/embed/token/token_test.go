package token_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"byline/internal/engine/embed/token"
)

// small is a tokenizer with a vocabulary that can be seen through.
func small(t testing.TB, change func(map[string]any)) (token.Tokenizer, error) {
	t.Helper()
	vocab := map[string]int{}
	for i, s := range strings.Fields("[PAD] [UNK] [CLS] [SEP] the heat ##ing ##s cost , . 3 ä a ##b ( 漢 字 boiler don ' t") {
		vocab[s] = i
	}
	f := map[string]any{
		"normalizer":     map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer":  map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{"type": "BertProcessing", "cls": []any{"[CLS]", 2}, "sep": []any{"[SEP]", 3}},
		"model":          map[string]any{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
	}
	if change != nil {
		change(f)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return token.Load(raw)
}

func TestWordPiece(t *testing.T) {
	w, err := small(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.Len() != 22 {
		t.Errorf("%d tokens", w.Len())
	}
	for text, want := range map[string]struct {
		ids            []int32
		known, letters int
	}{
		"":                     {[]int32{2, 3}, 0, 0},
		"The heating costs.":   {[]int32{2, 4, 5, 6, 8, 7, 10, 3}, 15, 15},
		"THE\tHEÁT\r\n":        {[]int32{2, 4, 5, 3}, 7, 7},
		"unknown heat":         {[]int32{2, 1, 5, 3}, 4, 11},
		"漢字 heat漢":             {[]int32{2, 16, 17, 5, 16, 3}, 7, 7},
		"don't (3,3)":          {[]int32{2, 19, 20, 21, 15, 11, 9, 11, 1, 3}, 4, 4},
		"ä Ä":                  {[]int32{2, 13, 13, 3}, 2, 2}, // the mark comes off
		"he\x00at\ufffd\u200b": {[]int32{2, 5, 3}, 4, 4},
		"모델":                   {[]int32{2, 1, 3}, 0, 2}, // taken apart into what the vocabulary has not got
		"the\u00a0heat\u2003":  {[]int32{2, 4, 5, 3}, 7, 7},
	} {
		ids, known, letters := w.Encode(nil, text, 64)
		if !slices.Equal(ids, want.ids) || known != want.known || letters != want.letters {
			t.Errorf("%q: %v, %d of %d letters; want %v, %d of %d", text, ids, known, letters, want.ids, want.known, want.letters)
		}
	}
	if ids, _, _ := w.Encode([]int32{99}, "the heating costs", 4); !slices.Equal(ids, []int32{99, 2, 4, 5, 3}) {
		t.Errorf("cut to 4: %v", ids)
	}
	if ids, _, _ := w.Encode(nil, strings.Repeat("a", 101), 9); !slices.Equal(ids, []int32{2, 1, 3}) {
		t.Errorf("a word of 101 letters: %v", ids)
	}
}

func TestOptionsOfTheFile(t *testing.T) {
	w, err := small(t, func(f map[string]any) {
		f["normalizer"] = map[string]any{"type": "BertNormalizer", "lowercase": false, "handle_chinese_chars": false, "strip_accents": false}
		delete(f["model"].(map[string]any), "max_input_chars_per_word")
		delete(f["model"].(map[string]any), "type")
	})
	if err != nil {
		t.Fatal(err)
	}
	if ids, _, _ := w.Encode(nil, "The ä 漢字", 64); !slices.Equal(ids, []int32{2, 1, 12, 1, 3}) {
		t.Errorf("neither lower case nor marks nor Chinese: %v", ids)
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another model":         func(f map[string]any) { f["model"] = map[string]any{"type": "BPE"} },
		"another normaliser":    func(f map[string]any) { f["normalizer"] = map[string]any{"type": "NFKC"} },
		"another pre-tokenizer": func(f map[string]any) { f["pre_tokenizer"] = map[string]any{"type": "Metaspace"} },
		"a list of scores": func(f map[string]any) {
			f["model"] = map[string]any{"type": "Unigram", "vocab": []any{[]any{"a", 1.5}}}
		},
	} {
		if _, err := small(t, change); !errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := small(t, func(f map[string]any) { f["model"].(map[string]any)["vocab"] = map[string]int{"x": -1} }); err == nil {
		t.Error("a negative number was taken")
	}
	if _, err := small(t, func(f map[string]any) { f["model"].(map[string]any)["unk_token"] = "<what>" }); err == nil {
		t.Error("a vocabulary without the unknown token was taken")
	}
	if _, err := token.Load([]byte("{")); err == nil {
		t.Error("no JSON was taken")
	}
}

// The tokens of the built-in model.
func TestBuiltinTokenizer(t *testing.T) {
	raw, err := os.ReadFile("../encoder/model/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	w, err := token.Load(raw)
	if err != nil || w.Len() != 30522 {
		t.Fatal(err)
	}
	if ids, known, letters := w.Encode(nil, "hello world", 256); !slices.Equal(ids, []int32{101, 7592, 2088, 102}) || known != 10 || letters != 10 {
		t.Errorf("%v %d %d", ids, known, letters)
	}
}

func FuzzEncode(f *testing.F) {
	w, err := small(f, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("The heating costs, 漢字 ä İ", 12)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 2 + (limit%600+600)%600
		ids, known, letters := w.Encode(nil, text, limit)
		if len(ids) < 2 || len(ids) > limit || ids[0] != 2 || ids[len(ids)-1] != 3 || known > letters || known < 0 {
			t.Fatalf("%v, %d of %d", ids, known, letters)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= w.Len() {
				t.Fatalf("id %d", id)
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		if twice, _, _ := w.Encode(nil, text+" "+text, 1<<20); len(twice) < len(ids)-2 {
			t.Fatalf("twice the text has %d tokens", len(twice))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	raw, err := os.ReadFile("../encoder/model/tokenizer.json")
	if err != nil {
		b.Fatal(err)
	}
	w, err := token.Load(raw)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("The boiler of the library was repaired in spring, and heating costs fell by a third. ", 10)
	var ids []int32
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ids, _, _ = w.Encode(ids[:0], text, 512)
	}
	b.ReportMetric(float64(len(ids))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
}
