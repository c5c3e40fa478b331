// Package markdown reads the elements of Markdown, and writes text so that it stays text in Markdown.
package markdown

import (
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"byline/internal/engine/extract"
)

// maxDepth of nested blocks: deeper ones are read as text.
const maxDepth = 32

// Extract finds the elements of a Markdown source. The document's text is the source itself; elements are stretches of it
// without the marks that begin them (of headings, items and quotes). Front matter is no element; its title is the document's.
func Extract(source string, sink extract.Sink) error {
	if len(source) > 0 && !strings.HasSuffix(source, "\n") {
		source += "\n"
	}
	body, title := frontMatter(source)
	r := reader{source: []byte(flatten(source[body:])), base: body}
	doc := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Parser().Parse(text.NewReader(r.source))
	r.blocks(doc, 0)
	if title == "" {
		title = r.title
	}
	if err := sink.Begin(extract.Info{Title: title}); err != nil {
		return err
	}
	return sink.Part(extract.Part{Text: source, Elements: r.elements})
}

// flatten takes the nesting out of lines that are nested absurdly deep: the parser takes time in the square of the depth.
// Lengths stay, so that offsets do.
func flatten(s string) string {
	var b []byte
	for start := 0; start < len(s); {
		end := start + strings.IndexByte(s[start:], '\n') + 1
		marks := 0
		for i := start; i < end && (s[i] == '>' || s[i] == ' ' || s[i] == '\t' || s[i] == '-' || s[i] == '*' || s[i] == '+'); i++ {
			if s[i] == '>' || i+1 < end && s[i] != ' ' && s[i] != '\t' && s[i+1] == ' ' {
				marks++
			}
			if marks > maxDepth {
				if b == nil {
					b = []byte(s)
				}
				b[i] = ' '
			}
		}
		start = end
	}
	if b == nil {
		return s
	}
	return string(b)
}

// reader walks the tree and notes elements.
type reader struct {
	source   []byte
	base     int // where the source begins in the document
	title    string
	elements []extract.Element
}

func (r *reader) blocks(parent ast.Node, depth int) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			if s, e, ok := r.extent(n); ok {
				if r.title == "" && n.Level == 1 {
					r.title = Plain(string(r.source[s:e]))
				}
				r.add(extract.Element{Kind: extract.Heading, Level: n.Level, Start: s, End: e})
			}
		case *ast.Paragraph, *ast.TextBlock:
			kind := extract.Paragraph
			if _, ok := parent.(*ast.ListItem); ok {
				kind = extract.Item
			}
			if s, e, ok := r.extent(n); ok {
				r.add(extract.Element{Kind: kind, Start: s, End: e})
			}
		case *east.Table:
			if s, e, ok := r.table(n); ok {
				r.add(extract.Element{Kind: extract.Table, Start: s, End: e})
			}
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			if s, e, ok := r.extent(n); ok {
				r.add(extract.Element{Kind: extract.Code, Start: s, End: e})
			}
		case *ast.HTMLBlock, *ast.ThematicBreak:
			// markup without sentences of its own
		default: // lists, items, quotes
			if depth < 2*maxDepth {
				r.blocks(n, depth+1)
			}
		}
	}
}

func (r *reader) add(e extract.Element) {
	e.Start, e.End = e.Start+r.base, e.End+r.base
	if n := len(r.elements); n > 0 && e.Start < r.elements[n-1].End {
		return // elements do not overlap
	}
	r.elements = append(r.elements, e)
}

// extent is the stretch from the first to the last line of a block, without white space around it.
func (r *reader) extent(n ast.Node) (start, end int, ok bool) {
	lines := n.Lines()
	if lines == nil || lines.Len() == 0 {
		return 0, 0, false
	}
	start, end = lines.At(0).Start, lines.At(lines.Len()-1).Stop
	for end > start && isSpace(r.source[end-1]) {
		end--
	}
	for start < end && isSpace(r.source[start]) {
		start++
	}
	return start, end, end > start
}

// table is the stretch of whole lines of a table: its cells know where they are, itself does not.
func (r *reader) table(t *east.Table) (start, end int, ok bool) {
	start, end = len(r.source), 0
	err := ast.Walk(t, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if c, is := n.(*east.TableCell); is && entering && c.Lines().Len() > 0 {
			start, end = min(start, c.Lines().At(0).Start), max(end, c.Lines().At(c.Lines().Len()-1).Stop)
		}
		return ast.WalkContinue, nil
	})
	if err != nil || end <= start {
		return 0, 0, false
	}
	for start > 0 && r.source[start-1] != '\n' {
		start--
	}
	for end < len(r.source) && r.source[end] != '\n' {
		end++
	}
	return start, end, true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// frontMatter finds where the text behind a block of YAML at the very beginning starts, and the title in it.
func frontMatter(source string) (body int, title string) {
	if !strings.HasPrefix(source, "---\n") {
		return 0, ""
	}
	i := strings.Index(source[3:], "\n---\n")
	if i < 0 || i > 64<<10 {
		return 0, ""
	}
	for line := range strings.SplitSeq(source[4:3+i+1], "\n") {
		if v, ok := strings.CutPrefix(line, "title:"); ok {
			title = strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return 3 + i + len("\n---\n"), title
}
