package encoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// hub is a directory as Hugging Face and Sentence Transformers keep models: config.json, tokenizer.json, model.safetensors,
// and files that say what is done around the model.
type hub struct {
	dir string
	Config
	Pad       *int   `json:"pad_token_id"`
	Position  string `json:"position_embedding_type"`
	Decoder   bool   `json:"is_decoder"`
	Name      string `json:"_name_or_path"`
	Quantized any    `json:"quantization_config"`
	lower     bool   // texts are put in lower case before they are cut into tokens
}

// read reads a JSON file of the directory, and tells whether it is there.
func (h *hub) read(name string, into any) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(h.dir, filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read model: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, unusable("%s: %v", name, err)
	}
	return true, nil
}

// openHub reads config.json and refuses what the arithmetic of this package is not that of.
func openHub(dir string) (*hub, error) {
	h := &hub{dir: dir}
	there, err := h.read(configFile, h)
	switch {
	case err != nil:
		return nil, err
	case !there:
		if _, err := os.Stat(filepath.Join(dir, manifestFile)); err == nil {
			return nil, unusable("it was imported already")
		}
		return nil, unusable("there is no %s in %s", configFile, dir)
	case h.Type != "bert" && h.Type != "xlm-roberta" && h.Type != "roberta":
		return nil, unusable("its architecture is %q; bert, xlm-roberta and roberta are supported", h.Type)
	case h.Decoder:
		return nil, unusable("it is a decoder (is_decoder)")
	case h.Position != "" && h.Position != "absolute":
		return nil, unusable("its positions are %q, and only absolute ones are supported", h.Position)
	case h.Quantized != nil:
		return nil, unusable("its weights are quantised already (quantization_config); take the float ones")
	}
	if h.Epsilon == 0 {
		h.Epsilon = 1e-12 // of all three, where the file leaves it out
	}
	if h.Act == "" {
		h.Act = "gelu"
	}
	return h, h.pooling()
}

// first is the position of the first token: RoBERTa counts from the one after padding's.
func (h *hub) first() int {
	switch {
	case h.Type == "bert":
		return 0
	case h.Pad == nil:
		return 2
	}
	return *h.Pad + 1
}

// pooling reads what is made of the model's last layer.
func (h *hub) pooling() error {
	var modules []struct {
		Path, Type string
	}
	if _, err := h.read("modules.json", &modules); err != nil {
		return err
	}
	path := "1_Pooling"
	for _, m := range modules {
		switch kind := m.Type[strings.LastIndexByte(m.Type, '.')+1:]; kind {
		case "Pooling":
			path = m.Path
		case "Transformer":
			if m.Path != "" {
				return unusable("modules.json has the model in the folder %q; import that one", m.Path)
			}
		case "Normalize":
		default:
			return unusable("modules.json has the module %q after the model; Pooling and Normalize are supported", kind)
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return unusable("modules.json names the folder %q", path)
	}
	modes := map[string]any{}
	there, err := h.read(path+"/config.json", &modes)
	if err != nil {
		return err
	}
	h.Pooling = poolMean // as most are, and as is said of models that come without the file
	if !there {
		return nil
	}
	if modes["include_prompt"] == false {
		return unusable("its pooling leaves prefixes out (include_prompt)")
	}
	if mode, ok := modes["pooling_mode"].(string); ok {
		h.Pooling = mode // newer files; the check of the config follows
		return nil
	}
	var on []string
	for name, v := range modes {
		if kind, ok := strings.CutPrefix(name, "pooling_mode_"); ok && v == true {
			on = append(on, kind)
		}
	}
	slices.Sort(on)
	switch strings.Join(on, " + ") {
	case "mean_tokens":
	case "cls_token":
		h.Pooling = poolFirst
	default:
		return unusable("its pooling is %q; mean_tokens and cls_token, one of them, are supported", strings.Join(on, " + "))
	}
	return nil
}

// limit is how many tokens of a text the model was made for.
func (h *hub) limit() (int, error) {
	limit := h.Positions - h.first()
	for _, name := range []string{"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlm-roberta_config.json"} {
		var c struct {
			Limit *int `json:"max_seq_length"`
			Lower bool `json:"do_lower_case"`
		}
		there, err := h.read(name, &c)
		switch {
		case err != nil:
			return 0, err
		case there && c.Limit != nil:
			h.lower = c.Lower
			return min(limit, *c.Limit), nil
		}
		h.lower = h.lower || c.Lower
	}
	var c struct {
		Limit float64 `json:"model_max_length"` // 1e30 for none
	}
	if _, err := h.read("tokenizer_config.json", &c); err != nil {
		return 0, err
	}
	if c.Limit >= 1 && c.Limit < float64(limit) {
		limit = int(c.Limit)
	}
	return limit, nil
}

// e5 is in the names of a family of models whose texts have prefixes that their files do not always tell.
var e5 = regexp.MustCompile(`(?i)(^|[^a-z0-9])e5([^a-z0-9]|$)`)

// prefixes are put before questions and passages.
func (h *hub) prefixes() (query, passage string, err error) {
	var c struct {
		Prompts map[string]string `json:"prompts"`
		Default string            `json:"default_prompt_name"`
	}
	if _, err := h.read("config_sentence_transformers.json", &c); err != nil {
		return "", "", err
	}
	prompt := func(names ...string) string {
		for _, name := range append(names, c.Default) {
			if p := c.Prompts[name]; p != "" {
				return p
			}
		}
		return ""
	}
	query, passage = prompt("query", "search_query"), prompt("passage", "document", "search_document")
	abs, err := filepath.Abs(h.dir)
	if err != nil {
		return "", "", fmt.Errorf("read model: %w", err)
	}
	for _, name := range []string{filepath.Base(abs), filepath.Base(filepath.FromSlash(h.Name))} {
		if query == "" && passage == "" && e5.MatchString(name) && !strings.Contains(strings.ToLower(name), "instruct") {
			query, passage = "query: ", "passage: "
		}
	}
	return query, passage, nil
}

// lowers tells of a tokenizer.json whether it puts texts in lower case.
func lowers(tokenizer []byte) (bool, error) {
	var f struct {
		Normalizer struct {
			Lower bool `json:"lowercase"`
		} `json:"normalizer"`
	}
	if err := json.Unmarshal(tokenizer, &f); err != nil {
		return false, unusable("tokenizer.json: %v", err)
	}
	return f.Normalizer.Lower, nil
}
