package token_test

import (
	"math"
	"os"
	"testing"

	"byline/internal/engine/embed/token"
)

func TestLatin(t *testing.T) {
	bert, err := os.ReadFile("../encoder/model/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		file      string
		want, bad bool
	}{
		"BERT's":        {string(bert), true, false},
		"Korean":        {`{"model":{"type":"Unigram","vocab":[["<unk>",0],["▁모델",-1],["▁a",-2],["을",-2]]}}`, false, false},
		"few others":    {`{"model":{"type":"WordPiece","vocab":{"a":0,"b":1,"c":2,"d":3,"e":4,"ㄱ":5}}}`, true, false},
		"no JSON":       {"{", false, true},
		"no vocabulary": {`{"model":{"vocab":7}}`, false, true},
	} {
		if got, err := token.Latin([]byte(row.file)); got != row.want || (err != nil) != row.bad {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestLatinShare(t *testing.T) {
	for text, want := range map[string]float64{"": 0, "3.14!": 0, "Café 7": 1, "모델": 0, "BM25와": 2. / 3, "ab Яя": .5} {
		if got := token.LatinShare(text); math.Abs(got-want) > 1e-12 {
			t.Errorf("%q: %v, not %v", text, got, want)
		}
	}
}
