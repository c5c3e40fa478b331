// Package config reads what the operator has set (flags > environment > .env > file > defaults) into one typed struct that is validated once.
package config

import (
	"net/netip"
	"time"
)

// Config is every setting of the product. Load makes it; it is handed down by hand and never changed or kept in a global.
//
// Each setting is declared here once, by the tags of its field. Everything else is made from them: the parser, the errors,
// `byline config print`, docs/configuration.md and .env.example.
//
//	env      its name in the environment and in .env; the key of byline.toml is its lower case
//	flag     its flag, where one makes sense on a command line
//	default  its value when nothing sets it; not there: empty, zero, off
//	doc      one line that says what it is for
//	allowed  the only values that it may have, separated by spaces
//	or       with allowed: what else it may be; "path" is any text with a slash
//	form     how its text is read: see forms in parse.go
//	min, max the range of numbers, sizes and durations, in the setting's own words; of secrets, min is the length in bytes
//	unit     of a duration that is written as a bare number
//	secret   "yes": never shown; "url": shown without its user, password and query. Both can also be set as NAME_FILE
//	planned  not built yet: "*", or those of its values that are not. It is accepted and reported
//	retired  no longer read; says what to use instead
//
// An empty value means the default, so that `NAME= byline serve` switches off what a file has set.
type Config struct {
	App       App       `topic:"Application"`
	Server    Server    `topic:"Server"`
	Accounts  Accounts  `topic:"Accounts"`
	Storage   Storage   `topic:"Storage"`
	Documents Documents `topic:"Documents"`
	Search    Search    `topic:"Search"`
	Models    Models    `topic:"Language models"`
	Writing   Writing   `topic:"Writing"`
	Web       Web       `topic:"Web search"`
}

// App is how the installation calls itself and what it logs.
type App struct {
	Name      string `env:"APP_NAME" default:"Byline" max:"100" doc:"Name that the API and its documentation pages show."`
	Version   string `env:"APP_VERSION" max:"100" doc:"Version that the API shows. Empty: the version of the program."`
	Debug     bool   `env:"DEBUG" flag:"debug" default:"false" doc:"Log details that help to find a fault. Secrets are never logged."`
	LogFormat string `env:"BYLINE_LOG_FORMAT" flag:"log-format" default:"text" allowed:"text json" doc:"Form of the log on standard error."`
}

// Server is where requests come in and how they are bounded.
type Server struct {
	Listen         string         `env:"BYLINE_LISTEN" flag:"listen" default:"127.0.0.1:8000" form:"hostport" doc:"Address and port to serve at. Port 0 takes a free one."`
	Port           int            `env:"PORT" min:"1" max:"65535" doc:"Port to serve at on every address: means BYLINE_LISTEN=0.0.0.0:PORT, for platforms that set it."` // Load has put it into Listen
	CORSOrigins    []string       `env:"CORS_ORIGINS" form:"origin" doc:"Other origins whose pages may call the API and open its WebSocket."`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" doc:"Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."`
	Limits         bool           `env:"BYLINE_LIMITS" default:"on" form:"switch" doc:"Limits on requests per client. Off is for tests and benchmarks."`
	DrainTimeout   time.Duration  `env:"BYLINE_DRAIN_TIMEOUT" default:"10s" min:"0s" max:"10m" doc:"How long a stopping server waits for open requests before it closes them. Runs continue at the next start."`
	RedisURL       string         `env:"REDIS_URL" form:"url:redis,rediss" secret:"url" planned:"*" doc:"Redis that several servers share for limits and presence."`
}

// Accounts is who may come in, and for how long.
type Accounts struct {
	SecretKey    string        `env:"SECRET_KEY" secret:"yes" min:"32" doc:"Key that signs access tokens. Empty: one is made in BYLINE_DATA at the first start."` // use Config.SigningKey
	Algorithm    string        `env:"ALGORITHM" default:"HS256" allowed:"HS256 HS384 HS512" doc:"How access tokens are signed."`
	AccessTTL    time.Duration `env:"ACCESS_TOKEN_EXPIRE_MINUTES" default:"15" unit:"minutes" min:"1" max:"1440" doc:"Minutes for which an access token is valid."`
	RefreshTTL   time.Duration `env:"REFRESH_TOKEN_EXPIRE_DAYS" default:"7" unit:"days" min:"1" max:"365" doc:"Days after which somebody who was away must log in again."`
	PasswordHash string        `env:"AUTH_PASSWORD_HASH" default:"argon2id" allowed:"argon2id bcrypt" doc:"How new passwords are stored. Those stored the other way stay valid."`
	Registration string        `env:"BYLINE_REGISTRATION" default:"invite" allowed:"invite open closed" doc:"Who may register after the first account, which is the administrator's."`
}

