// Package textdiff compares Markdown texts by blocks, sentences and words, and says which changes still fit a text that has moved on.
package textdiff

import (
	"regexp"
	"strings"
)

// Kind of a block.
type Kind string

// The kinds of blocks.
const (
	Heading   Kind = "heading"
	Paragraph Kind = "paragraph"
	List      Kind = "list"
	Table     Kind = "table"
	Quote     Kind = "quote"
	Code      Kind = "code"
	Rule      Kind = "rule" // a thematic break
)

// Block is a piece of Markdown that stands by itself. Its body has no blank lines around it.
type Block struct {
	Kind  Kind
	Level int // of a heading, 1 to 6
	Start int // UTF-8 byte offsets: of the body
	Stop  int // behind the body
	End   int // where the next block begins: body and what parts it from that
}

// Body is a block's text in the text that it was found in.
func (b Block) Body(text string) string { return text[b.Start:b.Stop] }

var (
	headingLine = regexp.MustCompile(`^ {0,3}(#{1,6})(?:[ \t]|$)`)
	fenceLine   = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})")
	itemLine    = regexp.MustCompile(`^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)`)
	firstItem   = regexp.MustCompile(`^ {0,3}(?:[-*+]|1[.)])[ \t]+\S`)
	quoteLine   = regexp.MustCompile(`^ {0,3}>`)
	ruleLine    = regexp.MustCompile(`^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$`)
	setext      = regexp.MustCompile(`^ {0,3}(?:=+|-+)[ \t]*$`)
	delimiter   = regexp.MustCompile(`^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$`)
)

// Blocks cuts a text into its blocks. White space before the first one belongs to none; all else is in one block each, so that the
// text from the first Start on is theirs, one behind the other. It takes time linear in its input.
func Blocks(text string) []Block {
	s := scanner{text: text}
	for line := range strings.Lines(text) {
		s.lines = append(s.lines, s.at)
		s.at += len(line)
	}
	s.lines = append(s.lines, len(text))
	var blocks []Block
	for i := 0; i < s.count(); {
		if s.blank(i) {
			i++
			continue
		}
		kind, level, next := s.block(i)
		last := next
		for last > i+1 && s.blank(last-1) {
			last--
		}
		if n := len(blocks); n > 0 {
			blocks[n-1].End = s.lines[i]
		}
		stop := s.lines[last-1] + len(s.line(last-1))
		blocks = append(blocks, Block{Kind: kind, Level: level, Start: s.lines[i], Stop: stop, End: len(text)})
		i = next
	}
	return blocks
}

type scanner struct {
	text  string
	at    int
	lines []int // where each begins, and where the text ends
}

func (s *scanner) count() int { return len(s.lines) - 1 }

// line is a line without its end.
func (s *scanner) line(i int) string {
	return strings.TrimRight(s.text[s.lines[i]:s.lines[i+1]], "\r\n")
}

func (s *scanner) blank(i int) bool { return strings.TrimSpace(s.line(i)) == "" }

// block tells what begins at a line and which line is behind it.
func (s *scanner) block(i int) (kind Kind, level, next int) {
	line := s.line(i)
	switch {
	case headingLine.MatchString(line):
		return Heading, len(headingLine.FindStringSubmatch(line)[1]), i + 1
	case fenceLine.MatchString(line):
		return Code, 0, s.fence(i)
	case ruleLine.MatchString(line):
		return Rule, 0, i + 1
	case quoteLine.MatchString(line):
		return Quote, 0, s.until(i+1, func(l string) bool { return !quoteLine.MatchString(l) && s.opens(l) })
	case itemLine.MatchString(line):
		return List, 0, s.list(i)
	case strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t"):
		return Code, 0, s.until(i+1, func(l string) bool { return !strings.HasPrefix(l, "    ") && !strings.HasPrefix(l, "\t") })
	case s.table(i):
		return Table, 0, s.until(i+2, s.opens)
	}
	for next = i + 1; next < s.count() && !s.blank(next); next++ {
		l := s.line(next)
		if setext.MatchString(l) {
			if level = 2; strings.Contains(l, "=") {
				level = 1
			}
			return Heading, level, next + 1
		}
		if s.opens(l) || s.table(next) {
			break
		}
	}
	return Paragraph, 0, next
}

// opens tells whether a line begins another block than the paragraph that it stands in.
func (s *scanner) opens(line string) bool {
	return headingLine.MatchString(line) || fenceLine.MatchString(line) || quoteLine.MatchString(line) || firstItem.MatchString(line) || ruleLine.MatchString(line)
}

// until gives the first line from i on that is blank or ends the block.
func (s *scanner) until(i int, ends func(line string) bool) int {
	for i < s.count() && !s.blank(i) && !ends(s.line(i)) {
		i++
	}
	return i
}

func (s *scanner) fence(i int) int {
	open := strings.TrimLeft(s.line(i), " ")
	sign := open[:1]
	n := len(open) - len(strings.TrimLeft(open, sign))
	for i++; i < s.count(); i++ {
		l := s.line(i)
		t := strings.TrimLeft(l, " ")
		if run := len(t) - len(strings.TrimLeft(t, sign)); len(l)-len(t) < 4 && run >= n && strings.TrimSpace(t[run:]) == "" {
			return i + 1
		}
	}
	return i
}

// list goes on over blank lines as long as more items, or what is indented below them, come.
func (s *scanner) list(i int) int {
	end := i + 1
	for k := i + 1; k < s.count(); k++ {
		l := s.line(k)
		behind := s.blank(k - 1)
		switch {
		case s.blank(k):
			continue
		case ruleLine.MatchString(l), headingLine.MatchString(l), behind && fenceLine.MatchString(l), quoteLine.MatchString(l):
			return end
		case itemLine.MatchString(l), strings.HasPrefix(l, "  "), strings.HasPrefix(l, "\t"):
		case behind || fenceLine.MatchString(l):
			return end
		}
		end = k + 1
	}
	return end
}

// table tells whether a table begins at a line: a row with a bar, and the line of hyphens below it.
func (s *scanner) table(i int) bool {
	return i+1 < s.count() && strings.Contains(s.line(i), "|") && strings.Contains(s.line(i+1), "|") && delimiter.MatchString(s.line(i+1))
}
