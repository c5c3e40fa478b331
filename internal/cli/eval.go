package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"byline/internal/config"
	"byline/internal/eval"
	"byline/internal/fault"
)

// evaluation is one `byline eval`.
type evaluation struct {
	*command
	ways       []eval.Way
	against    string
	judgements string
	k          int
	perQuery   bool

	before []eval.Report // of --against FILE
}

// evaluated is what --json prints, and what --against reads.
type evaluated struct {
	Sets []eval.Report `json:"sets"`
	// Mean is by way, over the sets; each set counts the same.
	Mean map[eval.Way]eval.Measures `json:"mean"`
}

func (c *command) evalCmd() *cobra.Command {
	e := &evaluation{command: c}
	var modes []string
	cmd := &cobra.Command{
		Use:   "eval SET...",
		Short: "Measure with questions and judgements how well passages are found",
		Long: `Takes the documents of each SET into a library of its own, which is removed at the end, asks all questions of the set and
tells how good the answers are: nDCG, recall, MRR and MAP. A SET is a directory with corpus.jsonl, queries.jsonl and
judgements (qrels/test.tsv, qrels.tsv, qrels.txt or judgements.jsonl). --against compares with another way of searching, or
with a file that --json wrote, question by question, with an interval for the difference. The library of --data and search
engines outside are not touched. docs/evaluation.md says more.`,
		Args: cobra.MinimumNArgs(1),
		Example: "  byline eval eval/english\n  byline eval eval/* --mode hybrid --mode hybrid/rrf --against lexical\n" +
			"  byline eval my-questions --json > before.json\n  byline eval my-questions --against before.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.prepare(modes); err != nil {
				return err
			}
			return e.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&modes, "mode", nil, "lexical, semantic, hybrid or hybrid/rrf (repeat; default: lexical, semantic and hybrid)")
	f.StringVar(&e.against, "against", "", "compare with this way, or with this file of an earlier --json (default: lexical, when it is one of several)")
	f.StringVar(&e.judgements, "judgements", "", "file of the judgements within SET")
	f.IntVarP(&e.k, "top", "k", 10, "how many documents of each answer count")
	f.BoolVar(&e.perQuery, "per-query", false, "show each question, and all that are worse")
	return cmd
}

func (e *evaluation) prepare(modes []string) error {
	if e.k < 1 || e.k > 100 {
		return usage("--top is 1 to 100")
	}
	for _, m := range modes {
		w, err := eval.ParseWay(m)
		if err != nil {
			return usage("--mode %s: %w", m, err)
		}
		if !slices.Contains(e.ways, w) {
			e.ways = append(e.ways, w)
		}
	}
	if e.against == "" {
		if len(e.ways) == 0 || slices.Contains(e.ways, "lexical") && len(e.ways) > 1 {
			e.against = "lexical"
		}
		return nil
	}
	way, wrong := eval.ParseWay(e.against)
	if wrong == nil {
		if len(e.ways) > 0 && !slices.Contains(e.ways, way) {
			e.ways = append([]eval.Way{way}, e.ways...)
		}
		return nil
	}
	data, err := os.ReadFile(e.against)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("--against %s: %w; or a file that byline eval --json wrote", e.against, wrong)
	}
	if err != nil {
		return err
	}
	var before evaluated
	if err := json.Unmarshal(data, &before); err != nil || len(before.Sets) == 0 {
		return usage("--against %s: this is not what byline eval --json wrote", e.against)
	}
	e.before = before.Sets
	return nil
}

