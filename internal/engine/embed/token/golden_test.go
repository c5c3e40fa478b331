package token_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"byline/internal/engine/embed/token"
)

func load(t testing.TB, file string) token.Tokenizer {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := token.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

// testdata/golden.json has what the tokenizers of Hugging Face (0.22.1) make of the built-in model's tokenizer.json, and of
// testdata/unigram.json: 700 pieces that SentencePiece (0.2.1) learned, with a map of characters that it compiled.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Text               string
		WordPiece, Unigram []int32
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	wordPiece, unigram := load(t, "../encoder/model/tokenizer.json"), load(t, "testdata/unigram.json")
	for _, row := range rows {
		for name, c := range map[string]struct {
			token.Tokenizer
			want []int32
		}{"WordPiece": {wordPiece, row.WordPiece}, "Unigram": {unigram, row.Unigram}} {
			if c.want == nil {
				continue // where the reference is not followed: see Load
			}
			got, known, letters := c.Encode(nil, row.Text, 1000)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s of %q:\n got %v\nwant %v", name, row.Text, got, c.want)
			}
			pieces, knownToo, lettersToo := c.Pieces(nil, row.Text, 1000)
			unknown := map[string]int32{"WordPiece": 100, "Unigram": 3}[name]
			if rest := slices.DeleteFunc(got[1:len(got)-1], func(id int32) bool { return id == unknown }); !slices.Equal(pieces, rest) || known != knownToo || letters != lettersToo {
				t.Errorf("%s of %q: pieces %v, without marks and unknown ones %v", name, row.Text, pieces, rest)
			}
		}
	}
}

// A limit cuts the ids where they are, and what is cut off is not worked on.
func TestLimitCuts(t *testing.T) {
	text := strings.Repeat("The boiler of the library was repaired. 도서관 난방비는 ", 4)
	for _, file := range []string{"../encoder/model/tokenizer.json", "testdata/unigram.json"} {
		tokenizer := load(t, file)
		all, _, _ := tokenizer.Encode(nil, text, 1<<20)
		for limit := 2; limit <= len(all)+1; limit++ {
			got, _, _ := tokenizer.Encode(nil, text, limit)
			n := min(limit, len(all))
			if want := append(slices.Clone(all[:n-1]), all[len(all)-1]); !slices.Equal(got, want) {
				t.Fatalf("%s cut to %d:\n got %v\nwant %v", file, limit, got, want)
			}
		}
		if allocated := testing.AllocsPerRun(5, func() { tokenizer.Encode(all[:0], strings.Repeat("a", 1<<20), 16) }); allocated > 20 {
			t.Errorf("%s: %v allocations for a long word", file, allocated)
		}
	}
}

func FuzzUnigram(f *testing.F) {
	u := load(f, "testdata/unigram.json")
	for _, text := range []string{"The boiler", "ｈｅａｔ ½ ﬁ", "cafe\u0301 ㎏", "\xff\xfe", "도서관▁"} {
		f.Add(text, 12)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 2 + (limit%600+600)%600
		ids, known, letters := u.Encode(nil, text, limit)
		if len(ids) < 2 || len(ids) > limit || ids[0] != 0 || ids[len(ids)-1] != 2 || known > letters || known < 0 {
			t.Fatalf("%v, %d of %d", ids, known, letters)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= u.Len() {
				t.Fatalf("id %d", id)
			}
		}
		if pieces, _, _ := u.Pieces(nil, text, limit); slices.Contains(pieces, 3) {
			t.Fatal("an unknown token among the pieces")
		}
	})
}

// What a hostile tokenizer.json says must not end the program, neither when it is read nor when it is used.
func FuzzLoad(f *testing.F) {
	for _, file := range []string{"testdata/unigram.json"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},"model":{"vocab":{"[UNK]":0,"a":1,"##b":2}}}`))
	f.Add([]byte(`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAEAAAA="},"pre_tokenizer":{"type":"Metaspace","replacement":"▁"},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-1]]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<20 {
			return
		}
		tokenizer, err := token.Load(raw)
		if err != nil {
			return
		}
		ids, _, _ := tokenizer.Encode(nil, "The heating ½ 한글 ｆ", 32)
		for _, id := range ids {
			if id < 0 || int(id) >= tokenizer.Len() {
				t.Fatalf("id %d of %d", id, tokenizer.Len())
			}
		}
	})
}
