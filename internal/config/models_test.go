package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/config"
)

func TestBudgets(t *testing.T) {
	for text, want := range map[string]config.Budget{
		"200000 tokens":        {Tokens: 200_000},
		"200k tokens":          {Tokens: 200_000},
		"1.5M tokens":          {Tokens: 1_500_000},
		"1 token":              {Tokens: 1},
		"0.50 USD":             {Cost: .5, Currency: "USD"},
		"5 EUR, 2M tokens":     {Tokens: 2_000_000, Cost: 5, Currency: "EUR"},
		"200000tokens,  3 USD": {Tokens: 200_000, Cost: 3, Currency: "USD"},
	} {
		cfg, report := load(t, config.Sources{Environ: []string{"BYLINE_LLM_BUDGET_RUN=" + text}})
		if diff := cmp.Diff(want, cfg.Models.RunBudget); diff != "" || len(report.Notices) > 0 {
			t.Errorf("%q (-want +got):\n%s%v", text, diff, report.Notices)
		}
	}
	for _, text := range []string{"200000", "0 tokens", "-1 tokens", "5 usd", "5 USD, 6 EUR", "1 tokens, 2 tokens", "0.1 tokens", "many", "5 USD,", "1k USD"} {
		_, report, err := config.Load(config.Sources{Environ: []string{"BYLINE_LLM_BUDGET_MONTH=" + text}})
		if err == nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Text, "2M tokens") {
			t.Errorf("%q: %v", text, report.Problems)
		}
	}
}

func TestFallbackModels(t *testing.T) {
	cfg, _ := load(t, config.Sources{Environ: []string{"BYLINE_LLM_FALLBACK=ollama/llama3.2:3b, openai,openai/org/model"}})
	if diff := cmp.Diff([]string{"ollama/llama3.2:3b", "openai", "openai/org/model"}, cfg.Models.Fallback); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"llama3.2", "ollama/", "other/x", "openai/a b"} {
		if _, _, err := config.Load(config.Sources{Environ: []string{"BYLINE_LLM_FALLBACK=" + text}}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestPrices(t *testing.T) {
	dir := t.TempDir()
	path, err := config.MakePrices(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := config.LoadPrices(path)
	if err != nil || p.Currency != "USD" || p.Models["gpt-4o-mini"].Output != .6 || *p.Models["gpt-4o-mini"].Cached != .075 {
		t.Errorf("the file that is made: %+v, %v", p, err)
	}
	const mine = "currency = 'EUR'\n[models.\"Org/Model\"]\ninput = 1\noutput = 2.5\n"
	if err := os.WriteFile(path, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := config.MakePrices(dir); err != nil || again != path {
		t.Errorf("%s, %v", again, err)
	}
	p, err = config.LoadPrices(path)
	want := config.Prices{Currency: "EUR", Models: map[string]config.Price{"org/model": {Input: 1, Output: 2.5}}}
	if diff := cmp.Diff(want, p); diff != "" || err != nil {
		t.Errorf("an edited file (-want +got):\n%s%v", diff, err)
	}
	if _, err := config.MakePrices(filepath.Join(dir, "gone")); err == nil {
		t.Error("a directory that is not there is no error")
	}
}

func TestBadPrices(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "three capital letters",
		"currency = 'usd'":               "three capital letters",
		"currency = ":                    "not TOML",
		"currency = 'USD'\nprice = 1":    "price is not known",
		"currency = 'USD'\n[models.a]\n": "models.a needs input and output",
		"currency = 'USD'\n[models.a]\ninput = 1\noutput = -1":               "models.a needs",
		"currency = 'USD'\n[models.a]\ninput = 1\noutput = 1\ncached = nan":  "models.a needs",
		"currency = 'USD'\n[models.a]\ninput = 1\noutput = 'much'":           "not TOML, or a price is not a number",
		"currency = 'USD'\n[models.a]\ninput = 1\noutput = 1\nreasoning = 9": "reasoning is not known",
	} {
		path := filepath.Join(t.TempDir(), "prices.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.LoadPrices(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := config.LoadPrices(filepath.Join(t.TempDir(), "gone")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that is gone: %v", err)
	}
}
