package sysnet

// Abandon ends the daemon as a crash does: nothing is undone.
func (c *Changes) Abandon() { _ = c.folder.Close() }
