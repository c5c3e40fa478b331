package app

import "byline/internal/store"

// Store lets tests do what the program's own parts do.
func (a *App) Store() *store.Store { return a.store }
