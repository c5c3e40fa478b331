package summarize

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/cite"
)

// Render writes a unit as one piece of Markdown, and records what it changed: the text is the unit's quote after the edits
// (cite.Apply). Marks that belong in front of it ("- ", "> ") are not part of it. before is the unit that stands before it in
// the post, or -1: a connective stays when it still ties the same two sentences.
func (s *Survey) Render(unit, before int) (text string, edits []cite.Edit) {
	u := s.Units[unit]
	quote := s.Quote(unit)
	markdown := s.Sources[u.Source].Markdown
	switch {
	case u.Kind == Code:
	case u.Kind == Table && (markdown || isPipeTable(quote)):
		edits = ordered(tame(quote))
	case u.Kind == Table:
		edits = []cite.Edit{{Kind: cite.Fence, At: 0, Put: "```\n"}, {Kind: cite.Fence, At: len(quote), Put: "\n```"}}
	default:
		begin := 0
		if u.leans && !s.Follows(unit, before) {
			if named, ok := s.resolve(unit); ok {
				edits = append(edits, named...)
				last := named[len(named)-1]
				begin = last.At + len(last.Drop)
			} else if e, ok := cite.LeadingConnective(quote); ok {
				edits = append(edits, e)
				begin = len(e.Drop)
			}
		}
		if markdown {
			edits = append(edits, joins(quote, markdownBreak)...)
			edits = append(edits, tame(quote)...)
		} else {
			edits = append(edits, joins(quote, plainBreak)...)
			edits = append(edits, escapes(quote)...)
		}
		if at := blockMark(quote[begin:]); at >= 0 {
			edits = append(edits, escape(begin+at))
		}
		edits = ordered(edits)
	}
	text, err := cite.Apply(quote, edits)
	if err != nil { // edits that are in order and do not overlap always fit
		return quote, nil
	}
	return text, edits
}

// ordered sorts edits and leaves out those that overlap one before them.
func ordered(edits []cite.Edit) []cite.Edit {
	slices.SortStableFunc(edits, func(a, b cite.Edit) int { return cmp.Or(a.At-b.At, len(b.Drop)-len(a.Drop)) })
	at, escape := 0, -1
	return slices.DeleteFunc(edits, func(e cite.Edit) bool {
		if e.At < at || e.Kind == cite.Escape && e.At == escape {
			return true
		}
		at = e.At + len(e.Drop)
		if e.Kind == cite.Escape {
			escape = e.At
		}
		return false
	})
}

// What a line break takes with it. A mark of a block quote is none in plain text.
var (
	markdownBreak = regexp.MustCompile(`(?:\\|[ \t]*)\r?\n[ \t>\r\n]*`)
	plainBreak    = regexp.MustCompile(`[ \t]*\r?\n[ \t\r\n]*`)
)

func escape(at int) cite.Edit { return cite.Edit{Kind: cite.Escape, At: at, Put: `\`} }

// joins makes one line of a text.
func joins(quote string, lineBreak *regexp.Regexp) []cite.Edit {
	var edits []cite.Edit
	for _, m := range lineBreak.FindAllStringIndex(quote, -1) {
		e := cite.Edit{Kind: cite.Join, At: m[0], Drop: quote[m[0]:m[1]], Put: " "}
		before, n := utf8.DecodeLastRuneInString(quote[:m[0]])
		after, _ := utf8.DecodeRuneInString(quote[m[1]:])
		switch {
		case before == '\u00ad' || before == '-' && unicode.IsLower(after) && !compound(quote[:m[0]-n]):
			e.At -= n
			e.Drop, e.Put = quote[e.At:m[1]], ""
		case before == '-', dense(before) && dense(after):
			e.Put = ""
		}
		edits = append(edits, e)
	}
	return edits
}

// compound tells whether the word before a hyphen at a line's end has a hyphen of its own ("state-of-the-"): then this one stays.
func compound(before string) bool {
	word := before[strings.LastIndexFunc(before, unicode.IsSpace)+1:]
	return strings.ContainsRune(word, '-')
}

// dense tells letters of scripts that are written without spaces.
func dense(r rune) bool { return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) }

// escapes keeps plain text from being read as Markdown or HTML, or as a template of a site generator.
func escapes(quote string) []cite.Edit {
	var edits []cite.Edit
	put := func(at int) { edits = append(edits, escape(at)) }
	for i := 0; i < len(quote); i++ {
		switch c := quote[i]; c {
		case '*', '_', '`', '[', ']', '<', '\\', '~', '|':
			if c == '_' && between(quote, i, isWord) || (c == '*' || c == '~' || c == '<') && between(quote, i, isBlank) {
				continue // in the midst of a word, or between spaces: no mark
			}
			put(i)
		case '&':
			if entity.MatchString(quote[i:]) {
				put(i)
			}
		case '{':
			if i+1 < len(quote) && (quote[i+1] == '{' || quote[i+1] == '%') {
				put(i + 1)
				i++
			}
		}
	}
	return edits
}

// blockMark finds what would make a heading, a quote or a list of a line: where to put the backslash, or -1.
func blockMark(quote string) int {
	m := lineStart.FindStringSubmatchIndex(quote)
	if m == nil {
		return -1
	}
	return max(m[3], m[5]) - 1
}

var (
	entity    = regexp.MustCompile(`^&(#\d+|#[xX][0-9a-fA-F]+|\w+);`)
	lineStart = regexp.MustCompile(`^(?:(#|[-+*=]|\d{1,9}[.)])(?:[ \t]|$|[-=#])|(>))`)
)

// between tells whether the runes on both sides of a byte are of a kind.
func between(s string, at int, is func(rune) bool) bool {
	before, n := utf8.DecodeLastRuneInString(s[:at])
	after, m := utf8.DecodeRuneInString(s[at+1:])
	return n > 0 && m > 0 && is(before) && is(after)
}

func isWord(r rune) bool  { return unicode.IsLetter(r) || unicode.IsDigit(r) }
func isBlank(r rune) bool { return r == ' ' }
