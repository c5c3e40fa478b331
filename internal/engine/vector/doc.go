// Package vector finds passages by their meaning: immutable segments of quantised unit vectors and an exact scan over any set of them.
//
// # Segments
//
// A [Builder] takes passages (an id, the id of the group that it belongs to, its vector) and gives a segment as bytes, which are written once
// and never changed. [Open] reads them in place. What is deleted is deleted as a group: the caller keeps a list of dead groups beside each
// segment (tombstones) until [Merge] writes the living ones anew. All vectors have length 1, so that a dot product is a cosine.
//
// A segment has no floats of a vector, only a byte for each of its dimensions, their common scale, and the length of what they leave out
// (the residual). The upper four bits of these bytes lie apart from the lower four, each with those of all other passages. The float32 originals are the
// caller's, who reads those of the few candidates that a search ends with.
//
// # Search
//
//	view := vector.NewView([]vector.Part{{Segment: seg, Dead: dead}})
//	hits, err := view.Search(ctx, query, vector.Options{K: 10})
//	best := vector.Rescore(query, hits, func(id string) []float32 { ... }, 10)
//
// With v the vector, c its codes, s the scale that makes r = v - s c orthogonal to c, and p the query as whole numbers over a, so that
// q = p/a + e, the true score is
//
//	q·v = (s/a) p·c + (p/a)·r + e·v
//
// The first term is [Hit].Score. The others are at most √(|p/a|² - (Score/|v|)²) |r| + |e| |v| by Cauchy and Schwarz, which is [Hit].Slack: the
// share of p/a along c does not meet r. A passage whose Score + Slack is less than the K-th greatest Score - Slack can't be among the K
// best, and all others are candidates. So [Rescore] over them gives exactly what a scan over the floats would.
//
// A scan is as fast as memory is read. So the upper halves of codes are read first. With h a vector's (codes / 16, rounded down, - 7.5), t the scale that makes
// r' = s c - t h orthogonal to c, and p' the query as smaller numbers over b, so that p/a = p'/b + e',
//
//	Score = (t/b) p'·h + (p'/b)·r' + s e'·c
//
// where the last two are at most |p'/b| |r'| + |e'| |v|. A passage that this and its Slack keep below the K-th greatest Score - Slack is left out, and its
// lower halves are not read. What is left out so would be left out after reading all, too; so hits are the same. Where many passages are let
// through, blocks of them are read whole.
//
// The scan is written in assembly for amd64 (AVX2, AVX-512 VNNI) and in Go for all others, with the same results to the last bit.
//
// Everything here is deterministic, and safe for use by many goroutines, except a Builder, which belongs to one.
package vector
