package token_test

import (
	"encoding/json"
	"slices"
	"testing"

	"byline/internal/engine/embed/token"
)

// unigram is a Unigram tokenizer with a vocabulary that can be seen through.
func unigram(t testing.TB, change func(map[string]any)) (token.Tokenizer, error) {
	t.Helper()
	f := map[string]any{
		"added_tokens": []any{
			map[string]any{"id": 0, "content": "<s>", "special": true}, map[string]any{"id": 1, "content": "<pad>", "special": true},
			map[string]any{"id": 2, "content": "</s>", "special": true}, map[string]any{"id": 3, "content": "<unk>", "special": true},
		},
		"normalizer":    map[string]any{"type": "NFKC"},
		"pre_tokenizer": map[string]any{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true},
		"post_processor": map[string]any{"type": "TemplateProcessing",
			"single":         []any{map[string]any{"SpecialToken": map[string]any{"id": "<s>"}}, map[string]any{"Sequence": map[string]any{"id": "A"}}, map[string]any{"SpecialToken": map[string]any{"id": "</s>"}}},
			"special_tokens": map[string]any{"<s>": map[string]any{"ids": []int{0}}, "</s>": map[string]any{"ids": []int{2}}}},
		"model": map[string]any{"type": "Unigram", "unk_id": 3, "vocab": []any{
			[]any{"<s>", 0}, []any{"<pad>", 0}, []any{"</s>", 0}, []any{"<unk>", 0},
			[]any{"▁", -3}, []any{"▁heat", -5}, []any{"ing", -4}, []any{"▁he", -4}, []any{"a", -6}, []any{"t", -6}, []any{"▁모델", -7}, []any{"s", -5}, []any{"at", -8.5},
		}},
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

func TestUnigram(t *testing.T) {
	u, err := unigram(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u.Len() != 13 {
		t.Errorf("%d tokens", u.Len())
	}
	for text, want := range map[string]struct {
		ids            []int32
		known, letters int
	}{
		"":                 {[]int32{0, 2}, 0, 0},
		"heating":          {[]int32{0, 5, 6, 2}, 7, 7},
		" \theat\n heats ": {[]int32{0, 5, 5, 11, 2}, 9, 9},
		"ｈｅａｔ":             {[]int32{0, 5, 2}, 4, 4},           // NFKC
		"모델 heat":          {[]int32{0, 10, 5, 2}, 6, 6},       // taken apart, and put together again
		"a▁at":             {[]int32{0, 4, 8, 4, 12, 2}, 3, 3}, // the sign for a space is one
		"heat漢字 a":         {[]int32{0, 5, 3, 4, 8, 2}, 5, 7},  // neighbouring unknown characters are one token
		"</s>":             {[]int32{0, 4, 3, 11, 3, 2}, 1, 1}, // not the token
		"\xff\xfe a":       {[]int32{0, 4, 3, 4, 8, 2}, 1, 1},
	} {
		ids, known, letters := u.Encode(nil, text, 64)
		if !slices.Equal(ids, want.ids) || known != want.known || letters != want.letters {
			t.Errorf("%q: %v, %d of %d letters; want %v, %d of %d", text, ids, known, letters, want.ids, want.known, want.letters)
		}
	}
	if ids, _, _ := u.Encode([]int32{99}, "heating heat", 4); !slices.Equal(ids, []int32{99, 0, 5, 6, 2}) {
		t.Errorf("cut to 4: %v", ids)
	}
	if ids, known, letters := u.Pieces(nil, "heat漢字 a", 64); !slices.Equal(ids, []int32{5, 4, 8}) || known != 5 || letters != 7 {
		t.Errorf("pieces: %v, %d of %d", ids, known, letters)
	}
}
