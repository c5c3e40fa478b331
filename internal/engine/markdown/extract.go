// Package markdown reads Markdown documents into elements that are spans of their source, and writes text into Markdown so that it stays text.
package markdown

import (
	"bytes"
	"strings"
	"unicode"
	"unsafe"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"byline/internal/engine/extract"
)

// Extract reads a Markdown document (CommonMark with the tables and task lists of GFM), as extract.Decode gives it. The
// document's text is the source itself; elements are spans of it without the marks at their borders (#, -, >, |:--, ```),
// so what stands in one can be quoted as it is. Front matter, comments, scripts and link definitions are no elements; a
// title is taken from the front matter, else from the first outermost heading.
// Only blocks are parsed, with bounded nesting, so hostile sources take linear time too.
func Extract(source string, sink extract.Sink) error {
	title, body := frontMatter(source)
	r := &reader{source: source, base: body}
	r.blocks(parse(source[body:]))
	if title == "" {
		title = r.title()
	}
	return extract.Send(extract.Info{Title: title}, source, r.elements, sink)
}

// parse gives the tree of blocks.
func parse(source string) ast.Node {
	// The parser does not write to its source.
	return blockParser().Parse(text.NewReader(unsafe.Slice(unsafe.StringData(source), len(source))))
}

// blockParser knows all blocks of CommonMark and nothing that stands within one: inline parsing can be made to take
// quadratic time, and no span needs it.
func blockParser() parser.Parser {
	return parser.NewParser(
		parser.WithBlockParsers(
			util.Prioritized(parser.NewSetextHeadingParser(), 100),
			util.Prioritized(parser.NewThematicBreakParser(), 200),
			util.Prioritized(shallow{parser.NewListParser()}, 300),
			util.Prioritized(parser.NewListItemParser(), 400),
			util.Prioritized(parser.NewCodeBlockParser(), 500),
			util.Prioritized(parser.NewATXHeadingParser(), 600),
			util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
			util.Prioritized(shallow{parser.NewBlockquoteParser()}, 800),
			util.Prioritized(parser.NewHTMLBlockParser(), 900),
			util.Prioritized(parser.NewParagraphParser(), 1000),
		),
		parser.WithParagraphTransformers(util.Prioritized(definitions{}, 100)),
	)
}

// definitions takes link definitions out of a paragraph, but leaves footnotes, which look like them when they are one word.
type definitions struct{}

func (definitions) Transform(n *ast.Paragraph, r text.Reader, pc parser.Context) {
	first := n.Lines().At(0)
	if !bytes.HasPrefix(bytes.TrimLeft(first.Value(r.Source()), " "), []byte("[^")) {
		parser.LinkReferenceParagraphTransformer.Transform(n, r, pc)
	}
}

// maxDepth bounds the nesting of quotes and lists, since every line is offered to all open ones. What is deeper is text.
const maxDepth = 12

// shallow opens a container unless it is nested too deeply.
type shallow struct{ parser.BlockParser }

func (s shallow) Open(parent ast.Node, r text.Reader, pc parser.Context) (ast.Node, parser.State) {
	depth := 0
	for n := parent; n != nil; n = n.Parent() {
		if depth++; depth > 2*maxDepth { // a list and its item are two
			return nil, parser.NoChildren
		}
	}
	return s.BlockParser.Open(parent, r, pc)
}

// reader makes elements of blocks.
type reader struct {
	source   string
	base     int // byte offset of the parsed part in source
	elements []extract.Element
}

// blocks reads the children of a container.
func (r *reader) blocks(container ast.Node) {
	for n := container.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			r.add(extract.Heading, n.Level, r.unwrap(r.lines(n)))
		case *ast.Paragraph, *ast.TextBlock:
			kind := extract.Paragraph
			if _, item := container.(*ast.ListItem); item && n == container.FirstChild() {
				kind = extract.Item
			}
			r.paragraph(kind, n)
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			r.add(extract.Code, 0, r.code(n))
		case *ast.HTMLBlock:
			r.html(n)
		default:
			r.blocks(n)
		}
	}
}

// span is a piece of the source.
type span struct{ start, end int }

func (r *reader) of(s span) string { return r.source[s.start:s.end] }

// lines is the span from a block's first line to its last, without white space around it.
func (r *reader) lines(n ast.Node) span {
	l := n.Lines()
	if l.Len() == 0 {
		return span{}
	}
	return r.trim(span{r.base + l.At(0).Start, r.base + l.At(l.Len()-1).Stop})
}

func (r *reader) trim(s span) span {
	rest := strings.TrimLeftFunc(r.of(s), unicode.IsSpace)
	s.start = s.end - len(rest)
	s.end = s.start + len(strings.TrimRightFunc(rest, unicode.IsSpace))
	return s
}

func (r *reader) add(kind extract.Kind, level int, s span) {
	if s.start < s.end {
		r.elements = append(r.elements, extract.Element{Kind: kind, Level: level, Start: s.start, End: s.end})
	}
}

// paragraph reads a block of text, which may be or end in a table, or be a caption or a picture.
func (r *reader) paragraph(kind extract.Kind, n ast.Node) {
	lines := n.Lines()
	head := r.tableHead(lines)
	whole := r.lines(n)
	if head >= 0 {
		table := r.trim(span{r.base + lines.At(head).Start, whole.end})
		whole = r.trim(span{whole.start, table.start})
		defer r.add(extract.Table, 0, table)
	}
	whole = r.afterMark(whole)
	s := r.of(whole)
	if alt, ok := soleImage(s); ok {
		r.add(extract.Caption, 0, r.trim(span{whole.start + alt.start, whole.start + alt.end}))
		return
	}
	if kind == extract.Paragraph && extract.IsCaption(s) {
		kind = extract.Caption
	}
	r.add(kind, 0, r.unwrap(whole))
}

