package token_test

import (
	"encoding/json"
	"errors"
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

// part gives the part of a tokenizer's file with this name.
func part(f map[string]any, name string) map[string]any { return f[name].(map[string]any) }

func TestUnigramRefused(t *testing.T) {
	charsmap := func(b ...byte) func(map[string]any) {
		return func(f map[string]any) {
			f["normalizer"] = map[string]any{"type": "Precompiled", "precompiled_charsmap": b}
		}
	}
	for name, change := range map[string]func(map[string]any){
		"bytes for the unknown": func(f map[string]any) { part(f, "model")["byte_fallback"] = true },
		"no unknown token":      func(f map[string]any) { delete(part(f, "model"), "unk_id") },
		"unknown outside":       func(f map[string]any) { part(f, "model")["unk_id"] = 13 },
		"ids by token":          func(f map[string]any) { part(f, "model")["vocab"] = map[string]int{"a": 1} },
		"lower case":            func(f map[string]any) { f["normalizer"] = map[string]any{"type": "Lowercase"} },
		"another replacement":   func(f map[string]any) { part(f, "pre_tokenizer")["replacement"] = "_" },
		"no begin of words":     func(f map[string]any) { part(f, "pre_tokenizer")["add_prefix_space"] = false },
		"no pre-tokenizer":      func(f map[string]any) { delete(f, "pre_tokenizer") },
		"a map of two bytes":    charsmap(1, 2),
		"a map that is cut":     charsmap(8, 0, 0, 0, 1, 2, 3, 4),
		"an odd map":            charsmap(3, 0, 0, 0, 1, 2, 3, 4),
		"two post-processors": func(f map[string]any) {
			f["post_processor"] = map[string]any{"type": "Sequence", "processors": []any{f["post_processor"], f["post_processor"]}}
		},
		"another post-processor":    func(f map[string]any) { f["post_processor"] = map[string]any{"type": "ByteLevel"} },
		"a template without a text": func(f map[string]any) { part(f, "post_processor")["single"] = []any{} },
	} {
		if _, err := unigram(t, change); !errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(map[string]any){
		"a mark without an id": func(f map[string]any) { delete(part(part(f, "post_processor"), "special_tokens"), "</s>") },
		"a mark outside": func(f map[string]any) {
			part(part(f, "post_processor"), "special_tokens")["</s>"] = map[string]any{"ids": []int{13}}
		},
		"an added token's id":   func(f map[string]any) { f["added_tokens"] = []any{map[string]any{"id": -1, "content": "x"}} },
		"a vocabulary of words": func(f map[string]any) { part(f, "model")["vocab"] = []any{"a", "b"} },
		"scores alone":          func(f map[string]any) { part(f, "model")["vocab"] = []any{[]any{-1.5}} },
		"no scores":             func(f map[string]any) { part(f, "model")["vocab"] = []any{[]any{"a"}} },
		"words for scores":      func(f map[string]any) { part(f, "model")["vocab"] = []any{[]any{"a", "b"}} },
		"words for ids":         func(f map[string]any) { part(f, "model")["vocab"] = map[string]any{"a": "b"} },
		"a number":              func(f map[string]any) { part(f, "model")["vocab"] = 3 },
	} {
		if _, err := unigram(t, change); err == nil || errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Files of several versions of the library, and of models that were converted in other ways.
func TestUnigramFiles(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"an empty map": func(f map[string]any) {
			f["normalizer"] = map[string]any{"type": "Sequence", "normalizers": []any{map[string]any{"type": "Precompiled", "precompiled_charsmap": nil}, map[string]any{"type": "Strip", "strip_left": false, "strip_right": true}}}
		},
		"no normalizer": func(f map[string]any) { f["normalizer"] = nil },
		"a scheme for the begin": func(f map[string]any) {
			f["pre_tokenizer"] = map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}
		},
		"RobertaProcessing": func(f map[string]any) {
			f["post_processor"] = map[string]any{"type": "RobertaProcessing", "cls": []any{"<s>", 0}, "sep": []any{"</s>", 2}}
		},
		"escaped pieces": func(f map[string]any) {
			part(f, "model")["vocab"] = append(part(f, "model")["vocab"].([]any), []any{"\"\\\u2028", -3})
		},
	} {
		u, err := unigram(t, change)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ids, _, _ := u.Encode(nil, " heating  heat ", 64); !slices.Equal(ids, []int32{0, 5, 6, 5, 2}) {
			t.Errorf("%s: %v", name, ids)
		}
	}
	u, err := unigram(t, func(f map[string]any) { f["post_processor"] = nil })
	if err != nil {
		t.Fatal(err)
	}
	if ids, _, _ := u.Encode(nil, "heat", 64); !slices.Equal(ids, []int32{5}) {
		t.Errorf("without marks: %v", ids)
	}
}
