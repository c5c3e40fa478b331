package draft

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"byline/internal/engine/cite"
	"byline/internal/engine/extract"
	"byline/internal/engine/markdown"
	"byline/internal/fault"
	"byline/internal/ident"
)

// The checkers of verdicts. A verdict of the offline writer has none: its claims are their quotes.
const (
	CheckerLexical = "lexical" // cite.Verify
	CheckerModel   = "model"   // the same, and a model that had to quote
)

// Verify checks a claim against the quotes of its spans, without a model.
func Verify(claim string, spans []Span, o cite.Options) Verdict {
	quotes := make([]string, len(spans))
	for i, s := range spans {
		quotes[i] = s.Quote
	}
	return VerdictOf(cite.Verify(claim, quotes, o), quotes)
}

// VerdictOf is what a version keeps of a verdict on these texts.
func VerdictOf(v cite.Verdict, texts []string) Verdict {
	kept := Verdict{Label: Label(v.Label), Score: v.Score, Reasons: v.Reasons, Checker: CheckerLexical, Missing: v.Missing, Hard: v.Hard}
	if e := v.Evidence; e.Span >= 0 && e.Span < len(texts) {
		kept.Evidence = &Place{Span: e.Span, Start: e.Start, End: e.End, Quote: texts[e.Span][e.Start:e.End]}
	}
	return kept
}

// Evidence is what a version states, and what shows it.
type Evidence struct {
	Version     int
	Citations   []Shown
	Uncited     []cite.Claim // need a citation and have none
	Unsupported []Shown      // what they quote does not say it
	Gate        Gate
	Stale       bool // a source has changed or was deleted
}

// Shown is a citation with what has become of its sources.
type Shown struct {
	Citation
	Sources []Source // of each span
}

// Stale tells whether a source does not say any more what is quoted.
func (s Shown) Stale() bool {
	return slices.ContainsFunc(s.Sources, func(x Source) bool { return x.Gone || x.Changed })
}

// Source is what has become of what a span quotes.
type Source struct {
	Gone    bool     // the document was deleted
	Changed bool     // it was processed anew, and the quote does not stand at its place
	How     cite.How // it was found again, while the document is there
	Start   int      // where the quote, or what took its place, stands now
	End     int
}

// Gate says whether a version may be published.
type Gate struct {
	Pass      bool
	Reasons   []string
	Claims    int // that need a citation
	Supported int // of them
}

// supportedShare is how many of the claims that need a citation must be supported.
const supportedShare = .95

// Evidence tells what a version rests on; 0 is the newest one.
func (s *Service) Evidence(ctx context.Context, ws ident.Workspace, id string, number int) (Evidence, error) {
	d, err := s.Draft(ctx, ws, id)
	if err != nil {
		return Evidence{}, err
	}
	if number == 0 {
		number = d.Version
	}
	if number == 0 {
		return Evidence{}, fault.New(fault.Conflict, "no_version", "This draft has no text yet. Wait until its run %s has ended.", d.RunID)
	}
	v, err := s.Version(ctx, ws, id, number)
	if err != nil {
		return Evidence{}, err
	}
	e := weigh(v)
	if err := s.trace(ctx, ws, e.Citations); err != nil {
		return Evidence{}, err
	}
	for _, c := range e.Citations {
		e.Stale = e.Stale || c.Stale()
		if c.Verdict.Label == Unsupported || c.Verdict.Label == Contradicted {
			e.Unsupported = append(e.Unsupported, c)
		}
	}
	return e, nil
}

// weigh holds a version against the policy.
func weigh(v Version) Evidence {
	e := Evidence{Version: v.Number}
	var supported []Citation
	contradicted, dangling := 0, 0
	for _, c := range v.Citations {
		e.Citations = append(e.Citations, Shown{Citation: c})
		switch {
		case !slices.ContainsFunc(c.Spans, func(s Span) bool { return s.Quote != "" }):
			dangling++
		case c.Verdict.Label == Supported:
			supported = append(supported, c)
		}
		if c.Verdict.Label == Contradicted {
			contradicted++
		}
	}
	for _, c := range stating(v.Content) {
		e.Gate.Claims++
		if covered(supported, c) {
			e.Gate.Supported++
		}
		if !covered(v.Citations, c) {
			e.Uncited = append(e.Uncited, c)
		}
	}
	if contradicted > 0 {
		e.Gate.Reasons = append(e.Gate.Reasons, fmt.Sprintf("%d sentences say other than their sources.", contradicted))
	}
	if dangling > 0 {
		e.Gate.Reasons = append(e.Gate.Reasons, fmt.Sprintf("%d citations point at nothing.", dangling))
	}
	if float64(e.Gate.Supported) < supportedShare*float64(e.Gate.Claims) {
		e.Gate.Reasons = append(e.Gate.Reasons, fmt.Sprintf("%d of %d sentences that need a citation are found in a source; %.0f %% must be.", e.Gate.Supported, e.Gate.Claims, 100*supportedShare))
	}
	e.Gate.Pass = len(e.Gate.Reasons) == 0
	return e
}

