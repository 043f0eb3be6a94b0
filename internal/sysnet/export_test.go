package sysnet

// Abandon ends the daemon as a crash does: nothing is taken back.
func (c *Changes) Abandon() { _ = c.folder.Close() }
