// Package token cuts texts into the tokens that a model of text knows.
package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokenizer cuts texts into tokens. It is safe for concurrent use, and its work does not grow with what it cuts off.
//
// No text is read as one of the tokens that a model's makers kept for themselves: "[SEP]" in a text is a bracket, a word
// and a bracket.
type Tokenizer interface {
	// Encode appends the ids of a text's tokens to dst, with those that mark its begin and end where the tokenizer's file asks
	// for them, and cuts the text so that they are limit at most (the marks are never cut off). letters counts the letters of
	// the text that was not cut off, and known those of them that are in tokens other than the unknown one.
	Encode(dst []int32, text string, limit int) (ids []int32, known, letters int)
	// Pieces is Encode without marks and without unknown tokens, for models that add up what tokens mean by themselves.
	Pieces(dst []int32, text string, limit int) (ids []int32, known, letters int)
	// Len is the size of the vocabulary: ids are less.
	Len() int
}

// ErrUnsupported is what Load fails with for a tokenizer that this package has not got; the error around it says which.
var ErrUnsupported = errors.New("unsupported tokenizer")

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// Load reads a tokenizer.json of Hugging Face's tokenizers: WordPiece as BERT has it, or Unigram as XLM-RoBERTa has it.
// What the file says of padding and cutting is ignored.
//
// Unigram follows SentencePiece, by which such models were trained, where Hugging Face's tokenizers do not: those drop the
// marks on a character that the map changes, do not put the parts of Hangul syllables together, and read "</s>" as the mark.
func Load(tokenizerJSON []byte) (Tokenizer, error) {
	var f file
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	kind := f.Model.Type
	if kind == "" && f.Normalizer != nil && f.Normalizer.Type == "BertNormalizer" {
		kind = "WordPiece" // files of old versions do not name it
	}
	switch kind {
	case "WordPiece":
		return newWordPiece(&f)
	case "Unigram":
		return newUnigram(&f)
	}
	return nil, unsupported("its model is %q, and WordPiece and Unigram are supported", kind)
}

// file is a tokenizer.json, as far as it matters here.
type file struct {
	Added         []added    `json:"added_tokens"`
	Normalizer    *component `json:"normalizer"`
	PreTokenizer  *component `json:"pre_tokenizer"`
	PostProcessor *component `json:"post_processor"`
	Model         struct {
		Type         string     `json:"type"`
		Unknown      string     `json:"unk_token"`
		UnknownID    *int32     `json:"unk_id"`
		ByteFallback bool       `json:"byte_fallback"`
		Prefix       string     `json:"continuing_subword_prefix"`
		MaxChars     int        `json:"max_input_chars_per_word"`
		Vocab        vocabulary `json:"vocab"`
	} `json:"model"`
}

type added struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// component is a normalizer, pre-tokenizer or post-processor: the fields of all kinds together.
type component struct {
	Type string `json:"type"`
	// BertNormalizer
	CleanText    bool  `json:"clean_text"`
	Chinese      bool  `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`
	Lowercase    bool  `json:"lowercase"`
	// Precompiled
	Charsmap []byte `json:"precompiled_charsmap"`
	// Replace
	Pattern struct {
		Regex string `json:"Regex"`
	} `json:"pattern"`
	Content string `json:"content"`
	// Metaspace
	Replacement string `json:"replacement"`
	AddPrefix   *bool  `json:"add_prefix_space"`
	Prepend     string `json:"prepend_scheme"`
	// Strip
	Left  bool `json:"strip_left"`
	Right bool `json:"strip_right"`
	// BertProcessing and RobertaProcessing
	Begin mark `json:"cls"`
	End   mark `json:"sep"`
	// TemplateProcessing
	Single []struct {
		Special *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
		Text *struct{} `json:"Sequence"`
	} `json:"single"`
	Specials map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
	// Sequence
	Normalizers   []component `json:"normalizers"`
	PreTokenizers []component `json:"pretokenizers"`
	Processors    []component `json:"processors"`
}

// mark is a pair of a token and its id.
type mark struct{ id int32 }

// UnmarshalJSON meets json.Unmarshaler.
func (m *mark) UnmarshalJSON(raw []byte) error {
	var text string
	return json.Unmarshal(raw, &[2]any{&text, &m.id})
}

// flat lists a component, or those of a sequence; none for none.
func flat(c *component) []component {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []component{*c}
	}
	var all []component
	for _, list := range [][]component{c.Normalizers, c.PreTokenizers, c.Processors} {
		for i := range list {
			all = append(all, flat(&list[i])...)
		}
	}
	return all
}

// names lists the kinds of components, for error messages.
func names(list []component) string {
	if len(list) == 0 {
		return "none"
	}
	all := make([]string, len(list))
	for i, c := range list {
		all[i] = c.Type
	}
	return strings.Join(all, " + ")
}

// marks are the tokens that a model expects before and after a text.
type marks struct{ before, after []int32 }

// room is what a limit leaves for the text.
func (m *marks) room(limit int) int { return max(0, limit-len(m.before)-len(m.after)) }

// marksOf reads the post-processor. size is that of the vocabulary.
func (f *file) marksOf(size int) (m marks, err error) {
	list := flat(f.PostProcessor)
	if len(list) == 0 {
		return m, nil
	}
	c := list[0]
	switch {
	case len(list) > 1:
		return m, unsupported("its post-processor is %s, and one at a time is supported", names(list))
	case c.Type == "BertProcessing" || c.Type == "RobertaProcessing":
		m = marks{[]int32{c.Begin.id}, []int32{c.End.id}}
	case c.Type == "TemplateProcessing":
		to, texts := &m.before, 0
		for _, part := range c.Single {
			if part.Special == nil {
				to = &m.after
				texts++
				continue
			}
			special, ok := c.Specials[part.Special.ID]
			if !ok {
				return m, fmt.Errorf("read tokenizer.json: the template's token %q has no id", part.Special.ID)
			}
			*to = append(*to, special.IDs...)
		}
		if texts != 1 {
			return m, unsupported("its template has the text %d times", texts)
		}
	default:
		return m, unsupported("its post-processor is %s; TemplateProcessing, BertProcessing and RobertaProcessing are supported", c.Type)
	}
	for _, id := range append(m.before[:len(m.before):len(m.before)], m.after...) {
		if id < 0 || int(id) >= size {
			return m, fmt.Errorf("read tokenizer.json: a mark has the id %d, of %d", id, size)
		}
	}
	if len(m.before)+len(m.after) > maxMarks {
		return m, unsupported("its template has %d marks", len(m.before)+len(m.after))
	}
	return m, nil
}

// Bounds of files that make sense.
const (
	maxID    = 1 << 24
	maxMarks = 8
)

// size is one more than the greatest id.
func (f *file) size() (int, error) {
	size := 0
	check := func(text string, id int32) error {
		if id < 0 || id >= maxID {
			return fmt.Errorf("read tokenizer.json: token %q has the id %d", text, id)
		}
		size = max(size, int(id)+1)
		return nil
	}
	for _, a := range f.Added {
		if err := check(a.Content, a.ID); err != nil {
			return 0, err
		}
	}
	for _, p := range f.Model.Vocab.pieces {
		if err := check(p.text, p.id); err != nil {
			return 0, err
		}
	}
	return size, nil
}

func isLetter(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	return unicode.IsLetter(r)
}
