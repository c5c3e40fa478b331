package html

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"byline/internal/engine/extract"
)

// writer makes a text of a tree, block by block. Its offsets are those of the text.
type writer struct {
	furniture bool // leave out what stands around a page: navigation, header, footer, asides

	out      strings.Builder
	elements []extract.Element

	inline strings.Builder // of the block under way
	space  bool            // white space came since the last letter of it
	breaks int             // line breaks likewise
	kind   extract.Kind    // of the block under way; "" is a paragraph
	level  int
	marker string // of a list item, not yet written
	lists  []list
}

// list is an open one.
type list struct {
	ordered bool
	number  int
}

func (w *writer) text() string { return w.out.String() }

func (w *writer) size() int { return w.out.Len() }

// silent elements have no text for readers.
var silent = map[atom.Atom]bool{
	atom.Head: true, atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Iframe: true, atom.Object: true,
	atom.Embed: true, atom.Svg: true, atom.Canvas: true, atom.Audio: true, atom.Video: true, atom.Select: true, atom.Textarea: true,
	atom.Button: true, atom.Input: true, atom.Option: true, atom.Datalist: true, atom.Rp: true, atom.Rt: true, atom.Dialog: true,
	atom.Frameset: true, atom.Noframes: true, atom.Noembed: true, atom.Applet: true, atom.Map: true, atom.Meter: true, atom.Progress: true,
}

// around are the elements that stand around a page's text.
var around = map[atom.Atom]bool{atom.Nav: true, atom.Header: true, atom.Footer: true, atom.Aside: true, atom.Menu: true, atom.Form: true}

// hidden tells whether a browser would not show the element, or tells that it is no text: what nobody sees must not be quoted,
// and is a usual place for words that are meant for programs.
func hidden(n *html.Node) bool {
	for _, a := range n.Attr {
		switch a.Key {
		case "hidden":
			return true
		case "aria-hidden":
			if strings.EqualFold(a.Val, "true") {
				return true
			}
		case "style":
			if hiding(a.Val) {
				return true
			}
		}
	}
	return n.Data == "annotation" || n.Data == "annotation-xml" // the source of a formula, beside the formula
}

// hiding tells whether a style takes its element out of sight.
func hiding(style string) bool {
	style = strings.ToLower(strings.Join(strings.Fields(style), ""))
	for rule := range strings.SplitSeq(style, ";") {
		rule = strings.TrimSuffix(rule, "!important")
		switch rule {
		case "display:none", "visibility:hidden", "visibility:collapse", "opacity:0", "opacity:0.0", "font-size:0", "font-size:0px", "color:transparent":
			return true
		}
	}
	return false
}

// blocks begin a new block before and after themselves.
var blocks = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.Section: true, atom.Article: true, atom.Main: true, atom.Header: true, atom.Footer: true, atom.Aside: true,
	atom.Nav: true, atom.Address: true, atom.Blockquote: true, atom.Figure: true, atom.Dl: true, atom.Dt: true, atom.Dd: true, atom.Form: true,
	atom.Fieldset: true, atom.Legend: true, atom.Details: true, atom.Summary: true, atom.Hr: true, atom.Body: true, atom.Html: true,
	atom.Table: true, atom.Tbody: true, atom.Thead: true, atom.Tfoot: true, atom.Tr: true, atom.Td: true, atom.Th: true, atom.Center: true,
	atom.Hgroup: true, atom.Search: true, atom.Ul: true, atom.Ol: true, atom.Menu: true, atom.Li: true, atom.Pre: true,
}

func (w *writer) children(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c)
	}
}

func (w *writer) node(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		w.words(n.Data)
		return
	case html.ElementNode:
	default:
		return
	}
	if silent[n.DataAtom] || w.furniture && (around[n.DataAtom] || isFurniture(n)) || hidden(n) {
		return
	}
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		w.as(extract.Heading, int(n.Data[1]-'0'), n)
	case atom.Br:
		if w.breaks++; w.breaks > 1 { // two of them part paragraphs, where nobody writes <p>
			w.flush()
		}
		w.space = true
	case atom.Ul, atom.Ol, atom.Menu:
		w.list(n)
	case atom.Li:
		w.item(n)
	case atom.Pre:
		w.code(n)
	case atom.Figcaption, atom.Caption:
		w.as(extract.Caption, 0, n)
	case atom.Table:
		w.flush()
		if rows, ok := grid(n); ok {
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				if c.DataAtom == atom.Caption {
					w.node(c)
				}
			}
			w.put(extract.Table, 0, markdownTable(rows))
			return
		}
		w.children(n)
		w.flush()
	case atom.Sup, atom.Sub:
		w.raised(n)
	case atom.Q:
		w.words("“")
		w.children(n)
		w.words("”")
	default:
		if blocks[n.DataAtom] {
			w.flush()
			w.children(n)
			w.flush()
			return
		}
		w.children(n)
	}
}

