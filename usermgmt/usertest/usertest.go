// Package usertest has a user for tests. All its fields are set.
package usertest

import "vpnd/usermgmt"

// Secret is the secret of the user's mOTP token.
const Secret = "f3a1c09d5be2478890aa1b2c3d4e5f60"

// Texts are the fields as Get gives them. Each differs from that of a new user. There is no
// totp-secret, because a user cannot have two tokens.
var Texts = map[string]string{
	"index": "7", "enabled": "no", "password": "pass wörd", "motp-secret": Secret, "motp-pin": "1234",
	"dial-in": "l2tp", "ipsec": "must", "remote-node": "203.0.113.0/24", "address": "10.99.0.77", "pool": "staff", "group": "field-work",
	"idle-timeout": "1m1s", "session-time": "1h30m0s", "max-connections": "0", "further": "refuse",
	"schedule": "Mon-Fri 08:00-18:00 Europe/Berlin", "expires": "2099-12-31", "netbios": "block", "multicast": "pass",
	"up-limit": "10M", "down-limit": "500k", "quota": "50G", "comment": "from Köln",
}

// Full gives the user.
func Full(name string) usermgmt.Profile {
	p := usermgmt.New(name)
	for _, f := range usermgmt.Fields {
		if text, ok := Texts[f.Name]; ok {
			_ = f.Set(&p, text) // a test of usermgmt sets each text
		}
	}
	return p
}
