package httpapi

import (
	"context"

	"byline/internal/draft"
)

type evidenceIn struct {
	DraftPath
	Version int `query:"version" minimum:"1" doc:"Another than the newest"`
}

type evidenceOut struct {
	Body struct {
		Version     int             `json:"version"`
		Citations   []citationShape `json:"citations"`
		Uncited     []uncitedShape  `json:"uncited" doc:"Sentences that need a citation and have none"`
		Unsupported []citationShape `json:"unsupported" doc:"Citations whose spans do not say the claim, or say other than it"`
		Gate        gateShape       `json:"gate"`
		Stale       bool            `json:"stale,omitempty" doc:"A source does not say any more what is quoted"`
	}
}

type uncitedShape struct {
	claimShape
	Kind string `json:"kind" enum:"fact,quote,number,definition"`
}

type gateShape struct {
	Pass      bool     `json:"pass" doc:"Whether it may be published: nothing is contradicted, no citation points at nothing, and 95 % of the claims that need a citation are found in a source"`
	Reasons   []string `json:"reasons"`
	Claims    int      `json:"claims" doc:"That need a citation"`
	Supported int      `json:"supported" doc:"Of them"`
}

func (s *server) getEvidence(ctx context.Context, in *evidenceIn) (*evidenceOut, error) {
	if err := idParam("draft", in.ID); err != nil {
		return nil, err
	}
	e, err := s.Drafts.Evidence(ctx, workspaceOf(ctx), in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	out := &evidenceOut{}
	b := &out.Body
	b.Version, b.Stale, b.Gate = e.Version, e.Stale, gateShape{e.Gate.Pass, list(e.Gate.Reasons), e.Gate.Claims, e.Gate.Supported}
	b.Citations, b.Unsupported, b.Uncited = toShown(e.Citations), toShown(e.Unsupported), []uncitedShape{}
	for _, c := range e.Uncited {
		b.Uncited = append(b.Uncited, uncitedShape{claimShape{c.Start, c.End, c.Text}, string(c.Kind)})
	}
	return out, nil
}

func toShown(all []draft.Shown) []citationShape {
	out := []citationShape{}
	for _, c := range all {
		x := toCitation(c.Citation)
		x.Stale = c.Stale()
		for i, source := range c.Sources {
			sp := &x.Spans[i]
			sp.Gone = source.Gone
			if sp.Changed = source.Changed; sp.Changed {
				sp.Now = &foundShape{string(source.How), source.Start, source.End}
			}
		}
		out = append(out, x)
	}
	return out
}
