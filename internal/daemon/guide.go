package daemon

import (
	"vpnd/internal/config"
	"vpnd/mgmt/guide"
)

// GuideServer is the information about a server that clients need, from its configuration.
func GuideServer(cfg config.Config) guide.Server {
	s := guide.Server{
		PPTP: cfg.Services.PPTP, L2TP: cfg.Services.L2TP, Authentication: cfg.PPP.Authentication, MPPE: cfg.PPP.MPPE, TunnelSecret: cfg.L2TP.Secret != "",
	}
	if len(cfg.Listen) == 1 && !cfg.Listen[0].IsUnspecified() {
		s.Address = cfg.Listen[0].String()
	}
	return s
}