// covered tells whether citations have more than half of a claim.
func covered(list []Citation, c cite.Claim) bool {
	n := 0
	for _, x := range list {
		n += max(0, min(c.End, x.Claim.End)-max(c.Start, x.Claim.Start))
	}
	return 2*n > c.End-c.Start
}

var (
	// bookkeeping is what stands over the lists in which the writer, or a person, tells of the sources themselves.
	bookkeeping = regexp.MustCompile(`(?i)^(?:sources|references|further reading|bibliography|footnotes|not covered by your sources|superseded sources|출처|참고 ?문헌|참고 ?자료|자료에 없는 내용|대체된 자료)\s*$`)
	// box is how the offline writer says what it has done.
	box = regexp.MustCompile(`^[\s>]*\*\*(?:Extracted, not rewritten:|새로 쓰지 않고 발췌한 글입니다\.)\*\*`)
)

// stating gives the claims of a text that need a citation: not those of the box, nor the items of lists about the sources.
func stating(content string) []cite.Claim {
	var found extract.Collector
	if err := markdown.Extract(content, &found); err != nil {
		return nil // a collector takes everything
	}
	var own [][2]int
	about := false
	for _, e := range found.Text().Elements {
		text := content[e.Start:e.End]
		switch {
		case e.Kind == extract.Heading:
			about = bookkeeping.MatchString(strings.Trim(text, "#*_ \n"))
		case about && e.Kind == extract.Item, box.MatchString(text):
			own = append(own, [2]int{e.Start, e.End})
		}
	}
	return slices.DeleteFunc(cite.Claims(content), func(c cite.Claim) bool {
		return !c.NeedsCite || slices.ContainsFunc(own, func(o [2]int) bool { return o[0] <= c.Start && c.End <= o[1] })
	})
}

// longText is how much of a document's text is read at once, in bytes.
const longText = 1 << 20

// trace finds what has become of the sources of citations. Texts are read only of documents that were processed since.
func (s *Service) trace(ctx context.Context, ws ident.Workspace, list []Shown) error {
	var ids []string
	for _, c := range list {
		for _, sp := range c.Spans {
			if !sp.Gone && !slices.Contains(ids, sp.DocumentID) {
				ids = append(ids, sp.DocumentID)
			}
		}
	}
	docs, err := s.documents.Named(ctx, ws, ids)
	if err != nil {
		return err
	}
	generations, texts := map[string]int64{}, map[string]string{}
	for _, d := range docs {
		generations[d.ID] = d.Generation
	}
	for i := range list {
		for _, sp := range list[i].Spans {
			generation, there := generations[sp.DocumentID]
			x := Source{How: cite.Same, Start: sp.Start, End: sp.End}
			switch {
			case sp.Gone || !there:
				x = Source{Gone: true}
			case sp.Generation != generation:
				text, ok := texts[sp.DocumentID]
				if !ok {
					if text, err = s.text(ctx, ws, sp.DocumentID); err != nil {
						return err
					}
					texts[sp.DocumentID] = text
				}
				x.Start, x.End, x.How = cite.Find(text, cite.Anchor{Start: sp.Start, End: sp.End, Quote: sp.Quote, Before: sp.Before, After: sp.After})
				x.Changed = x.How != cite.Same
			}
			list[i].Sources = append(list[i].Sources, x)
		}
	}
	return nil
}

// text reads all of a document; one that went in between has none.
func (s *Service) text(ctx context.Context, ws ident.Workspace, id string) (string, error) {
	var b strings.Builder
	for {
		part, length, err := s.documents.Text(ctx, ws, id, b.Len(), longText)
		if err != nil && fault.Of(err).Kind == fault.NotFound {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("read text of %s: %w", id, err)
		}
		b.WriteString(part)
		if b.Len() >= length || part == "" {
			return b.String(), nil
		}
	}
}