// Storage is where everything rests, and how many runs work on it.
type Storage struct {
	Data        string `env:"BYLINE_DATA" flag:"data" default:"./byline-data" doc:"Directory of the library: database, files, secret key. One process holds it at a time; with DATABASE_URL, several servers share it."`
	DatabaseURL string `env:"DATABASE_URL" form:"url:postgres,postgresql" secret:"url" doc:"PostgreSQL 15 or later. Empty: SQLite in BYLINE_DATA."`
	S3URL       string `env:"S3_URL" form:"url:s3,http,https" secret:"url" planned:"*" doc:"S3 bucket for the uploaded files. Empty: files in BYLINE_DATA."`
	Workers     int    `env:"BYLINE_WORKERS" default:"0" min:"0" max:"256" doc:"Runs that work at the same time, of those that keep the processor busy: processing, and reading the sources of posts. 0: two for each processor."` // never 0 after Load
}

// Documents is what may be uploaded and what reading it may cost.
type Documents struct {
	MaxUploadSize     int64         `env:"MAX_UPLOAD_SIZE" default:"200MB" form:"size" min:"1KB" max:"1TB" doc:"Largest file that may be uploaded."`                                                                // bytes
	AllowedExtensions []string      `env:"ALLOWED_EXTENSIONS" form:"extension" doc:"File name endings that may be uploaded. Empty: every format that can be read."`                                                 // lower case, without the dot
	ExtractWorkers    int           `env:"BYLINE_EXTRACT_WORKERS" default:"0" min:"0" max:"64" doc:"Documents that are read at the same time, each in a process of its own. 0: one for each processor, 4 at most."` // never 0 after Load
	ExtractMemory     int64         `env:"BYLINE_EXTRACT_MEMORY" default:"512MiB" form:"size" min:"64MiB" max:"4GiB" doc:"Memory that reading one document may take."`                                              // bytes
	ExtractTimeout    time.Duration `env:"BYLINE_EXTRACT_TIMEOUT" default:"2m" min:"1s" max:"1h" doc:"Time without a finished page after which reading a document is given up."`
	MaxPages          int           `env:"BYLINE_MAX_PAGES" default:"5000" min:"1" max:"100000" doc:"Most pages that a document may have."`
	OCRCommand        string        `env:"BYLINE_OCR_COMMAND" planned:"*" doc:"Program that reads scanned pages, such as tesseract. Empty: the one built in."`
	TranscriberURL    string        `env:"BYLINE_TRANSCRIBER_URL" form:"url:http,https" secret:"url" planned:"*" doc:"OpenAI-compatible service that turns speech into text."`
}

// Search is which engines find passages.
type Search struct {
	Memory           int64    `env:"BYLINE_SEARCH_MEMORY" default:"128MiB" form:"size" min:"1MiB" max:"1TiB" doc:"Memory for parts of the index that were read lately."` // bytes
	Embedder         string   `env:"BYLINE_EMBEDDER" default:"auto" allowed:"auto encoder table openai ollama off" or:"path" doc:"What turns text into vectors, for search by meaning. auto: the encoder built in, or the table built in where this processor has no instructions for that; openai and ollama: a model of that service, at OPENAI_BASE_URL or OLLAMA_BASE_URL; off: search by words alone; a path is the directory of a model: model2vec, BERT or XLM-RoBERTa."`
	EmbeddingModel   string   `env:"BYLINE_EMBEDDING_MODEL" max:"200" doc:"Model that embeds, with BYLINE_EMBEDDER=openai or ollama. Empty: text-embedding-3-small of OpenAI, nomic-embed-text of Ollama."`
	ElasticsearchURL string   `env:"ELASTICSEARCH_URL" form:"urls:http,https" secret:"url" doc:"Elasticsearch 8 or 9 or OpenSearch 3: the URLs of its nodes, such as https://user:password@one:9200,https://two:9200. It answers searches once it has all documents; the index built in does until then, and while it is away. Empty: the index built in."`
	ElasticsearchKey string   `env:"ELASTICSEARCH_API_KEY" secret:"yes" doc:"API key of Elasticsearch, encoded as it shows it. Empty: the user and password of ELASTICSEARCH_URL."`
	ElasticsearchCA  string   `env:"ELASTICSEARCH_CA_FILE" doc:"PEM file with the authority that signed Elasticsearch's certificate, beside those of this system."`
	ChromaURL        string   `env:"CHROMADB_URL" form:"url:http,https" secret:"url" doc:"Chroma server that finds by meaning, such as http://localhost:8001; words are found with the index built in, and everything while the server is away. Empty: the index built in."`
	_                struct{} `env:"CHROMADB_PATH" retired:"Byline keeps its vectors in BYLINE_DATA and does not read a directory of Chroma. For a Chroma server use CHROMADB_URL, such as http://localhost:8001; else remove this line." doc:"Not read: the index is in BYLINE_DATA; a Chroma server is CHROMADB_URL."`
}

