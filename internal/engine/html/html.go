// Package html reads web pages and other HTML documents into one text of headings, paragraphs, items and tables, without what stands around them.
package html

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	readability "codeberg.org/readeck/go-readability/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"

	"byline/internal/engine/extract"
	"byline/internal/fault"
)

// MaxSize is the largest page that is read, in bytes.
const MaxSize = 32 << 20

// maxElements is the most that the search for the main part may meet: its time is not linear in every page.
const maxElements = 30_000

// Extract reads a page. Its text is what a reader sees of its main part: no navigation, no scripts, nothing hidden, no
// marks of footnotes, links as their words. Only the bytes are read; nothing that the page names is fetched.
func Extract(page []byte, sink extract.Sink) error {
	if len(page) > MaxSize {
		return fault.New(fault.Invalid, "page_too_large", "A page of HTML may have %d MB; this one has %d. Save its main part and upload that.", MaxSize>>20, len(page)>>20)
	}
	source, err := decode(page)
	if err != nil {
		return err
	}
	doc, err := html.Parse(strings.NewReader(source))
	if err != nil { // the parser reads everything that is not nested too deeply
		return fault.New(fault.Invalid, "bad_html", "This page cannot be read: it is nested too deeply to be a text.").Because(err)
	}
	whole := &writer{furniture: true}
	whole.children(root(doc))
	whole.flush()
	info, main := article(doc, whole)
	info.Pages = 0
	return extract.Send(info, main.text(), main.elements, sink)
}

// root is where the text of a page is: its main element, where there is exactly one, else its body.
func root(doc *html.Node) *html.Node {
	body, mains := doc, []*html.Node(nil)
	for n := range doc.Descendants() {
		switch n.DataAtom {
		case atom.Body:
			if body == doc {
				body = n
			}
		case atom.Main:
			mains = append(mains, n)
		}
	}
	if len(mains) == 1 {
		return mains[0]
	}
	return body
}

// A main part is believed when it has some text and is not a small part of all that the page shows: pages that are lists,
// tables or references have no article.
const (
	leastMain  = 250 // bytes
	leastShare = 4   // one in four bytes of the whole
)

// article finds the main part of a page and what the page says of itself; without a main part that can be believed it is
// the whole.
func article(doc *html.Node, whole *writer) (extract.Info, *writer) {
	info := extract.Info{Title: line(titleOf(doc), maxTitle)}
	found, ok := readable(doc)
	if !ok {
		return info, whole
	}
	if t := line(found.Title(), maxTitle); t != "" {
		info.Title = t
	}
	info.Author = line(found.Byline(), maxAuthor)
	info.Published = published(found)
	if found.Node == nil {
		return info, whole
	}
	main := &writer{}
	if info.Title != "" { // the title is taken out of the article, and its headings begin at the second level
		main.put(extract.Heading, 1, info.Title)
	}
	main.children(found.Node)
	main.flush()
	if main.size() < leastMain || main.size()*leastShare < whole.size() {
		return info, whole
	}
	return info, main
}

const (
	maxTitle  = 300 // bytes
	maxAuthor = 200
)

// readable runs the search for the main part on a copy. It was written for pages that browsers show; one that makes it fail
// is read without it.
func readable(doc *html.Node) (found readability.Article, ok bool) {
	n := 0
	for range doc.Descendants() {
		if n++; n > maxElements {
			return found, false
		}
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	p := readability.NewParser()
	found, err := p.ParseDocument(doc, nil)
	return found, err == nil
}

// published is when the page says that it appeared; a time that cannot be is none.
func published(found readability.Article) (t time.Time) {
	defer func() {
		if recover() != nil {
			t = time.Time{}
		}
	}()
	t, err := found.PublishedTime()
	if err != nil || t.Year() < 1900 || t.Year() > 2200 {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

func titleOf(doc *html.Node) string {
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Title && n.Namespace == "" && n.FirstChild != nil {
			return n.FirstChild.Data
		}
	}
	return ""
}

// line is a text in one line of at most limit bytes.
func line(s string, limit int) string {
	s = extract.Normalize(strings.Join(strings.Fields(s), " "))
	if len(s) <= limit {
		return s
	}
	cut := limit
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimSpace(s[:cut])
}

// declaredIn is how far into a page its encoding may be declared, in bytes.
const declaredIn = 4096

// decode finds the encoding as browsers do, but believes the bytes more than what is said of them: a mark, valid UTF-8, what
// the page declares, what the bytes look like. A page is not refused for some broken bytes, as a file of text is; they
// become U+FFFD.
func decode(page []byte) (string, error) {
	declared := declaration(page)
	name := ""
	if declared != nil {
		name, _ = htmlindex.Name(declared)
	}
	unmarked := bytes.TrimPrefix(page, []byte("\xEF\xBB\xBF"))
	switch {
	case len(page) == 0:
		return "", fault.New(fault.Invalid, "empty_file", "The file is empty. Upload a file with content.")
	case len(unmarked) < len(page), utf8.Valid(page) && name != "iso-2022-jp" && bytes.IndexByte(page, 0) < 0:
		return strings.ToValidUTF8(string(unmarked), "\uFFFD"), nil
	}
	if declared != nil && name != "utf-8" && name != "utf-16le" && name != "utf-16be" && bytes.IndexByte(page, 0) < 0 {
		if b, err := declared.NewDecoder().Bytes(page); err == nil {
			return string(b), nil
		}
	}
	text, _, err := extract.Decode(page)
	if f := fault.Of(err); f != nil && f.Code == "bad_encoding" {
		return strings.ToValidUTF8(string(page), "\uFFFD"), nil
	}
	return text, err
}

// declaration is the encoding that a page names in its head: <meta charset=...> or the http-equiv form of it.
func declaration(page []byte) encoding.Encoding {
	head := bytes.ToLower(page[:min(len(page), declaredIn)])
	for {
		at := bytes.Index(head, []byte("charset"))
		if at < 0 {
			return nil
		}
		before := head[:at]
		head = bytes.TrimLeft(head[at+len("charset"):], " \t\r\n")
		meta := bytes.LastIndexByte(before, '<')
		if len(head) == 0 || head[0] != '=' || meta < 0 || !bytes.HasPrefix(before[meta:], []byte("<meta")) {
			continue
		}
		label := bytes.TrimLeft(head[1:], " \t\r\n\"'")
		end := slices.IndexFunc(label, func(c byte) bool { return bytes.IndexByte([]byte(" \t\r\n\"';/>"), c) >= 0 })
		if end < 0 {
			return nil
		}
		if enc, err := htmlindex.Get(string(label[:end])); err == nil {
			return enc
		}
	}
}
