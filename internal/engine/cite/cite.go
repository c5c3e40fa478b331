// Package cite ties claims to the exact places of immutable texts, and proves that a claim says no more than the place it points at.
package cite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind of an edit; each has one thing that it may do, see Check.
type Kind string

// The edits that leave a quote word for word what it was.
const (
	Connective Kind = "connective" // a leading connective ("However,") is dropped; the next letter may become a capital
	Pronoun    Kind = "pronoun"    // a leading pronoun gives way to what it stands for, in [brackets], as the text right before has it
	Join       Kind = "join"       // a line break within a sentence becomes a space, or nothing where a hyphen or no space was meant
	Escape     Kind = "escape"     // a backslash before a mark that would be read as Markdown
	Unlink     Kind = "unlink"     // marks that lead nowhere outside of the source are dropped: those of a link, whose words stay, and of a footnote
	Fence      Kind = "fence"      // lines that must keep their columns are put between fences of code
)

// Edit replaces a piece of a quote. Offsets are UTF-8 bytes of the quote.
type Edit struct {
	Kind Kind   `json:"kind"`
	At   int    `json:"at"`
	Drop string `json:"drop,omitempty"` // what stands at At
	Put  string `json:"put,omitempty"`  // what takes its place
}

// Apply gives the quote with its edits. They must be in order, not overlap, and drop what really stands there.
func Apply(quote string, edits []Edit) (string, error) {
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.At < at || e.At > len(quote) || !strings.HasPrefix(quote[e.At:], e.Drop) {
			return "", fmt.Errorf("edit %s at %d does not fit the quote", e.Kind, e.At)
		}
		b.WriteString(quote[at:e.At])
		b.WriteString(e.Put)
		at = e.At + len(e.Drop)
	}
	b.WriteString(quote[at:])
	return b.String(), nil
}

// Check tells whether a claim says what stands at text[start:end] and nothing else: the quote is that piece of the text byte for
// byte, every edit is of an allowed kind and does only what its kind may, and the claim is the quote after its edits.
func Check(text string, start, end int, quote, claim string, edits []Edit) error {
	if start < 0 || end > len(text) || start >= end {
		return fmt.Errorf("span %d:%d is outside of its text of %d bytes", start, end, len(text))
	}
	if text[start:end] != quote {
		return fmt.Errorf("the quote is not what stands at %d:%d", start, end)
	}
	got, err := Apply(quote, edits)
	if err != nil {
		return err
	}
	for _, e := range edits {
		if !e.allowed(text[:start], quote) {
			return fmt.Errorf("edit %s at %d may not turn %q into %q", e.Kind, e.At, e.Drop, e.Put)
		}
	}
	if got != claim {
		return fmt.Errorf("the claim is not its quote: %q, want %q", claim, got)
	}
	return nil
}

// allowed tells whether the edit does only what its kind may. It must fit the quote; before is the text before that.
func (e Edit) allowed(before, quote string) bool {
	switch e.Kind {
	case Connective:
		only, ok := LeadingConnective(quote)
		n := connectiveEnd(quote) // all of it, where a pronoun behind it is resolved
		return ok && e == only || n > 0 && e == Edit{Kind: Connective, Drop: quote[:n]}
	case Pronoun:
		return e.resolves(before, quote)
	case Join:
		return joinsLines(e.Drop, e.Put)
	case Escape:
		return e.Drop == "" && e.Put == `\` && e.At < len(quote) && quote[e.At] < utf8.RuneSelf && (unicode.IsPunct(rune(quote[e.At])) || unicode.IsSymbol(rune(quote[e.At])))
	case Unlink:
		return e.Put == "" && (e.Drop == "[" || e.Drop == "![" || linkEnd.MatchString(e.Drop) || footnote.MatchString(e.Drop))
	case Fence:
		return e.Drop == "" && (e.At == 0 && e.Put == "```\n" || e.At == len(quote) && e.Put == "\n```")
	}
	return false
}

// connectives tie a sentence to the one before it without saying anything of their own. Those without a comma may have one.
var connectives = []string{
	"However,", "Moreover,", "Furthermore,", "In addition,", "Additionally,", "Also,", "Besides,", "Nevertheless,", "Nonetheless,", "Still,", "Meanwhile,",
	"For example,", "For instance,", "In fact,", "Indeed,", "And", "But", "So", "Thus,", "Hence,", "Therefore,", "Consequently,", "As a result,", "In short,",
	"Finally,", "Lastly,", "Overall,", "In other words,", "That said,", "Even so,", "Accordingly,", "At the same time,", "In turn,", "Instead,", "Similarly,", "Likewise,", "On the other hand,", "By contrast,", "In contrast,", "Then,",
	"그러나", "그런데", "그리고", "하지만", "또한", "따라서", "그래서", "그러므로", "게다가", "한편", "반면", "즉,", "예를 들어", "예를 들면",
	"그렇지만", "그런데도", "그럼에도 불구하고", "더구나", "또", "아울러", "이어서", "결국", "반면에", "이에 따라", "그 결과", "결과적으로", "요컨대,", "마지막으로",
}

// subjects are the words behind "And", "But" and "So" that show these to be connectives: "But for the grant" and "So far" are none.
var subjects = strings.Fields("a an the it its they their we our he his she her you your there these those this")

// LeadingConnective gives the edit that drops the connective at the begin of a sentence; ok is false where there is none.
func LeadingConnective(quote string) (e Edit, ok bool) {
	n := connectiveEnd(quote)
	if n == 0 {
		return Edit{}, false
	}
	first, size := utf8.DecodeRuneInString(quote[n:])
	if up := unicode.ToUpper(first); up != first {
		return Edit{Kind: Connective, Drop: quote[:n+size], Put: string(up)}, true
	}
	return Edit{Kind: Connective, Drop: quote[:n]}, true
}

// connectiveEnd is where the sentence goes on behind its leading connective, 0 where there is none.
func connectiveEnd(quote string) int {
	for _, c := range connectives {
		if !strings.HasPrefix(quote, c) {
			continue
		}
		n := len(c)
		comma := strings.HasSuffix(c, ",")
		if !comma && strings.HasPrefix(quote[n:], ",") {
			n, comma = n+1, true
		}
		rest := strings.TrimLeft(quote[n:], " \n")
		if rest == "" || len(rest) == len(quote)-n || !comma && c[0] < utf8.RuneSelf && !beginsClause(rest) {
			continue
		}
		return len(quote) - len(rest)
	}
	return 0
}

// beginsClause tells whether a text begins with a subject: a pronoun, an article, a name or a number.
func beginsClause(s string) bool {
	word, _, _ := strings.Cut(s, " ")
	first, _ := utf8.DecodeRuneInString(word)
	return unicode.IsUpper(first) || unicode.IsDigit(first) || slices.Contains(subjects, word)
}

var (
	// linkEnd is what stands behind the words of a link: where it leads, without white space, and a title in quotes.
	linkEnd  = regexp.MustCompile(`^\]\((?:<[^<>\n]*>|(?:[^\s()]|\([^\s()]*\))*)(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'))?\)$`)
	footnote = regexp.MustCompile(`^\[\^[^\[\]\s]+\]$`)
)

// joinsLines tells whether drop is nothing but a line break with what belongs to it: spaces, marks of a block
// quote, a hyphen or the backslash of a hard break before it.
func joinsLines(drop, put string) bool {
	if put != "" && put != " " {
		return false
	}
	rest := strings.TrimPrefix(drop, `\`)
	if put == "" {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, "-"), "\u00ad")
	}
	return strings.Contains(rest, "\n") && strings.Trim(rest, " \t\r\n>") == ""
}