func (e *evaluation) run(ctx context.Context, dirs []string) error {
	cfg, err := e.load()
	if err != nil {
		return err
	}
	var sets []*eval.Set
	for _, dir := range dirs {
		s, err := eval.Open(dir, e.judgements)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(sets, func(other *eval.Set) bool { return other.Name == s.Name }) {
			return usage("two sets are called %s", s.Name)
		}
		sets = append(sets, s)
	}
	all := evaluated{Mean: map[eval.Way]eval.Measures{}}
	for i, s := range sets {
		r, err := e.measure(ctx, cfg, s)
		if err != nil {
			return err
		}
		if err := e.compare(&r); err != nil {
			return err
		}
		all.Sets = append(all.Sets, r)
		if !e.json {
			if i > 0 {
				fmt.Fprintln(e.Stdout)
			}
			if _, err := fmt.Fprint(e.Stdout, e.table(r)); err != nil {
				return err
			}
		}
	}
	means := eval.Mean(all.Sets)
	for _, m := range means {
		all.Mean[m.Way] = m.Mean
	}
	if e.json {
		return e.printJSON(e.Stdout, all)
	}
	if len(all.Sets) > 1 {
		_, err = fmt.Fprintf(e.Stdout, "\nmean of %d sets\n%s", len(all.Sets), figures(means, e.k))
	}
	return err
}

// measure asks a set's questions in a library that holds the set's documents and nothing else.
func (e *evaluation) measure(ctx context.Context, cfg *config.Config, s *eval.Set) (r eval.Report, err error) {
	dir, err := os.MkdirTemp("", "byline-eval-")
	if err != nil {
		return r, fmt.Errorf("make a library for the set: %w", err)
	}
	defer func() {
		if gone := os.RemoveAll(dir); gone != nil && err == nil {
			err = fmt.Errorf("remove the set's library: %w", gone)
		}
	}()
	cl, done, err := e.reach(ctx, alone(cfg, dir))
	if err != nil {
		return r, err
	}
	defer done()
	ui := newProgress(e.Stderr, e.quiet || e.json)
	defer ui.end()
	x := &examined{cl: cl, ui: ui, ids: map[string][]string{}}
	if err := x.takeIn(ctx, s.Documents); err != nil {
		return r, err
	}
	ways, err := e.possible(ctx, cl)
	if err != nil {
		return r, err
	}
	r, err = eval.Run(ctx, s, ways, e.k, x.search, func(done, of int) { ui.say("asking", s.Name, "", done, of) })
	if len(x.unused) > 0 {
		e.exit = ExitPartly
	}
	for _, u := range x.unused {
		ui.note(fmt.Sprintf("document %s could not be used: %s", u.Path, u.Reason))
	}
	return r, err
}

// alone is a configuration for a library in dir that shares nothing with others: its own SQLite, no engines outside.
func alone(cfg *config.Config, dir string) *config.Config {
	own := *cfg
	own.Storage = config.Storage{Data: dir, Workers: cfg.Storage.Workers}
	own.Search.ElasticsearchURL, own.Search.ElasticsearchKey, own.Search.ElasticsearchCA, own.Search.ChromaURL = "", "", "", ""
	own.Documents.AllowedExtensions, own.Documents.MaxUploadSize = nil, maxEvalDocument
	return &own
}

// maxEvalDocument is more than a line of a set may have.
const maxEvalDocument = 64 << 20

// possible are the ways that were asked for, or all that this installation has.
func (e *evaluation) possible(ctx context.Context, cl *client) ([]eval.Way, error) {
	if len(e.ways) > 0 {
		return e.ways, nil
	}
	var now indexes
	if err := cl.call(ctx, "GET", "/api/v1/indexes", nil, &now); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(now.Indexes, func(i index) bool { return i.Space != "" && i.State == "serving" }) {
		fmt.Fprintln(e.Stderr, "note: there is no search by meaning here, so only words are measured")
		return []eval.Way{"lexical"}, nil
	}
	return []eval.Way{"lexical", "semantic", "hybrid"}, nil
}

