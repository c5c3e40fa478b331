package llm

import (
	"regexp"
	"strings"
)

// Price is of a million tokens.
type Price struct {
	Input  float64
	Cached float64 // input that the provider had already read; negative: as Input
	Output float64
}

// Prices says what models cost. Keys are "provider/model", "model", or "provider/*".
type Prices struct {
	Currency string // of all of them
	Models   map[string]Price
}

// dated is what makers put behind a model's name: gpt-4o-2024-08-06, claude-3-5-haiku-20241022.
var dated = regexp.MustCompile(`-(\d{4}-\d{2}-\d{2}|\d{8})$`)

// Of gives a model's price.
func (p Prices) Of(provider, model string) (Price, bool) {
	model = strings.ToLower(model)
	bare := dated.ReplaceAllString(model, "")
	for _, key := range []string{provider + "/" + model, model, provider + "/" + bare, bare, provider + "/*"} {
		if price, ok := p.Models[key]; ok {
			return price, true
		}
	}
	return Price{}, false
}

// Cost gives what was used its price; nil when the price is not known.
func (p Prices) Cost(provider, model string, u Usage) *float64 {
	price, ok := p.Of(provider, model)
	if !ok {
		return nil
	}
	if price.Cached < 0 {
		price.Cached = price.Input
	}
	const million = 1e6
	fresh := max(0, u.Input-u.Cached)
	cost := (float64(fresh)*price.Input + float64(u.Cached)*price.Cached + float64(u.Output)*price.Output) / million
	return &cost
}
