package app

import (
	"cmp"
	"os"
	"path/filepath"

	"byline/internal/driver/mcp"
	"byline/internal/fault"
)

// serversFile is where servers of tools are configured, in the data directory, unless BYLINE_MCP_SERVERS names another file.
const serversFile = "mcp.json"

// openTools reads which servers of tools there are. Nothing is connected yet.
func (a *App) openTools() error {
	named := a.cfg.Models.MCPServers
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return fault.New(fault.Invalid, "mcp_servers", "The file %s of BYLINE_MCP_SERVERS cannot be read. Name one that is there, or leave the setting out.", named).Because(err)
		}
	}
	servers, err := mcp.Load(cmp.Or(named, filepath.Join(a.cfg.Storage.Data, serversFile)))
	if err != nil || len(servers) == 0 {
		return err
	}
	a.tools = mcp.New(servers, mcp.Options{Version: a.version(), Log: a.log})
	return nil
}
