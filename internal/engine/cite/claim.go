package cite

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/chunk"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
)

// Sort of a claim.
type Sort string

// The sorts of claims. The last two say nothing that a source could prove.
const (
	Fact       Sort = "fact"
	Quote      Sort = "quote"
	Number     Sort = "number"
	Definition Sort = "definition"
	Transition Sort = "transition"
	Opinion    Sort = "opinion"
)

// Claim is a sentence, list item or row of a table.
type Claim struct {
	Start, End int // UTF-8 byte offsets in the Markdown
	Text       string
	Kind       Sort
	NeedsCite  bool // it states something that its reader may want to check
}

// Claims finds what a Markdown text says, in order. Headings, code, front matter and the heads of tables say nothing.
func Claims(source string) []Claim {
	var found extract.Collector
	if err := markdown.Extract(source, &found); err != nil {
		return nil // a collector takes everything
	}
	var claims []Claim
	add := func(start, end int) {
		text := source[start:end]
		if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			return
		}
		kind := sortOf(text)
		claims = append(claims, Claim{start, end, text, kind, kind != Transition && kind != Opinion})
	}
	for _, e := range found.Text().Elements {
		block := source[e.Start:e.End]
		switch e.Kind {
		case extract.Heading, extract.Code:
		case extract.Table:
			for _, row := range rows(block) {
				add(e.Start+row.Start, e.Start+row.End)
			}
		default:
			for _, s := range chunk.Sentences(block) {
				add(e.Start+s.Start, e.Start+s.End)
			}
		}
	}
	return claims
}

var ruler = regexp.MustCompile(`^[\s>|]*:?-+[-:|\s]*$`)

// rows gives the rows of a table without its head. Tables of HTML are one.
func rows(table string) []chunk.Span {
	var all []chunk.Span
	at := 0
	for line := range strings.Lines(table) {
		start := at
		at += len(line)
		if ruler.MatchString(strings.TrimRight(line, "\r\n")) && strings.Contains(line, "-") {
			all = all[:0] // what stood above it is the head
			continue
		}
		text := strings.TrimLeft(line, " \t>")
		if s := (chunk.Span{Start: start + len(line) - len(text), End: start + len(strings.TrimRight(line, " \t\r\n"))}); s.Start < s.End {
			all = append(all, s)
		}
	}
	if strings.Contains(strings.ToLower(table), "<t") && len(all) > 0 {
		return []chunk.Span{{Start: all[0].Start, End: all[len(all)-1].End}}
	}
	return all
}

var (
	opinion = regexp.MustCompile(`(?i)^(?:i|we) (?:think|believe|hope|suggest|recommend|feel)\b|\b(?:in (?:my|our) (?:view|opinion)|personally|arguably)\b|(?:생각한다|생각합니다|생각된다|것 같다|것 같습니다|바란다|바랍니다|의견으로는)`)
	passing = regexp.MustCompile(`(?i)^(?:in this (?:post|article|section)|let(?:'|’)?s\b|let us\b|here (?:is|are) (?:how|what|why|the)\b|here(?:'|’)s\b|read on\b|this (?:post|article|section) (?:looks|shows|explains|covers|describes|tells)|below\b|(?:이|본) (?:글|포스트|장|절)(?:은|는|에서)|다음은|아래는|이제 |살펴보자|살펴보겠습니다|알아보자|알아보겠습니다)`)
	meaning = regexp.MustCompile(`(?i)^\W*(?:(?:an?|the) )?[\p{L}\p{N}' -]{2,60} (?:is|are) (?:an?|the (?:name|term|process|practice|act|study)) |\b(?:is defined as|are defined as|refers to|is called|means that|stands for)\b|(?:이)?란 .*(?:이다|말한다|뜻한다|의미한다|입니다|말합니다|뜻합니다|의미합니다)|(?:정의된다|정의됩니다)`)
	quoted  = regexp.MustCompile(`["“„«「『]([^"”“»」』]{15,})["”“»」』]`)
)

// sortOf guesses from the form of a sentence what it is; where nothing tells, it is a fact, which must be shown.
func sortOf(s string) Sort {
	plain := strings.TrimSpace(strings.Trim(s, "*_ >"))
	last, _ := utf8.DecodeLastRuneInString(plain)
	switch {
	case quoted.MatchString(plain):
		return Quote
	case opinion.MatchString(plain):
		return Opinion
	case last == '?' || last == '？':
		return Transition
	case passing.MatchString(plain) && !hasDigit(plain):
		return Transition
	case last == ':' && !hasDigit(plain):
		return Transition
	case slices.ContainsFunc(numbersOf(scan(plain)), func(n number) bool { return !n.soft }):
		return Number
	case meaning.MatchString(plain):
		return Definition
	}
	return Fact
}

func hasDigit(s string) bool { return strings.ContainsFunc(s, unicode.IsDigit) }