// compare sets each result against what was asked for.
func (e *evaluation) compare(r *eval.Report) error {
	if e.before == nil {
		other := r.Find(eval.Way(e.against))
		for i := range r.Results {
			if other != nil && r.Results[i].Way != other.Way {
				r.Results[i].Against = eval.Compare(r.Results[i], *other, e.against)
			}
		}
		return nil
	}
	at := slices.IndexFunc(e.before, func(b eval.Report) bool { return b.Set == r.Set })
	if at < 0 {
		return fault.New(fault.Invalid, "bad_comparison", "%s has no figures of the set %s.", e.against, r.Set)
	}
	if k := e.before[at].K; k != r.K {
		return fault.New(fault.Invalid, "bad_comparison", "%s was measured with --top %d, this with --top %d.", e.against, k, r.K)
	}
	for i := range r.Results {
		if b := e.before[at].Find(r.Results[i].Way); b != nil {
			r.Results[i].Against = eval.Compare(r.Results[i], *b, e.against)
		}
	}
	return nil
}

// figures is a table of means.
func figures(results []eval.Result, k int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %9s %10s %9s %9s\n", "", fmt.Sprint("nDCG@", k), fmt.Sprint("recall@", k), fmt.Sprint("MRR@", k), fmt.Sprint("MAP@", k))
	for _, r := range results {
		fmt.Fprintf(&b, "%-14s %9.4f %10.4f %9.4f %9.4f\n", r.Way, r.Mean.NDCG, r.Mean.Recall, r.Mean.MRR, r.Mean.MAP)
	}
	return b.String()
}

// shownLosses is how many of the questions that are worse are shown without --per-query.
const shownLosses = 5

// table is a set's report for people.
func (e *evaluation) table(r eval.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d documents, %d questions", clean(r.Set), r.Documents, r.Questions)
	if r.Unjudged > 0 {
		fmt.Fprintf(&b, " (%d more have no document that answers)", r.Unjudged)
	}
	fmt.Fprintf(&b, "\n%s", figures(r.Results, r.K))
	for _, x := range r.Results {
		if len(x.Degraded) > 0 {
			fmt.Fprintf(&b, "%s was degraded: %s\n", x.Way, clean(strings.Join(x.Degraded, ", ")))
		}
	}
	for _, x := range r.Results {
		e.difference(&b, x, r.K)
	}
	if e.perQuery {
		perQuery(&b, r)
	}
	return b.String()
}

func (e *evaluation) difference(b *strings.Builder, x eval.Result, k int) {
	c := x.Against
	if c == nil {
		return
	}
	fmt.Fprintf(b, "\n%s against %s: %d better, %d worse, %d the same\n", x.Way, inline(c.Way), c.Better, c.Worse, c.Same)
	for _, d := range []struct {
		name string
		by   eval.Interval
	}{{"nDCG@", c.NDCG}, {"recall@", c.Recall}, {"MRR@", c.MRR}} {
		fmt.Fprintf(b, "  %-11s %+.4f  (95 %%: %+.4f to %+.4f)\n", fmt.Sprint(d.name, k), d.by.Mean, d.by.Low, d.by.High)
	}
	for i, l := range c.Lost {
		if i == shownLosses && !e.perQuery {
			fmt.Fprintf(b, "  and %d more (--per-query shows them)\n", len(c.Lost)-i)
			break
		}
		fmt.Fprintf(b, "  lost %.2f (%.2f to %.2f)  %s  %s\n", l.Was-l.Is, l.Was, l.Is, inline(l.ID), inline(l.Text))
	}
}

// perQuery shows the nDCG of each question in all ways.
func perQuery(b *strings.Builder, r eval.Report) {
	b.WriteString("\n")
	for _, x := range r.Results {
		fmt.Fprintf(b, "%-14s ", x.Way)
	}
	b.WriteString("question\n")
	for i, q := range r.Results[0].Questions {
		for _, x := range r.Results {
			fmt.Fprintf(b, "%-14s ", fmt.Sprintf("%.4f", x.Questions[i].NDCG))
		}
		fmt.Fprintf(b, "%s  %s\n", inline(q.ID), inline(q.Text))
	}
}
