package httpapi

import (
	"encoding/json"
	"sync"

	"byline/internal/ident"
)

// pages keeps written pages of documents as of a count of changes; at the next change all are forgotten.
type pages struct {
	mu      sync.Mutex
	changes int64
	bytes   int
	kept    map[pageKey][]byte
}

// pageKey is everything that a page depends on, besides the documents.
type pageKey struct {
	ws ident.Workspace
	in listDocumentsIn
}

// pagesBudget is how much is kept, in bytes; a page of 200 documents has about 80 KB.
const pagesBudget = 8 << 20

// get gives the page that is kept, or makes and writes it. The count is taken before the documents are read, so that a page is
// never older than its count.
func (p *pages) get(key pageKey, count func() (int64, bool), make func() (any, error)) ([]byte, error) {
	changes, exact := count()
	if exact {
		p.mu.Lock()
		body, ok := p.kept[key]
		ok = ok && p.changes == changes
		p.mu.Unlock()
		if ok {
			return body, nil
		}
	}
	page, err := make()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(page)
	if err != nil || !exact {
		return body, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes != changes || p.bytes+len(body) > pagesBudget || p.kept == nil {
		p.changes, p.bytes, p.kept = changes, 0, map[pageKey][]byte{}
	}
	p.kept[key] = body
	p.bytes += len(body)
	return body, nil
}
