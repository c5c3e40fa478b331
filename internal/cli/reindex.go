package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// index is the state of the index of words (no Space) or of an embedding space.
type index struct {
	Space     string `json:"space"`
	State     string `json:"state"`
	Documents int    `json:"documents"`
	Of        int    `json:"of"`
}

func (i index) name() string {
	if i.Space == "" {
		return "words"
	}
	return i.Space
}

type indexes struct {
	Indexes []index  `json:"indexes"`
	Engines []engine `json:"engines"`
}

// engine is the state of a search engine.
type engine struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Error   string `json:"error,omitempty"`
	Waiting int    `json:"waiting"`
	Refused int    `json:"refused"`
}

// tell is its state for people.
func (e engine) tell() string {
	s := e.State
	if e.Error != "" {
		s += " (" + e.Error + ")"
	}
	if e.Waiting > 0 {
		s += fmt.Sprintf(", %d documents wait", e.Waiting)
	}
	if e.Refused > 0 {
		s += fmt.Sprintf(", %d documents were refused", e.Refused)
	}
	return s
}

func (c *command) reindexCmd() *cobra.Command {
	var words, vectors, back, status bool
	var outside string
	cmd := &cobra.Command{
		Use:   "reindex",
		Short: "Build the search indexes anew from the passages",
		Long: `Builds the indexes of words and of vectors anew from what is stored, document by document, while the old ones serve. It goes on
where it was when it is interrupted, or when the program ends. --back returns to the embedding space that served before the
present one, at once; --engine builds the index of a search engine outside anew, in the background; --status only tells what
there is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			cl, close, err := c.connect(ctx)
			if err != nil {
				return err
			}
			defer close()
			var now indexes
			switch {
			case status:
				err = cl.call(ctx, "GET", "/api/v1/indexes", nil, &now)
			case back:
				err = cl.call(ctx, "POST", "/api/v1/indexes/rollback", nil, &now)
			case outside != "":
				err = cl.call(ctx, "POST", "/api/v1/indexes/rebuild", map[string]string{"engine": outside}, &now)
			default:
				what := map[[2]bool]string{{true, false}: "words", {false, true}: "vectors"}[[2]bool{words, vectors}]
				if what == "" {
					what = "all"
				}
				if err = cl.call(ctx, "POST", "/api/v1/indexes/rebuild", map[string]string{"index": what}, &now); err == nil {
					now, err = c.awaitIndexes(ctx, cl, now, func(i index) bool { return what == "all" || (i.Space == "") == (what == "words") })
				}
			}
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(c.Stdout, now)
			}
			for _, i := range now.Indexes {
				if _, err := fmt.Fprintf(c.Stdout, "%s\t%s\t%d of %d documents\n", clean(i.name()), i.State, i.Documents, i.Of); err != nil {
					return err
				}
			}
			for _, e := range now.Engines {
				if _, err := fmt.Fprintf(c.Stdout, "engine %s\t%s\n", clean(e.Name), clean(e.tell())); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&outside, "engine", "", "the index of this search engine, such as chroma")
	f.BoolVar(&words, "words", false, "only the index of words")
	f.BoolVar(&vectors, "vectors", false, "only the vectors")
	f.BoolVar(&back, "back", false, "return to the embedding space before the present one")
	f.BoolVar(&status, "status", false, "tell what there is and change nothing")
	cmd.MarkFlagsMutuallyExclusive("back", "status", "engine", "words")
	cmd.MarkFlagsMutuallyExclusive("back", "status", "engine", "vectors")
	return cmd
}

// awaitIndexes shows how the indexes grow until those that were asked for have all documents.
func (c *command) awaitIndexes(ctx context.Context, cl *client, now indexes, asked func(index) bool) (indexes, error) {
	p := newProgress(c.Stderr, c.quiet || c.json)
	defer p.end()
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		done, of := 0, 0
		for _, i := range now.Indexes {
			if asked(i) && (i.State == "serving" || i.State == "building") {
				done, of = done+i.Documents, of+i.Of
			}
		}
		if done >= of {
			return now, nil
		}
		p.say("Indexing", "documents", "", done, of)
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-t.C:
		}
		if err := cl.call(ctx, "GET", "/api/v1/indexes", nil, &now); err != nil {
			return now, err
		}
	}
}