// Models is who writes.
type Models struct {
	Provider          string        `env:"DEFAULT_LLM_PROVIDER" default:"auto" allowed:"auto openai ollama offline" doc:"Who writes: auto takes the first that is configured (OpenAI, then Ollama) or the Ollama that runs on this machine; offline needs no model and quotes the sources."`
	Model             string        `env:"DEFAULT_LLM_MODEL" max:"200" doc:"Model that writes, as its provider calls it. Empty: gpt-4.1-mini of OpenAI, of others the first that they list."`
	Fallback          []string      `env:"BYLINE_LLM_FALLBACK" form:"model" doc:"Models that are asked in turn when the first one cannot answer, such as openai/gpt-4.1-mini, ollama/llama3.2. A provider alone means its usual model."`
	OpenAIKey         string        `env:"OPENAI_API_KEY" secret:"yes" doc:"Key of OpenAI or of the compatible service at OPENAI_BASE_URL."`
	OpenAIBaseURL     string        `env:"OPENAI_BASE_URL" form:"url:http,https" secret:"url" doc:"OpenAI-compatible service, such as http://localhost:8080/v1. Empty: OpenAI's own."`
	OllamaBaseURL     string        `env:"OLLAMA_BASE_URL" form:"url:http,https" secret:"url" doc:"Ollama server, such as http://localhost:11434."`
	FirstTokenTimeout time.Duration `env:"BYLINE_LLM_FIRST_TOKEN_TIMEOUT" default:"60s" min:"1s" max:"1h" doc:"Time that a model may think before its first word."`
	IdleTimeout       time.Duration `env:"BYLINE_LLM_IDLE_TIMEOUT" default:"30s" min:"1s" max:"1h" doc:"Time between two words after which a model counts as stalled."`
	Timeout           time.Duration `env:"BYLINE_LLM_TIMEOUT" default:"15m" min:"1s" max:"24h" doc:"Time that a whole answer of a model may take."`
	Context           int           `env:"BYLINE_LLM_CONTEXT" default:"0" min:"0" max:"100000000" doc:"Tokens that the model can hold, question and answer together. 0: what is known of it; 4096 for Ollama, which cuts off the rest without a word unless it is started with a larger OLLAMA_CONTEXT_LENGTH."`
	RunBudget         Budget        `env:"BYLINE_LLM_BUDGET_RUN" doc:"What one run may use of models, such as 200k tokens, or 0.50 USD, or both. Empty: no limit."`
	UserBudget        Budget        `env:"BYLINE_LLM_BUDGET_USER" doc:"What one user may use in a calendar month (UTC)."`
	WorkspaceBudget   Budget        `env:"BYLINE_LLM_BUDGET_WORKSPACE" doc:"What one workspace may use in a month."`
	MonthBudget       Budget        `env:"BYLINE_LLM_BUDGET_MONTH" doc:"What everybody together may use in a month."`
	Prices            string        `env:"BYLINE_PRICES" doc:"File with what models cost. Empty: prices.toml in BYLINE_DATA, which is made at the first start and read again when it changes."`
}

// Budget is a limit; what is 0 has none.
type Budget struct {
	Tokens   int64
	Cost     float64 // in Currency
	Currency string
}

// Writing is how posts are written.
type Writing struct {
	Writers     int    `env:"BYLINE_WRITERS" default:"64" min:"1" max:"10000" doc:"Posts and answers that are written at the same time. One that waits for a model's words takes no processor. Up to 4 sections of a post are written side by side, not more than this."`
	Judge       bool   `env:"BYLINE_JUDGE" default:"false" doc:"Have the model that writes judge each of its sentences against what it quotes, too. It has to quote, is asked once for each sentence, and never lifts a number, name, date or denial that is not in the source."`
	Unsupported string `env:"BYLINE_UNSUPPORTED" default:"cut" allowed:"cut flag" doc:"What becomes of a model's sentences that are not found in the sources even after it has corrected them: cut takes them out, flag leaves them with their verdict."`
}

// Web is who searches the web for sources.
type Web struct {
	TavilyKey  string   `env:"TAVILY_API_KEY" secret:"yes" doc:"Key of Tavily. A run searches the web only when its brief says web: true."`
	TavilyURL  string   `env:"BYLINE_TAVILY_URL" form:"url:http,https" secret:"url" doc:"Service with Tavily's interface. Empty: Tavily's own."`
	SearXNGURL string   `env:"BYLINE_SEARXNG_URL" form:"url:http,https" secret:"url" doc:"SearXNG server that gives JSON, such as http://localhost:8888. With TAVILY_API_KEY too, it is asked first."`
	FetchAllow []string `env:"BYLINE_FETCH_ALLOW" form:"target" doc:"Hosts with their ports whose pages may be fetched although they are not on the public web, such as wiki.example:8080. Whoever may add documents can read what they serve."`
}