// as writes an element whose first block is of a kind.
func (w *writer) as(kind extract.Kind, level int, n *html.Node) {
	w.flush()
	w.kind, w.level = kind, level
	w.children(n)
	w.flush()
	w.kind, w.level = "", 0
}

// isFurniture knows what stands around a page by the role that it says it has.
func isFurniture(n *html.Node) bool {
	for _, a := range n.Attr {
		if a.Key == "role" {
			switch strings.ToLower(a.Val) {
			case "navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "dialog", "alertdialog":
				return true
			}
		}
	}
	return false
}

// words appends text to the block under way, with one space for any white space.
func (w *writer) words(s string) {
	for _, r := range s {
		if unicode.IsSpace(r) || r == '\u200B' {
			w.space = w.space || r != '\u200B'
			continue
		}
		if w.space && w.inline.Len() > 0 {
			w.inline.WriteByte(' ')
		}
		w.space, w.breaks = false, 0
		w.inline.WriteRune(r)
	}
}

// flush ends the block under way.
func (w *writer) flush() {
	s := w.inline.String()
	w.inline.Reset()
	w.space, w.breaks = false, 0
	if s == "" {
		return
	}
	kind, level := w.kind, w.level
	w.kind, w.level = "", 0
	if kind == "" {
		if kind = extract.Paragraph; w.marker != "" {
			kind = extract.Item
		} else if extract.IsCaption(s) {
			kind = extract.Caption
		}
	}
	w.put(kind, level, s)
}

// put writes a block. Items follow each other without a blank line.
func (w *writer) put(kind extract.Kind, level int, s string) {
	s = extract.Normalize(s)
	s = strings.TrimSpace(s)
	if !extract.HasText(s) { // bullets, rules and arrows
		return
	}
	if w.out.Len() > 0 {
		w.out.WriteByte('\n')
		if n := len(w.elements); kind != extract.Item || w.elements[n-1].Kind != extract.Item {
			w.out.WriteByte('\n')
		}
	}
	if kind == extract.Item {
		w.out.WriteString(w.marker)
	}
	w.marker = ""
	start := w.out.Len()
	w.out.WriteString(s)
	w.elements = append(w.elements, extract.Element{Kind: kind, Level: level, Start: start, End: w.out.Len()})
}

func (w *writer) list(n *html.Node) {
	w.flush()
	l := list{ordered: n.DataAtom == atom.Ol, number: 1}
	if start, err := strconv.Atoi(attr(n, "start")); err == nil && start >= 0 && start < 1e6 {
		l.number = start
	}
	w.lists = append(w.lists, l)
	w.children(n)
	w.flush()
	w.lists = w.lists[:len(w.lists)-1]
}

func (w *writer) item(n *html.Node) {
	w.flush()
	mark := "- "
	depth := len(w.lists)
	if depth > 0 && w.lists[depth-1].ordered {
		l := &w.lists[depth-1]
		mark = strconv.Itoa(l.number) + ". "
		l.number++
	}
	w.marker = strings.Repeat("  ", min(max(depth-1, 0), 8)) + mark
	w.children(n)
	w.flush()
	w.marker = ""
}

// code keeps lines as they are.
func (w *writer) code(n *html.Node) {
	w.flush()
	var b strings.Builder
	raw(&b, n)
	lines := strings.Split(strings.ReplaceAll(b.String(), "\r", ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimRightFunc(lines[i], unicode.IsSpace)
	}
	w.marker = ""
	w.put(extract.Code, 0, strings.Trim(strings.Join(lines, "\n"), "\n"))
}

func raw(b *strings.Builder, n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.Type == html.TextNode:
			b.WriteString(c.Data)
		case c.Type != html.ElementNode || silent[c.DataAtom] || hidden(c):
		case c.DataAtom == atom.Br:
			b.WriteByte('\n')
		default:
			raw(b, c)
		}
	}
}

// raised writes what stands above or below the line. A number keeps its place: 10<sup>6</sup> is not 106, and a footnote's
// mark is no part of the word before it. Marks such as [3] are left out.
func (w *writer) raised(n *html.Node) {
	s := strings.TrimSpace(plain(n))
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") && len(s) <= 24 {
		return
	}
	signs := superscripts
	if n.DataAtom == atom.Sub {
		signs = subscripts
	}
	if s != "" && strings.Trim(s, "0123456789+-−") == "" {
		w.words(signs.Replace(s))
		return
	}
	w.children(n)
}

var (
	superscripts = strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹", "+", "⁺", "-", "⁻", "−", "⁻")
	subscripts   = strings.NewReplacer("0", "₀", "1", "₁", "2", "₂", "3", "₃", "4", "₄", "5", "₅", "6", "₆", "7", "₇", "8", "₈", "9", "₉", "+", "₊", "-", "₋", "−", "₋")
)

// plain is the text of a node in one line.
func plain(n *html.Node) string {
	var w writer
	w.children(n)
	w.flush()
	return strings.Join(strings.Fields(w.text()), " ")
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
