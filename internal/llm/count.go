package llm

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"
	"github.com/tiktoken-go/tokenizer/codec"
)

// The vocabularies are read when they are needed first: 20 ms and 6 MB.
var (
	older = sync.OnceValue(func() tokenizer.Codec { return codec.NewCl100kBase() })
	newer = sync.OnceValue(func() tokenizer.Codec { return codec.NewO200kBase() })
)

// Count counts the tokens of a text as a model does. For models that are not OpenAI's it is an estimate: their vocabularies are
// as large, and cut alike.
func Count(model, text string) int {
	count := newer
	if name := strings.ToLower(model); strings.HasPrefix(name, "gpt-3.5") || strings.HasPrefix(name, "gpt-4") && !strings.HasPrefix(name, "gpt-4o") && !strings.HasPrefix(name, "gpt-4.1") {
		count = older
	}
	n := 0
	for text != "" {
		piece := text[:cut(text)]
		text = text[len(piece):]
		few, err := count().Count(piece)
		if err != nil { // nothing that is text does this
			few = len(piece) / 3
		}
		n += few
	}
	return n
}

// longest is how much is counted at once, in bytes: the time for one word grows with the square of its length.
const longest = 2048

// cut finds where a text may be parted with little harm to the count: before white space, else between two characters.
func cut(text string) int {
	if len(text) <= longest {
		return len(text)
	}
	if i := strings.LastIndexAny(text[longest/2:longest], " \n"); i > 0 {
		return longest/2 + i
	}
	n := longest
	for n > longest-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// What the protocol adds, in tokens; as OpenAI's cookbook counts.
const (
	perMessage = 4
	perAnswer  = 3
)

// CountRequest counts the tokens of a question.
func CountRequest(model string, r Request) int {
	n := perAnswer
	for _, m := range r.Messages {
		n += perMessage + Count(model, m.Content)
		for _, c := range m.Calls {
			n += perMessage + Count(model, c.Name) + Count(model, string(c.Arguments))
		}
	}
	for _, t := range r.Tools {
		n += perMessage + Count(model, t.Name) + Count(model, t.Description) + Count(model, string(t.Parameters))
	}
	if r.Schema != nil {
		n += Count(model, string(r.Schema.JSON))
	}
	return n
}

// rough is at least the tokens of a question, without counting: a token has a byte or more.
func rough(r Request) int {
	n := perAnswer
	for _, m := range r.Messages {
		n += perMessage + len(m.Content)
		for _, c := range m.Calls {
			n += perMessage + len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range r.Tools {
		n += perMessage + len(t.Name) + len(t.Description) + len(t.Parameters)
	}
	if r.Schema != nil {
		n += len(r.Schema.JSON)
	}
	return n
}

// Room is how many tokens can still be added to a question when its answer may have some: negative when it is too long
// already. known is false where nobody knows how much the model can hold; then there is room for everything.
func Room(i Info, r Request, answer int) (tokens int, known bool) {
	if i.Context <= 0 {
		return 0, false
	}
	return i.Context - answer - CountRequest(i.Name, r), true
}

// Estimate counts what a request and its answer, as far as it came, have used.
func Estimate(model string, r Request, a Answer) Usage {
	u := Usage{Input: CountRequest(model, r), Output: Count(model, a.Text) + Count(model, a.Reasoning), Estimated: true}
	for _, c := range a.Calls {
		u.Output += perMessage + Count(model, c.Name) + Count(model, string(c.Arguments))
	}
	return u
}
