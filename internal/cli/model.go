package cli

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"byline/internal/config"
)

// ImportModel makes the sentence encoder in a directory into one that this program can use; see the command. An empty out is a
// place in the data directory.
type ImportModel func(ctx context.Context, c *config.Config, dir, out string) (Model, error)

// Model is a sentence encoder that was imported and tried.
type Model struct {
	Directory  string  `json:"directory"`
	Space      string  `json:"space"` // of its vectors
	Dimensions int     `json:"dimensions"`
	Limit      int     `json:"limit"` // tokens of a text
	Bytes      int64   `json:"bytes"`
	Query      string  `json:"query"`   // put before questions
	Passage    string  `json:"passage"` // put before passages
	Latin      bool    `json:"latin"`   // it knows languages in Latin letters only
	Near       float64 `json:"near"`    // cosine of a question and an answer to it
	Far        float64 `json:"far"`     // cosine of that question and something else
	Fast       bool    `json:"fast"`    // this processor has instructions for it
}

func (c *command) modelCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "Models that turn text into vectors, for search by meaning", Args: noCommand, RunE: help}
	cmd.AddCommand(c.modelImportCmd())
	return cmd
}

func (c *command) modelImportCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Make a sentence encoder of Hugging Face ready for use",
		Long: `Reads the sentence encoder in a directory as Hugging Face has it (config.json, tokenizer.json, model.safetensors, and what
belongs to them), packs its weights into 7 bits, and tries what became of it. BERT and XLM-RoBERTa with heads 32 wide are
supported, such as all-MiniLM-L6-v2, bge-small and multilingual-e5-small; others are refused with the reason.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			m, err := c.ImportModel(cmd.Context(), cfg, args[0], out)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(c.Stdout, m)
			}
			return c.printModel(m)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "directory to write to (default: models/ and DIR's name in the data directory)")
	return cmd
}

// printModel gives the setting on standard output, and what there is to know about the model beside it.
func (c *command) printModel(m Model) error {
	say := func(format string, args ...any) {
		if !c.quiet {
			fmt.Fprintf(c.Stderr, format+"\n", args...)
		}
	}
	say("Vectors of %d numbers, texts of up to %d tokens, %s: %s", m.Dimensions, m.Limit, humanize.Bytes(uint64(m.Bytes)), clean(m.Space))
	if m.Query != "" || m.Passage != "" {
		say("%q is put before questions, %q before passages.", m.Query, m.Passage)
	}
	if m.Latin {
		say("Its vocabulary is of Latin letters: texts in others will be found by their words alone.")
	}
	say("Tried: a question is %.2f like its answer and %.2f like something else.", m.Near, m.Far)
	if m.Near <= m.Far {
		fmt.Fprintln(c.Stderr, "Warning: that was in English. If this model should know English, its files do not belong together.")
	}
	if !m.Fast {
		fmt.Fprintln(c.Stderr, "Warning: this processor has no instructions for it (AVX2), so that it will take fifty times as long.")
	}
	_, err := fmt.Fprintf(c.Stdout, "BYLINE_EMBEDDER=%s\n", clean(quoted(m.Directory)))
	return err
}
