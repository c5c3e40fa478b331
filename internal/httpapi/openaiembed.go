package httpapi

import (
	"encoding/base64"
	bits "encoding/binary"
	"encoding/json"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"byline/internal/fault"
	"byline/internal/llm"
)

// maxInputs is how many texts one request may have, as OpenAI has it.
const maxInputs = 2048

type embeddingsIn struct {
	Model      string `json:"model" doc:"byline-embedding, or the id of the space that serves"`
	Input      texts  `json:"input"`
	Format     string `json:"encoding_format,omitempty" doc:"float or base64 (little-endian float32)"`
	Dimensions int    `json:"dimensions,omitempty" doc:"Only what the embedder has"`
	Type       string `json:"input_type,omitempty" doc:"document, or query for texts that are searched for"`
}

type embeddingsOut struct {
	Object string           `json:"object" enum:"list"`
	Model  string           `json:"model"`
	Data   []embeddingShape `json:"data"`
	Usage  openAIUsage      `json:"usage"`
}

type embeddingShape struct {
	Object    string          `json:"object" enum:"embedding"`
	Index     int             `json:"index"`
	Embedding embeddingValues `json:"embedding"`
}

// embeddingValues is a list of numbers, or its bytes in base64.
type embeddingValues struct{ v any }

// MarshalJSON writes either form.
func (e embeddingValues) MarshalJSON() ([]byte, error) { return json.Marshal(e.v) }

// Schema tells of both forms.
func (embeddingValues) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: "array", Items: &huma.Schema{Type: "number"}}, {Type: "string"}}}
}

// embeddings gives the vectors of texts. Without a wish they are embedded as passages of documents are.
func (s *server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var in embeddingsIn
	if err := readOpenAI(w, r, &in); err != nil {
		return err
	}
	e, why, err := s.Spaces.Serving(r.Context())
	switch {
	case err != nil:
		return err
	case e == nil:
		if why == "" {
			why = "no_embedder"
		}
		return fault.New(fault.Unavailable, why, "This library has no embedder that can be asked now. BYLINE_EMBEDDER sets one.")
	case in.Model != libraryEmbedding && in.Model != libraryModel && in.Model != e.Space().ID():
		return noModel(in.Model)
	case len(in.Input) == 0 || len(in.Input) > maxInputs:
		return badParam("input", "Send 1 to %d texts.", maxInputs)
	case in.Format != "" && in.Format != "float" && in.Format != "base64":
		return badParam("encoding_format", "encoding_format is float or base64, not %q.", in.Format)
	case in.Dimensions != 0 && in.Dimensions != e.Space().Dims:
		return badParam("dimensions", "This embedder has %d dimensions: leave dimensions out.", e.Space().Dims)
	case in.Type != "" && in.Type != "query" && in.Type != "document":
		return badParam("input_type", "input_type is query or document, not %q.", in.Type)
	}
	out := embeddingsOut{Object: "list", Model: in.Model, Data: []embeddingShape{}}
	for _, text := range in.Input {
		if text == "" {
			return badParam("input", "A text is empty: there is nothing to embed in it.")
		}
		out.Usage.Prompt += int64(llm.Count(in.Model, text))
	}
	out.Usage.Total = out.Usage.Prompt
	add := func(values []float32) {
		v := any(values)
		if in.Format == "base64" {
			v = packed(values)
		}
		out.Data = append(out.Data, embeddingShape{"embedding", len(out.Data), embeddingValues{v}})
	}
	if in.Type == "query" {
		for _, text := range in.Input {
			v, err := e.Query(r.Context(), text)
			if err != nil {
				return err
			}
			add(v.Values)
		}
		return writeJSON(w, http.StatusOK, out)
	}
	vectors, err := e.Passages(r.Context(), in.Input)
	if err != nil {
		return err
	}
	for _, v := range vectors {
		add(v.Values)
	}
	return writeJSON(w, http.StatusOK, out)
}

// packed is numbers as OpenAI packs them.
func packed(values []float32) string {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = bits.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(b)
}
