package mgmt

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// System is the daemon and its machine.
type System interface {
	// Status gives their current state.
	Status(ctx context.Context) Status
	// Pools gives the address pools, in the order of their names.
	Pools() []Pool
}

// Status is the state of the daemon and its machine.
type Status struct {
	Version     string      `json:"version" doc:"The release, such as v1.2.0"`
	Commit      string      `json:"commit" doc:"Commit of the source"`
	Go          string      `json:"go" doc:"Go release and architecture of the build"`
	Host        string      `json:"host" doc:"Name of the machine"`
	Kernel      string      `json:"kernel"`
	Started     time.Time   `json:"started" doc:"Start of the daemon"`
	Uptime      int64       `json:"uptime_seconds"`
	Connections int         `json:"connections" doc:"Number of open connections"`
	Users       int         `json:"users"`
	Interfaces  []Interface `json:"interfaces"`
	Pools       []Pool      `json:"pools"`
	Warnings    []Warning   `json:"warnings" doc:"Warnings of vpnd check for the running daemon"`
}

// Interface is a network interface of the machine.
type Interface struct {
	Name      string         `json:"name"`
	Up        bool           `json:"up"`
	MTU       int            `json:"mtu" doc:"Bytes"`
	Addresses []netip.Prefix `json:"addresses"`
	Role      string         `json:"role" doc:"Use by the daemon: VPN, masquerade, proxy ARP; empty: none"`
}

// Pool is a pool of addresses for clients.
type Pool struct {
	Name   string      `json:"name" doc:"Empty: the pool of users without a named pool"`
	Ranges []PoolRange `json:"ranges"`
	Size   int         `json:"size" doc:"Addresses in all ranges"`
	InUse  int         `json:"in_use" doc:"Addresses that connections use"`
	DNS    []string    `json:"dns"`
	WINS   []string    `json:"wins"`
}

// High is the number of addresses in use from which the pool is nearly used up.
func (p Pool) High() int { return p.Size * 9 / 10 }

// PoolRange is a range of addresses, as a Vigor's page has it.
type PoolRange struct {
	Start netip.Addr `json:"start" format:"ipv4" doc:"The first IPv4 address"`
	Count int        `json:"count" doc:"Number of addresses"`
}

// Warning is a fault and its fix.
type Warning struct {
	What  string `json:"what"`
	Wrong string `json:"wrong"`
	Fix   string `json:"fix"`
}

func (a *API) registerStatus(api huma.API) {
	huma.Register(api, operation("get-status", http.MethodGet, "/status", "Show versions, interfaces, pools and warnings", tagStatus, http.StatusNotFound),
		func(ctx context.Context, _ *struct{}) (*struct{ Body Status }, error) {
			if a.cfg.System == nil {
				return nil, huma.Error404NotFound("this daemon has no status")
			}
			return &struct{ Body Status }{a.cfg.System.Status(ctx)}, nil
		})
}
