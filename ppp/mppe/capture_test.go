package mppe_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"vpnd/ppp/chap"
	"vpnd/ppp/mppe"
	"vpnd/ppp/wire"
	"vpnd/testenv/recording"

	"github.com/google/gopacket/layers"
)

// password is the password of the captures.
const password = "Correct-Horse9"

// TestCaptures decrypts dial-ins of pppd with pptpd and xl2tpd. Each proof is right. Everything
// inside is IPv4, IPv6 of the right length or compressed TCP, in both directions. All checksums of
// IPv4, ICMP and TCP are right, so pings and transfers are complete to the last byte.
func TestCaptures(t *testing.T) {
	for _, c := range []struct {
		name     string
		strength mppe.Strength
		down     bool // whether the packets to the client are stateless
		least    int
	}{
		{"pptp-mschapv2-mppe128.pcap", mppe.Bits128, true, 90},
		{"pptp-mschapv2-mppe40.pcap", mppe.Bits40, true, 6},
		{"l2tp-mschapv2-mppe128.pcap", mppe.Bits128, true, 30},
		{"pptp-mppe-stateful.pcap", mppe.Bits128, false, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			var challenge [16]byte
			var receive map[bool]*mppe.Decrypter // by direction: true from the client
			count := map[bool]int{}
			for i, f := range recording.Frames(t, "testdata/"+c.name) {
				protocol, body, err := wire.ParseFrame(f.PPP)
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				switch {
				case protocol == wire.CHAP && body[0] == 1:
					challenge = [16]byte(body[5:21])
				case protocol == wire.CHAP && body[0] == 2:
					length := binary.BigEndian.Uint16(body[2:])
					proof, err := chap.NewV2(string(body[54:length]), challenge, body[5:54])
					if err != nil || !proof.Verify(password) || proof.Verify("wrong") {
						t.Fatalf("frame %d: proof of %q does not verify: %v", i, proof.User, err)
					}
					up, down := mppe.StartKeysV2(chap.HashHash(chap.NTHash(password)), proof.NTResponse)
					receive = map[bool]*mppe.Decrypter{
						true:  mppe.NewDecrypter(up, c.strength, true),
						false: mppe.NewDecrypter(down, c.strength, c.down),
					}
				case protocol == wire.Comp:
					if err := checkPacket(receive[f.Sent], body); err != nil {
						t.Fatalf("frame %d, from client %v: %v", i, f.Sent, err)
					}
					count[f.Sent]++
				}
			}
			if count[true]+count[false] < c.least || count[true] == 0 || count[false] == 0 {
				t.Errorf("%d packets decrypted from the client and %d to it", count[true], count[false])
			}
		})
	}
}

func checkPacket(d *mppe.Decrypter, body []byte) error {
	p := append([]byte(nil), body[2:]...)
	if err := d.Open(binary.BigEndian.Uint16(body), p); err != nil {
		return err
	}
	if p[0] == 0 {
		p = p[1:]
	}
	protocol := p[0]
	p = p[1:]
	if protocol == 0x57 && len(p) >= 40 && p[0]>>4 == 6 && int(binary.BigEndian.Uint16(p[4:])) == len(p)-40 {
		return nil
	}
	if protocol == 0x2D || protocol == 0x2F {
		return nil // TCP with Van Jacobson's header compression
	}
	if protocol != 0x21 {
		return fmt.Errorf("protocol %02x inside, want 21, 57, 2d or 2f", protocol)
	}
	if len(p) < 20 || p[0]>>4 != 4 || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return fmt.Errorf("no IPv4 packet inside: % x", p[:min(len(p), 20)])
	}
	header := int(p[0]&0x0F) * 4
	if checksum(0, p[:header]) != 0xFFFF {
		return fmt.Errorf("IPv4 header checksum is wrong: % x", p[:20])
	}
	pseudo := uint32(0)
	switch layers.IPProtocol(p[9]) {
	case layers.IPProtocolTCP:
		pseudo = checksum(uint32(p[9])+uint32(len(p)-header), p[12:20])
	case layers.IPProtocolICMPv4:
	default:
		return nil
	}
	if fragment := binary.BigEndian.Uint16(p[6:])&0x3FFF != 0; !fragment && checksum(pseudo, p[header:]) != 0xFFFF {
		return fmt.Errorf("checksum of IP protocol %d is wrong", p[9])
	}
	return nil
}

// checksum adds bytes to an Internet checksum.
func checksum(sum uint32, p []byte) uint32 {
	for i, octet := range p {
		sum += uint32(octet) << (8 * (1 - i%2))
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return sum
}
