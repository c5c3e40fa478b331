package html

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// The bounds of a table: what is larger is read as blocks.
const (
	maxRows    = 5000
	maxColumns = 60
	maxCell    = 600 // bytes: a cell with more is a place on a page, not a value
	maxCarried = 200 // bytes of a cell that stands in several rows or columns
)

// grid reads a table of values into rows of equally many cells. A table that only places things on the page is not ok: one
// with a single row or column, with tables or long texts in it, or one that says so.
func grid(table *html.Node) (rows [][]string, ok bool) {
	if role := attr(table, "role"); role == "presentation" || role == "none" {
		return nil, false
	}
	var carried []carry // by column
	columns := 0
	for _, tr := range rowsOf(table) {
		if len(rows) == maxRows {
			return nil, false
		}
		row, fits := cellsOf(tr, &carried)
		if !fits {
			return nil, false
		}
		if strings.Join(row, "") == "" {
			continue
		}
		rows = append(rows, row)
		columns = max(columns, len(row))
	}
	if len(rows) < 2 || columns < 2 {
		return nil, false
	}
	for i := range rows {
		for len(rows[i]) < columns {
			rows[i] = append(rows[i], "")
		}
	}
	return rows, true
}

// carry is a cell that stands in further rows.
type carry struct {
	text string
	rows int
}

func rowsOf(table *html.Node) (rows []*html.Node) {
	for c := table.FirstChild; c != nil; c = c.NextSibling {
		switch c.DataAtom {
		case atom.Tr:
			rows = append(rows, c)
		case atom.Thead, atom.Tbody, atom.Tfoot:
			rows = append(rows, rowsOf(c)...)
		}
	}
	return rows
}

// cellsOf gives a row's cells, each in every column that it covers, with those that reach into it from above.
func cellsOf(tr *html.Node, carried *[]carry) (row []string, ok bool) {
	fall := func() { // from above, at the next column
		for len(row) < len(*carried) && (*carried)[len(row)].rows > 0 {
			c := &(*carried)[len(row)]
			c.rows--
			row = append(row, c.text)
		}
	}
	for c := tr.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom != atom.Td && c.DataAtom != atom.Th || hidden(c) {
			continue
		}
		fall()
		text, fits := cell(c)
		if !fits {
			return nil, false
		}
		across, down := span(c, "colspan", maxColumns), span(c, "rowspan", maxRows)
		if across*down > 1 && len(text) > maxCarried {
			across, down = 1, 1
		}
		for range across {
			if len(row) == maxColumns {
				return nil, false
			}
			for len(*carried) <= len(row) {
				*carried = append(*carried, carry{})
			}
			(*carried)[len(row)] = carry{text, down - 1}
			row = append(row, text)
		}
	}
	fall()
	return row, true
}

// cell is the text of a cell, in one line.
func cell(td *html.Node) (text string, ok bool) {
	for n := range td.Descendants() {
		switch n.DataAtom {
		case atom.Table, atom.Ul, atom.Ol, atom.Pre, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			return "", false
		}
	}
	text = plain(td)
	return strings.ReplaceAll(text, "|", `\|`), len(text) <= maxCell
}

func span(n *html.Node, key string, limit int) int {
	v, err := strconv.Atoi(strings.TrimSpace(attr(n, key)))
	if err != nil || v < 1 {
		return 1
	}
	return min(v, limit)
}

// markdownTable writes rows as a table of Markdown, the first as its header.
func markdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
