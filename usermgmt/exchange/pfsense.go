package exchange

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"vpnd/auth"
)

// readPfSense reads the users of the L2TP and PPTP servers in config.xml of pfSense or OPNsense. It
// ignores all other parts.
func (r *reader) readPfSense(data []byte) {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(_ string, text io.Reader) (io.Reader, error) { return text, nil } // Decode has converted it to UTF-8
	var path []string
	for {
		line, _ := d.InputPos()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, _ = d.InputPos()
			r.fault(line, "this is not XML: %s; the rest was not read", xmlFault(err))
			return
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, strings.ToLower(t.Name.Local))
			service := strings.TrimSuffix(path[max(len(path)-2, 0)], "d") // pptpd
			if path[len(path)-1] != "user" || service != string(auth.L2TP) && service != string(auth.PPTP) {
				continue
			}
			path = path[:len(path)-1]
			r.Records++
			if !r.pfSenseUser(d, t, line, auth.Service(service)) {
				return
			}
		case xml.EndElement:
			path = path[:len(path)-1] // the decoder has checked that it began
		}
	}
	if r.Records == 0 {
		r.fault(0, "this config.xml has no user of an L2TP or PPTP server")
	}
}

// xmlFault describes an error of XML without parts of a password.
func xmlFault(err error) string {
	if strings.Contains(err.Error(), "invalid character entity") {
		return "an & is not written as &amp;"
	}
	return err.Error()
}

func (r *reader) pfSenseUser(d *xml.Decoder, start xml.StartElement, line int, service auth.Service) bool {
	var user struct {
		Name     string `xml:"name"`
		Password string `xml:"password"`
		IP       string `xml:"ip"`
	}
	if err := d.DecodeElement(&user, &start); err != nil {
		r.fault(line, "this user cannot be read: %s; the rest was not read", xmlFault(err))
		return false
	}
	a := account{line: line, name: strings.TrimSpace(user.Name), services: []auth.Service{service}, fields: map[string]string{"password": user.Password}}
	if ip := strings.TrimSpace(user.IP); ip != "" {
		if a.fields["address"] = oneAddress(ip); a.fields["address"] == "" {
			r.fault(line, "%.64q: %.64q is not an address", a.name, ip)
			return true
		}
	}
	r.account(a)
	return true
}
