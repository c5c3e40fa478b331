// Package lexical finds passages by their words: an analyser, immutable index segments and exact BM25 over any set of them.
//
// # Words
//
// [Analyze] turns a text into [Token]s, whose offsets are byte offsets of the original text. [Query] analyses a question the same way,
// once per language of the texts it is meant for, and gives weighted [Term]s. [Highlights] are the spans of a text that match terms.
//
// # Segments
//
// A [Builder] takes passages (an id, the id of the group that it belongs to, its texts or tokens) and gives a segment as bytes, which are written once
// and never changed. [Open] reads them in place. What is deleted is deleted as a group: the caller keeps a list of dead groups beside each segment
// (tombstones) until [Merge] writes the living ones anew.
//
//	b := lexical.NewBuilder()
//	for _, p := range passages {
//		b.Read(p.Text, lang)
//		if err := b.AddRead(p.ID, p.DocumentID); err != nil { ... }
//		if b.Size() > limit { cut: keep b.Bytes(), then b.Reset() }
//	}
//	seg, err := lexical.Open(b.Bytes())
//
// # Search
//
// A [View] is a set of segments with their dead groups, as one snapshot saw them. Its statistics (passages, lengths, passages per term) are those of
// the living passages alone, so a score does not depend on how the passages are spread over segments or on what was deleted.
//
//	view := lexical.NewView([]lexical.Part{{Segment: seg, Dead: dead}})
//	hits, err := view.Search(lexical.Query(question, "en", "ko"), lexical.Options{K: 10})
//
// The score of a passage of n tokens for a term that occurs tf times in it is, with k1 = 1.2 and b = 0.75,
//
//	weight × ln(1 + (N - df + 0.5) / (df + 0.5)) × tf / (tf + k1 × (1 - b + b × n / avg))
//
// which is BM25 as Lucene has it: without the constant factor k1 + 1.
//
// Everything here is deterministic, and safe for use by many goroutines, except a Builder, which belongs to one.
package lexical
