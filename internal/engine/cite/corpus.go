package cite

import "math"

// Corpus knows how rare a term is. A nil one finds all terms alike.
type Corpus struct {
	texts int
	in    map[string]int
}

// NewCorpus counts the terms of texts.
func NewCorpus(texts []string) *Corpus {
	c := &Corpus{texts: len(texts), in: map[string]int{}}
	for _, t := range texts {
		c.count(terms(t, nil))
	}
	return c
}

func (c *Corpus) count(set map[string]bool) {
	for t := range set {
		c.in[t]++
	}
}

// idf is that of BM25, never 0.
func (c *Corpus) idf(term string) float64 {
	if c == nil || c.texts == 0 {
		return 1
	}
	n := float64(c.in[term])
	return math.Log(1 + (float64(c.texts)-n+.5)/(n+.5))
}
