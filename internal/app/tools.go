package app

import (
	"path/filepath"

	"byline/internal/driver/mcp"
)

// serversFile is where servers of tools are configured, in the data directory.
const serversFile = "mcp.json"

// openTools reads which servers of tools there are. Nothing is connected yet.
func (a *App) openTools() error {
	servers, err := mcp.Load(filepath.Join(a.cfg.Storage.Data, serversFile))
	if err != nil || len(servers) == 0 {
		return err
	}
	a.tools = mcp.New(servers, mcp.Options{Version: a.version(), Log: a.log})
	return nil
}
