package summarize

import (
	"cmp"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/cite"
)

// tame leaves the Markdown of a quote as it is, but for what would break the post or leads nowhere outside of its source: HTML,
// images, links within the source's own folder, marks of footnotes, templates of site generators, and emphasis or code whose
// other mark is in another sentence.
func tame(quote string) []cite.Edit {
	t := taming{quote: quote}
	for t.at < len(quote) {
		t.mark()
	}
	for _, d := range t.runs {
		if !d.paired {
			t.escapeAll(d.at, d.n)
		}
	}
	return t.edits
}

// taming goes through a quote from mark to mark.
type taming struct {
	quote string
	at    int
	edits []cite.Edit
	open  []int // offsets of brackets that may begin a link
	runs  []run
}

// run is a row of the same mark of emphasis.
type run struct {
	at, n  int
	paired bool
}

var (
	autolink = regexp.MustCompile(`^<(https?://[^\s<>]+|[\w.+-]+@[\w.-]+)>`)
	lineTag  = regexp.MustCompile(`^<br ?/?>`)
	footmark = regexp.MustCompile(`^\[\^[^\[\]\s]+\]`)
	// target is where a link leads, in the shapes that an Unlink may drop.
	target   = regexp.MustCompile(`^\]\((<[^<>\n]*>|(?:[^\s()]|\([^\s()]*\))*)(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'))?\)`)
	outwards = regexp.MustCompile(`^<?(https?://|mailto:)`)
)

// mark deals with what stands at t.at and goes on behind it.
func (t *taming) mark() {
	rest := t.quote[t.at:]
	switch c := rest[0]; {
	case c == '\\':
		t.at += min(2, len(rest))
	case c == '`':
		t.code()
	case c == '<':
		t.angle(rest)
	case c == '{' && len(rest) > 1 && (rest[1] == '{' || rest[1] == '%'):
		t.edits = append(t.edits, escape(t.at+1))
		t.at += 2
	case c == '[':
		if m := footmark.FindString(rest); m != "" {
			t.edits = append(t.edits, cite.Edit{Kind: cite.Unlink, At: t.at, Drop: m})
			t.at += len(m)
			return
		}
		t.open = append(t.open, t.at)
		t.at++
	case c == ']':
		t.link(rest)
	case c == '*' || c == '_' || c == '~':
		t.emphasis(c)
	default:
		t.at++
	}
}

func (t *taming) escapeAll(at, n int) {
	for i := range n {
		t.edits = append(t.edits, escape(at+i))
	}
}

// code skips a span of code, in which nothing is a mark.
func (t *taming) code() {
	n := rowOf(t.quote[t.at:])
	for i := t.at + n; i < len(t.quote); {
		if t.quote[i] != '`' {
			i++
			continue
		}
		m := rowOf(t.quote[i:])
		i += m
		if m == n {
			t.at = i
			return
		}
	}
	t.escapeAll(t.at, n)
	t.at += n
}

// rowOf is how often the first byte of s is repeated.
func rowOf(s string) int { return len(s) - len(strings.TrimLeft(s, s[:1])) }

func (t *taming) angle(rest string) {
	if m := cmp.Or(autolink.FindString(rest), lineTag.FindString(rest)); m != "" {
		t.at += len(m)
		return
	}
	if len(rest) > 1 && (rest[1] == '/' || rest[1] == '!' || rest[1] == '?' || unicode.IsLetter(rune(rest[1]))) {
		t.edits = append(t.edits, escape(t.at))
	}
	t.at++
}

// link ends at a bracket: it stays when it leads out to the web, and its words alone stay else.
func (t *taming) link(rest string) {
	if len(t.open) == 0 {
		t.at++
		return
	}
	begin := t.open[len(t.open)-1]
	t.open = t.open[:len(t.open)-1]
	if !strings.HasPrefix(rest, "](") {
		t.at++
		return
	}
	image := begin > 0 && t.quote[begin-1] == '!' && (begin == 1 || t.quote[begin-2] != '\\')
	switch m := target.FindStringSubmatch(rest); {
	case m == nil: // unusual: no link at all is better than one that nobody has looked at
		t.edits = append(t.edits, escape(t.at))
		t.at++
	case !image && outwards.MatchString(m[1]):
		t.at += len(m[0])
	default:
		mark := t.quote[begin : begin+1]
		if image {
			begin, mark = begin-1, "!["
		}
		t.edits = append(t.edits, cite.Edit{Kind: cite.Unlink, At: begin, Drop: mark}, cite.Edit{Kind: cite.Unlink, At: t.at, Drop: m[0]})
		t.at += len(m[0])
	}
}

// emphasis pairs a row of marks with the last like one that is open.
func (t *taming) emphasis(c byte) {
	n := rowOf(t.quote[t.at:])
	before, _ := utf8.DecodeLastRuneInString(t.quote[:t.at])
	after, _ := utf8.DecodeRuneInString(t.quote[t.at+n:])
	opens := t.at+n < len(t.quote) && !unicode.IsSpace(after)
	closes := t.at > 0 && !unicode.IsSpace(before)
	at := t.at
	t.at += n
	if !opens && !closes || c == '_' && isWord(before) && isWord(after) {
		return
	}
	if closes {
		for i := len(t.runs) - 1; i >= 0; i-- {
			if o := &t.runs[i]; !o.paired && o.n == n && t.quote[o.at] == c {
				o.paired = true
				t.runs = append(t.runs, run{at, n, true})
				return
			}
		}
	}
	t.runs = append(t.runs, run{at, n, false})
}

// isPipeTable tells a table that is written as Markdown has it, wherever it comes from: its second line parts the head.
func isPipeTable(s string) bool {
	first, rest, _ := strings.Cut(s, "\n")
	second, _, _ := strings.Cut(rest, "\n")
	return strings.Contains(second, "-") && strings.Contains(second, "|") && strings.Trim(second, "|-: \t>") == "" && cells(first) == cells(second)
}

// cells counts the cells of a row between pipes.
func cells(row string) int {
	return 1 + strings.Count(strings.Trim(row, "| \t>"), "|")
}
