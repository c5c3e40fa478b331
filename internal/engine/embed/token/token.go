// Package token cuts texts into the tokens that a model of text knows.
package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Tokenizer cuts texts into tokens. It is safe for concurrent use.
type Tokenizer interface {
	// Encode appends the ids of a text's tokens to dst, those that mark its begin and end included, and cuts the text so that
	// they are limit at most (at least 2). letters counts the letters of the text that was not cut off, and known those of
	// them that are in a token of their word, and not in a word that the vocabulary does not know.
	Encode(dst []int32, text string, limit int) (ids []int32, known, letters int)
	// Len is the size of the vocabulary: ids are less.
	Len() int
}

// ErrUnsupported is what Load fails with for a tokenizer that this package has not got; the error around it says which.
var ErrUnsupported = errors.New("unsupported tokenizer")

// file is a tokenizer.json of Hugging Face's tokenizers, as far as it matters here.
type file struct {
	Added      []added `json:"added_tokens"`
	Normalizer struct {
		Type         string `json:"type"`
		CleanText    bool   `json:"clean_text"`
		Chinese      bool   `json:"handle_chinese_chars"`
		StripAccents *bool  `json:"strip_accents"`
		Lowercase    bool   `json:"lowercase"`
	} `json:"normalizer"`
	PreTokenizer struct {
		Type string `json:"type"`
	} `json:"pre_tokenizer"`
	Model struct {
		Type     string           `json:"type"`
		Unknown  string           `json:"unk_token"`
		Prefix   string           `json:"continuing_subword_prefix"`
		MaxChars int              `json:"max_input_chars_per_word"`
		Vocab    map[string]int32 `json:"vocab"`
	} `json:"model"`
}

type added struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
}

// Load reads a tokenizer.json: WordPiece with BERT's normaliser. What the file says of padding and cutting is ignored.
func Load(tokenizerJSON []byte) (Tokenizer, error) {
	var f file
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && strings.HasPrefix(e.Field, "model.vocab") {
			return nil, fmt.Errorf("%w: its vocabulary is no WordPiece one", ErrUnsupported)
		}
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	// Files of old versions do not name the model's type.
	if kind := f.Model.Type; kind != "WordPiece" && (kind != "" || f.Normalizer.Type != "BertNormalizer") {
		return nil, fmt.Errorf("%w: %q; only WordPiece is supported", ErrUnsupported, kind)
	}
	if f.Normalizer.Type != "BertNormalizer" || f.PreTokenizer.Type != "BertPreTokenizer" {
		return nil, fmt.Errorf("%w: WordPiece with %q and %q; only BertNormalizer and BertPreTokenizer are supported", ErrUnsupported, f.Normalizer.Type, f.PreTokenizer.Type)
	}
	return newWordPiece(&f)
}

func newWordPiece(f *file) (*wordPiece, error) {
	w := &wordPiece{
		first: make(map[string]int32, len(f.Model.Vocab)), rest: make(map[string]int32, len(f.Model.Vocab)/4),
		clean: f.Normalizer.CleanText, chinese: f.Normalizer.Chinese, lower: f.Normalizer.Lowercase, strip: f.Normalizer.Lowercase, maxChars: f.Model.MaxChars,
	}
	if f.Normalizer.StripAccents != nil {
		w.strip = *f.Normalizer.StripAccents
	}
	if w.maxChars <= 0 {
		w.maxChars = 100
	}
	prefix := f.Model.Prefix
	if prefix == "" {
		prefix = "##"
	}
	for _, a := range f.Added {
		w.size = max(w.size, int(a.ID)+1)
	}
	for s, id := range f.Model.Vocab {
		if id < 0 {
			return nil, fmt.Errorf("read tokenizer.json: token %q has the number %d", s, id)
		}
		w.size = max(w.size, int(id)+1)
		if c, ok := strings.CutPrefix(s, prefix); ok && c != "" {
			w.rest[c] = id
			w.longest = max(w.longest, len(c))
			continue
		}
		w.first[s] = id
		w.longest = max(w.longest, len(s))
	}
	unknown := f.Model.Unknown
	if unknown == "" {
		unknown = "[UNK]"
	}
	for _, n := range []struct {
		name string
		id   *int32
	}{{unknown, &w.unknown}, {"[CLS]", &w.begin}, {"[SEP]", &w.end}} {
		id, ok := w.first[n.name]
		if i := slices.IndexFunc(f.Added, func(a added) bool { return a.Content == n.name }); !ok && i >= 0 {
			id, ok = f.Added[i].ID, true
		}
		if !ok {
			return nil, fmt.Errorf("%w: its vocabulary has no %s", ErrUnsupported, n.name)
		}
		*n.id = id
	}
	return w, nil
}
