package cli

import (
	"fmt"
	"log/slog"

	"byline/internal/config"
)

// settingFlags offers the settings that have a flag, on every command.
func (c *command) settingFlags() {
	f := c.root.PersistentFlags()
	f.StringVar(&c.configFile, "config", "", "configuration file (default: "+config.FileName+" in this folder, if it is there)")
	for _, s := range config.Settings() {
		if s.Flag == "" {
			continue
		}
		flag := f.VarPF(settingFlag{c.flags, s}, s.Flag, "", s.Doc)
		flag.DefValue = s.Default
		if s.Switch {
			flag.NoOptDefVal = "true"
		}
	}
}

// settingFlag keeps what a flag was given; config judges it together with the other sources.
type settingFlag struct {
	given   map[string]string
	setting config.Setting
}

// Set keeps the text.
func (f settingFlag) Set(text string) error {
	f.given[f.setting.Flag] = text
	return nil
}

// String is the text that was given.
func (f settingFlag) String() string { return f.given[f.setting.Flag] }

// Type is what the help calls the value.
func (f settingFlag) Type() string {
	if f.setting.Switch {
		return "bool" // the help shows no value for it
	}
	return "string"
}

func (c *command) sources() config.Sources {
	return config.Sources{Flags: c.flags, Environ: c.Environ, File: c.configFile}
}

// load reads the configuration and tells what should be known about it.
func (c *command) load() (*config.Config, error) {
	cfg, report, err := config.Load(c.sources())
	if err != nil {
		return nil, err
	}
	if !c.quiet {
		for _, n := range report.Notices {
			fmt.Fprintf(c.Stderr, "note: %s\n", clean(n.String()))
		}
	}
	return cfg, nil
}

// logger writes to standard error: least is what a command wants to hear of when nothing is wrong.
func (c *command) logger(cfg *config.Config, least slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: least}
	if c.quiet {
		o.Level = max(least, slog.LevelWarn)
	}
	if cfg.App.Debug {
		o.Level = slog.LevelDebug
	}
	if cfg.App.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(c.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(c.Stderr, o))
}

// choice is a flag with few values.
type choice struct {
	value   *string
	allowed []string
}

// Set refuses what is not allowed.
func (f choice) Set(text string) error {
	for _, a := range f.allowed {
		if a == text {
			*f.value = text
			return nil
		}
	}
	return fmt.Errorf("use %s", oneOf(f.allowed))
}

// String is the chosen value.
func (f choice) String() string {
	if f.value == nil { // pflag asks a zero value
		return ""
	}
	return *f.value
}

// Type is what the help calls the value.
func (f choice) Type() string { return "string" }

// oneOf lists words: a, b or c.
func oneOf(words []string) string {
	text := words[0]
	for i, w := range words[1:] {
		if i == len(words)-2 {
			text += " or " + w
		} else {
			text += ", " + w
		}
	}
	return text
}
