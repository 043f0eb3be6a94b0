package mgmt

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Connection is an open connection. Tx is the traffic to the user, and Rx the traffic from the
// user.
type Connection struct {
	ID         string     `json:"id" doc:"The same in the log, the history and captures"`
	User       string     `json:"user"`
	Type       string     `json:"type" doc:"PPTP, L2TP or L2TP/IPsec"`
	Encryption string     `json:"encryption" doc:"Such as MPPE-128 stateless, or none"`
	Auth       string     `json:"auth" doc:"How the user logged in, such as MS-CHAPv2"`
	RemoteIP   netip.Addr `json:"remote_ip" doc:"The client's outer address"`
	VirtualIP  netip.Addr `json:"virtual_ip" doc:"The address that the client was given"`
	TxPackets  uint64     `json:"tx_packets"`
	RxPackets  uint64     `json:"rx_packets"`
	TxBytes    uint64     `json:"tx_bytes"`
	RxBytes    uint64     `json:"rx_bytes"`
	TxRate     float64    `json:"tx_rate" doc:"Bits per second, over the last ten"`
	RxRate     float64    `json:"rx_rate" doc:"Bits per second, over the last ten"`
	Since      time.Time  `json:"since"`
	Uptime     int64      `json:"uptime_seconds"`
}

// Encrypted reports whether the traffic is encrypted, by MPPE or by IPsec below L2TP.
func (c *Connection) Encrypted() bool { return c.Encryption != "none" || c.Type == "L2TP/IPsec" }

// Paging picks a page of a list.
type Paging struct {
	Offset int `query:"offset" minimum:"0" doc:"Number of connections to skip"`
	Limit  int `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}

// Page gives the part of the list that p picks.
func Page[T any](p Paging, list []T) []T {
	from := min(p.Offset, len(list))
	return list[from:min(from+p.Limit, len(list))]
}

// ConnectionQuery picks and sorts connections.
type ConnectionQuery struct {
	User   string `query:"user" doc:"Only of this user"`
	Search string `query:"q" maxLength:"100" doc:"A part of the user, the type, or an address"`
	Sort   string `query:"sort" enum:"since,-since,uptime,-uptime,user,-user,type,-type,remote_ip,-remote_ip,virtual_ip,-virtual_ip,tx_packets,-tx_packets,rx_packets,-rx_packets,tx_rate,-tx_rate,rx_rate,-rx_rate,tx_bytes,-tx_bytes,rx_bytes,-rx_bytes" default:"since"`
}

// DropReason is the reason of a drop that gives none.
const DropReason = "dropped by the administrator"

type listConnections struct {
	Paging
	ConnectionQuery
}

type connectionList struct {
	Total int `header:"X-Total-Count" doc:"Number of connections in all pages"`
	Body  []Connection
}

func (a *API) registerConnections(api huma.API) {
	huma.Register(api, operation("list-connections", http.MethodGet, "/connections", "List the connections", tagConnections),
		func(_ context.Context, in *listConnections) (*connectionList, error) {
			all := a.Connections(in.ConnectionQuery)
			return &connectionList{len(all), Page(in.Paging, all)}, nil
		})
	huma.Register(api, operation("drop-connection", http.MethodDelete, "/connections/{id}", "Hang up a connection", tagConnections, http.StatusNotFound),
		func(ctx context.Context, in *struct {
			ID     string `path:"id" maxLength:"64"`
			Reason string `query:"reason" maxLength:"100" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"For the log and the client" default:"dropped by the administrator"`
		},
		) (*struct{}, error) {
			if !a.Drop(ctx, in.ID, in.Reason) {
				return nil, huma.Error404NotFound("there is no connection " + in.ID + ": it may have ended already")
			}
			return nil, nil
		})
}

// Drop hangs up a connection as Sessions.Drop does.
func (a *API) Drop(ctx context.Context, id, reason string) bool {
	return a.cfg.Sessions.Drop(ctx, id, reason)
}

// Connections lists the connections that match the query, with their rates.
func (a *API) Connections(q ConnectionQuery) []Connection {
	now, search := time.Now(), strings.ToLower(q.Search)
	all := slices.DeleteFunc(a.cfg.Sessions.Connections(), func(c Connection) bool {
		return q.User != "" && !strings.EqualFold(c.User, q.User) || search != "" && !c.matches(search)
	})
	a.rates.fill(all)
	for i := range all {
		all[i].Uptime = int64(now.Sub(all[i].Since) / time.Second)
	}
	by, down := strings.CutPrefix(q.Sort, "-")
	slices.SortStableFunc(all, func(x, y Connection) int {
		n := compare(by, x, y)
		if down {
			n = -n
		}
		return n
	})
	return all
}

// Trace gives the rates of a connection in the last minute, one for every two seconds, the oldest
// first.
func (a *API) Trace(id string) []Rate { return a.rates.trace(id) }

func (c *Connection) matches(text string) bool {
	for _, field := range []string{c.User, c.Type, c.Encryption, c.RemoteIP.String(), c.VirtualIP.String(), c.ID} {
		if strings.Contains(strings.ToLower(field), text) {
			return true
		}
	}
	return false
}

func compare(by string, x, y Connection) int {
	switch by {
	case "user":
		return cmp.Compare(strings.ToLower(x.User), strings.ToLower(y.User))
	case "type":
		return cmp.Compare(x.Type, y.Type)
	case "remote_ip":
		return x.RemoteIP.Compare(y.RemoteIP)
	case "virtual_ip":
		return x.VirtualIP.Compare(y.VirtualIP)
	case "tx_packets":
		return cmp.Compare(x.TxPackets, y.TxPackets)
	case "rx_packets":
		return cmp.Compare(x.RxPackets, y.RxPackets)
	case "tx_rate":
		return cmp.Compare(x.TxRate, y.TxRate)
	case "rx_rate":
		return cmp.Compare(x.RxRate, y.RxRate)
	case "tx_bytes":
		return cmp.Compare(x.TxBytes, y.TxBytes)
	case "rx_bytes":
		return cmp.Compare(x.RxBytes, y.RxBytes)
	case "uptime":
		return y.Since.Compare(x.Since)
	default:
		return x.Since.Compare(y.Since)
	}
}