// afterMark leaves out the box of a task and the mark of a footnote.
func (r *reader) afterMark(s span) span {
	t := r.of(s)
	for _, box := range []string{"[ ] ", "[x] ", "[X] "} {
		if strings.HasPrefix(t, box) {
			return r.trim(span{s.start + len(box), s.end})
		}
	}
	const maxLabel = 100
	if strings.HasPrefix(t, "[^") {
		if i := strings.Index(t[:min(len(t), maxLabel)], "]:"); i > 0 && !strings.ContainsAny(t[:i], " \n") {
			return r.trim(span{s.start + i + 2, s.end})
		}
	}
	return s
}

// unwrap leaves out emphasis around the whole.
func (r *reader) unwrap(s span) span {
	t := r.of(s)
	for _, mark := range []string{"**", "__", "*", "_"} {
		if len(t) > 2*len(mark) && strings.HasPrefix(t, mark) && strings.HasSuffix(t, mark) {
			inner := t[len(mark) : len(t)-len(mark)]
			if !strings.ContainsAny(inner, mark[:1]+"\\`") && strings.TrimSpace(inner) == inner {
				return span{s.start + len(mark), s.end - len(mark)}
			}
		}
	}
	return s
}

// soleImage finds the alternative text of a picture that is all there is.
func soleImage(s string) (alt span, ok bool) {
	if !strings.HasPrefix(s, "![") || !strings.HasSuffix(s, ")") {
		return alt, false
	}
	end := strings.Index(s, "](")
	if end < 0 || strings.IndexByte(s[end:], ')') != len(s)-end-1 {
		return alt, false
	}
	return span{2, end}, true
}

// tableHead is the number of the line that is the header of a table, -1 when there is none: the line below it is made of
// dashes for the same number of cells.
func (r *reader) tableHead(lines *text.Segments) int {
	for i := 1; i < lines.Len(); i++ {
		n := delimiters(r.line(lines, i))
		if n > 0 && n == cells(r.line(lines, i-1)) {
			return i - 1
		}
	}
	return -1
}

func (r *reader) line(lines *text.Segments, i int) string {
	l := lines.At(i)
	return strings.TrimSpace(r.source[r.base+l.Start : r.base+l.Stop])
}

// delimiters counts the cells of a delimiter row such as |:--|---|; 0 for other lines.
func delimiters(line string) int {
	if line == "" || !strings.ContainsRune("|:-", rune(line[0])) || strings.Trim(line, "|:- \t") != "" || !strings.Contains(line, "-") {
		return 0
	}
	n := 0
	for cell := range strings.SplitSeq(inBars(line), "|") {
		cell = strings.TrimSpace(cell)
		cell = strings.TrimSuffix(strings.TrimPrefix(cell, ":"), ":")
		if cell == "" || strings.Trim(cell, "-") != "" {
			return 0
		}
		n++
	}
	if n == 1 && !strings.Contains(line, "|") {
		return 0 // the underline of a title
	}
	return n
}

// cells counts the cells of a row. An escaped bar does not part cells.
func cells(line string) int {
	line = inBars(line)
	return strings.Count(line, "|") - strings.Count(line, `\|`) + 1
}

func inBars(line string) string {
	line = strings.TrimPrefix(line, "|")
	if strings.HasSuffix(line, "|") && !strings.HasSuffix(line, `\|`) {
		line = line[:len(line)-1]
	}
	return line
}

// code is the span of the code with the indentation of its first line.
func (r *reader) code(n ast.Node) span {
	s := r.lines(n)
	if s.start == s.end {
		return s
	}
	// Lines begin behind the four columns that make indented code, or behind the container of fenced code.
	s.start = max(min(s.start, r.base+n.Lines().At(0).Start), 0)
	if n.Kind() == ast.KindCodeBlock {
		for i := 0; i < 4 && s.start > r.base && r.source[s.start-1] == ' '; i++ {
			s.start--
		}
	}
	// Blank lines above are none of it.
	if i := strings.LastIndexByte(r.source[s.start:r.lines(n).start], '\n'); i >= 0 {
		s.start += i + 1
	}
	return s
}

// html reads a block of HTML that has text for readers.
func (r *reader) html(n *ast.HTMLBlock) {
	s := r.lines(n)
	if n.HasClosure() {
		last := r.trim(span{r.base + n.ClosureLine.Start, r.base + n.ClosureLine.Stop})
		if s == (span{}) {
			s = last
		}
		s.end = last.end
	}
	t := r.of(s)
	switch n.HTMLBlockType {
	case ast.HTMLBlockType1: // script, style, pre, textarea
		if !hasFold(t, "<pre") {
			return
		}
	case ast.HTMLBlockType2, ast.HTMLBlockType3, ast.HTMLBlockType4, ast.HTMLBlockType5: // comments, instructions
		return
	}
	if !extract.HasText(outsideTags(t)) {
		return
	}
	kind := extract.Paragraph
	switch {
	case hasFold(t, "<table"):
		kind = extract.Table
	case hasFold(t, "<pre"):
		kind = extract.Code
	}
	r.add(kind, 0, s)
}

func hasFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// outsideTags is what is left without what stands in <>.
func outsideTags(s string) string {
	var b strings.Builder
	for s != "" {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:open])
		end := strings.IndexByte(s[open:], '>')
		if end < 0 {
			break
		}
		s = s[open+end+1:]
	}
	return b.String()
}

// title is the first heading of the first level, if nothing but other headings' levels is above it.
func (r *reader) title() string {
	for _, e := range r.elements {
		if e.Kind == extract.Heading && e.Level == 1 {
			return PlainText(r.source[e.Start:e.End])
		}
	}
	return ""
}
